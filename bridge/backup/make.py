"""Makes a backup beside a running bridge: one file with everything that cannot be made again.

    spool, heads of the audit  ─first─►  database (one moment)  ─then─►  the rest of state_dir, settings, plans, tools

The order is what makes it whole: an event is in the database's copy or in the spool's (twice does no harm, each counts
once), and no head is newer than the chain that is copied after it. Left out is what is made anew at the next start:
sockets, logs, spoken texts, what supervisor and workers are told, the edge's files (they hold hashes of passwords).
Recordings are large, so only when asked for; messages of callers always. Blocking.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bridge
from bridge.backup.archive import ArchiveWriter
from bridge.backup.manifest import Manifest
from bridge.control_anchor import HEADS
from bridge.errors import BackupError
from bridge.media.messagefile import FOLDER
from bridge.settings import Settings
from bridge.store import copying
from bridge.store.look import Look

SQLITE = "sqlite:///"
FIRST = ("spool", HEADS)
LEFT_OUT = frozenset({"log", "speech", "edge", "supervisor.pid", "recordings", *FIRST})
KEPT_OF_RUN = frozenset({"in-force.json", "plan.json"})
MAX_CONFIG_BYTES = 50_000_000
"""Of one file beside the plans: a larger one is no plan, prompt or tool."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`config`: the settings file. `recordings`: with the calls' WAV files. `config_files`: with plans and tools."""

    settings: Settings
    config: Path | None
    recordings: bool


def make(target: Path, wanted: Wanted, seen: Look) -> Manifest:
    """Write it. BackupError, StoreError: it is not made, and nothing is left of it; OSError: no room."""
    state, url = wanted.settings.state_dir, str(wanted.settings.store)
    if seen.revision is None:
        raise BackupError(f"{seen.url}: {seen.error or 'there is nothing to back up'}")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        tempfile.TemporaryDirectory(prefix=".sipbridge-backup-", dir=target.parent) as folder,
        ArchiveWriter(target) as archive,
    ):
        for name in FIRST:
            _add_all(archive, f"state/{name}", state / name)
        made_at, copied = time.time(), Path(folder, copying.file_name(url))
        copying.copy(url, copied)
        archive.add(copied.name, copied)
        copied.unlink()
        for name, path in _rest(wanted):
            _add_all(archive, name, path)
        manifest = Manifest(
            made_at=made_at,
            program=bridge.__version__,
            revision=seen.revision,
            calls=seen.calls,
            open_calls=seen.open_calls,
            recordings=wanted.recordings,
            files=tuple(archive.entries),
        )
        archive.finish(manifest)
    return manifest


def _rest(wanted: Wanted) -> Iterator[tuple[str, Path]]:
    settings = wanted.settings
    state, recordings = settings.state_dir, Path(str(settings.recording.folder))
    for path in sorted(state.iterdir()):
        if path.name == "run":
            yield from ((f"state/run/{name}", path / name) for name in sorted(KEPT_OF_RUN))
        elif path.name not in LEFT_OUT and not _belongs_elsewhere(path, settings):
            yield f"state/{path.name}", path
    if wanted.recordings:
        yield "recordings", recordings
    else:
        yield f"recordings/{FOLDER}", recordings / FOLDER
    if wanted.config is not None:
        yield "config/bridge.yaml", wanted.config
        yield f"config/{settings.dialplans.name}", settings.dialplans
        yield f"config/{settings.tools.name}", settings.tools


def _belongs_elsewhere(path: Path, settings: Settings) -> bool:
    """The database (its copy is in already), the recordings' folder, what a restore set aside, drafts and locks."""
    url = str(settings.store)
    database = Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None
    if database is not None and path.parent == database.parent and path.name.startswith(database.name):
        return True
    aside = path.name.startswith((".", "replaced-"))
    return aside or path == Path(str(settings.recording.folder)) or path.suffix in {".sock", ".lock"}


def _add_all(archive: ArchiveWriter, name: str, path: Path) -> None:
    """A file, or every file below a folder. One that goes away meanwhile was not to be kept."""
    if path.is_symlink():
        path = path.resolve()
    if path.is_dir():
        for below in sorted(path.rglob("*")):
            if below.is_file() and not below.is_symlink() and "__pycache__" not in below.parts:
                _add_one(archive, f"{name}/{below.relative_to(path).as_posix()}", below)
    elif path.is_file():
        _add_one(archive, name, path)


def _add_one(archive: ArchiveWriter, name: str, path: Path) -> None:
    try:
        if name.startswith("config/") and path.stat().st_size > MAX_CONFIG_BYTES:
            return
        archive.add(name, path)
    except FileNotFoundError:
        return
