"""What a backup says of itself: the list of its files with their hashes, and what a restore must know before. Pure.

It is the last file of the archive, so that it holds the hashes of what was really written.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from bridge.errors import BackupError

FORMAT = 1
NAME = "manifest.json"
TOPS = frozenset({"state", "recordings", "config", "database.sqlite", "database.dump"})
"""What an archive may hold at its top, besides the manifest."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`made_at`: unix seconds of the database's moment. `revision`: of the database. `calls`: in it."""

    made_at: float
    program: str
    revision: str
    calls: int
    open_calls: int
    recordings: bool
    files: tuple[Entry, ...]

    def to_json(self) -> str:
        """For the archive."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """BackupError: it is none, or of a format this program does not know."""
        try:
            data = json.loads(text)
            if data.pop("format") != FORMAT:
                raise BackupError("the backup has a format of a newer program")
            files = tuple(Entry(**one) for one in data.pop("files"))
            return cls(**data, files=files)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BackupError(f"{NAME} cannot be read: {error}") from error

    def differences(self, found: Mapping[str, Entry]) -> list[str]:
        """What is wrong with the files of an archive: changed, missing, or not of it."""
        named = {one.name: one for one in self.files}
        wrong = [f"{name} is missing" for name in named if name not in found]
        wrong += [f"{name} does not belong to it" for name in found if name not in named]
        wrong += [
            f"{name} was changed" for name, one in found.items() if name in named and named[name] != one
        ]
        return sorted(wrong)


def safe(name: str) -> bool:
    """Whether a name of an archive stays inside: relative, below one of the tops, and without `..`."""
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and str(path) == name
    return inside and (name == NAME or (bool(path.parts) and path.parts[0] in TOPS))
