"""What stands in the dialplan's files now: their texts, for the record, and a fingerprint, to see a real change.

A folder counts whole, with everything in it that a dialplan may refer to (prompt texts, sounds), so that saving a file
unchanged, or touching it, is no change, whatever the clock says. Blocking; control calls it on a thread.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bridge.dialplan.prompts import FOLDER as PROMPTS

TEXTS = frozenset({".yaml", ".yml", ".txt", ".md", ".j2", ".jinja", ".json", ".csv"})
_PLANS = frozenset({".yaml", ".yml"})
SOUNDS = frozenset({".wav"})
MAX_FILES = 5000
MAX_TEXT_BYTES = 8 * 1024 * 1024
"""As bridge/yamlfile.py; a longer text is no dialplan, so the record leaves it out."""
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sources:
    """`texts`: of what `is_kept`, by name in the folder. `fingerprint`: equal for equal names and contents."""

    fingerprint: str
    texts: Mapping[str, str]


def read_sources(path: Path) -> Sources:
    """Of a dialplan folder, or file (then of that file alone). A file that cannot be read counts as empty."""
    whole, texts = hashlib.sha256(), {}
    for name, file in sorted(dict(inside(path)).items()):
        digest, text = _read(file)
        whole.update(f"{name}\0{digest}\n".encode())
        if text is not None and is_kept(name):
            texts[name] = text
    return Sources(whole.hexdigest()[:16], texts)


def is_kept(name: str) -> bool:
    """Whether a file's text may be kept and shown to whoever may look: plans and prompts, no lists of customers."""
    path = PurePosixPath(name)
    return path.suffix.lower() in _PLANS or (path.parent.name == PROMPTS and path.suffix.lower() == ".md")


def inside(path: Path) -> Iterator[tuple[str, Path]]:
    """Every text and sound of a folder, by its name in it; of a file, that file."""
    if not path.is_dir():
        yield path.name, path
        return
    found = 0
    for file in path.rglob("*"):
        name = file.relative_to(path)
        hidden = any(part.startswith((".", "__")) for part in name.parts)
        if file.suffix.lower() in TEXTS | SOUNDS and not hidden and file.is_file():
            yield name.as_posix(), file
            found += 1
        if found == MAX_FILES:
            return


def _read(file: Path) -> tuple[str, str | None]:
    """Hash of the content, and the content when it is a text."""
    digest = hashlib.sha256()
    kept = bytearray()
    wanted = file.suffix.lower() in TEXTS
    try:
        with file.open("rb") as reader:
            while chunk := reader.read(_CHUNK_BYTES):
                digest.update(chunk)
                if wanted and len(kept) <= MAX_TEXT_BYTES:
                    kept += chunk
    except OSError:
        return "unreadable", None
    text = kept.decode("utf-8", "replace") if wanted and len(kept) <= MAX_TEXT_BYTES else None
    return digest.hexdigest(), text
