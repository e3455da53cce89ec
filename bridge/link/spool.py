"""The file that keeps a worker's events until control has them: `<spool_dir>/worker-<index>-<boot>.jsonl`.

The owner holds an exclusive flock on it as long as it lives; the kernel lets go when the process dies,
however it dies. So whoever gets the lock knows, without pids and guesses, that the owner is gone and that
the file is complete: control adopts such spools (`dead_spools`). How the owner ended is in
`worker-<index>-<boot>.exit`, written by the supervisor, when it knows.

One os.write a line: it survives SIGKILL of the process. It is not fsynced: a power cut may cost the last
seconds. A line cut by a kill in the middle of a write is skipped by the reader; it was never acknowledged
to anybody. Worker-safe. Used by LinkClient on its loop (writes of some hundred bytes to the page cache)
and by control's sweeper.
"""

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.errors import LinkError
from bridge.link.messages import Event, decode

_NAME = re.compile(r"worker-(?P<worker>\d+)-(?P<boot>[0-9A-Za-z_]+)\.jsonl")
_CHUNK_BYTES = 64 * 1024
MAX_NOTE_BYTES = 1024
_THEIRS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""The folder may belong to the workers' user (`pool.user`), and control be root: no link, no pipe of theirs."""
LOCK_TRIES = 10
LOCK_WAIT_S = 0.02


def spool_path(spool_dir: Path, worker: int, boot: str) -> Path:
    """Where the events of this boot of this worker lie."""
    return spool_dir / f"worker-{worker}-{boot}.jsonl"


def exit_path(spool_dir: Path, worker: int, boot: str) -> Path:
    """Where the supervisor notes how this boot ended, e.g. `signal 9 (SIGKILL)`."""
    return spool_dir / f"worker-{worker}-{boot}.exit"


class Spool:
    """The owner's side: append, read back, empty. Raises LinkError when the file cannot be had."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LinkError(f"cannot open the event spool {path}: {error.strerror}") from error
        if not _lock_soon(self._fd):
            os.close(self._fd)
            raise LinkError(f"the event spool {path} belongs to a living process")

    def append(self, line: bytes) -> bool:
        """Write one line, whole or not at all. False: the disk would not take it."""
        try:
            before = os.fstat(self._fd).st_size
            if os.write(self._fd, line) == len(line):
                return True
            os.ftruncate(self._fd, before)
        except OSError:
            return False
        return False

    def read(self, start: int, n_lines: int) -> list[bytes]:
        """Up to `n_lines` whole lines from byte `start` on, line ends included; empty only at the end."""
        data = b""
        while True:
            chunk = os.pread(self._fd, _CHUNK_BYTES, start + len(data))
            data += chunk
            if not chunk or b"\n" in chunk:
                break
        return [line for line in data.splitlines(keepends=True)[:n_lines] if line.endswith(b"\n")]

    def clear(self) -> None:
        """Everything is delivered: empty the file, keep it and its lock."""
        os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Let go of the file; what is in it is control's to adopt. Closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class DeadSpool:
    """A spool whose owner is gone; the lock on it is held until `close` or the end of the with block."""

    path: Path
    worker: int
    boot: str
    fd: int

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def events(self) -> list[Event]:
        """The events left in it, in order. Lines that are no event of this boot are skipped."""
        found: list[Event] = []
        with open(self.fd, "rb", closefd=False) as file:
            file.seek(0)
            lines = file.read().splitlines()
        for line in lines:
            try:
                message = decode(line)
            except LinkError:
                continue
            if isinstance(message, Event) and message.boot == self.boot:
                found.append(message)
        return found

    def exit(self) -> str | None:
        """How the owner ended, in the supervisor's words; None as long as nobody said."""
        try:
            fd = os.open(exit_path(self.path.parent, self.worker, self.boot), os.O_RDONLY | _THEIRS)
        except OSError:
            return None
        try:
            return os.read(fd, MAX_NOTE_BYTES).decode("utf-8", "replace").strip()
        finally:
            os.close(fd)

    def died_at(self) -> float:
        """Unix seconds of the owner's end; without a note the last moment it is known to have lived."""
        note = exit_path(self.path.parent, self.worker, self.boot)
        return (note if note.exists() else self.path).stat().st_mtime

    def remove(self) -> None:
        """Its events are in the store: delete the spool and the exit note."""
        self.path.unlink(missing_ok=True)
        exit_path(self.path.parent, self.worker, self.boot).unlink(missing_ok=True)


def dead_spools(spool_dir: Path) -> Iterator[DeadSpool]:
    """Every spool nobody owns any more, oldest first, each locked while it is yours (use `with`)."""
    for path in sorted(spool_dir.glob("worker-*.jsonl"), key=lambda path: path.name):
        named = _NAME.fullmatch(path.name)
        if named is None:
            continue
        try:
            fd = os.open(path, os.O_RDWR | _THEIRS)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            continue
        if stat.S_ISREG(os.fstat(fd).st_mode) and _lock(fd) and path.exists():
            yield DeadSpool(path, int(named["worker"]), named["boot"], fd)
        else:
            os.close(fd)


def known_boots(spool_dir: Path) -> set[str]:
    """Boots that have a spool on disk, alive or dead."""
    names = (_NAME.fullmatch(path.name) for path in spool_dir.glob("worker-*.jsonl"))
    return {named["boot"] for named in names if named}


def _lock_soon(fd: int) -> bool:
    """As `_lock`, past the moment in which control looks whether the owner of a new spool is alive."""
    for _ in range(LOCK_TRIES):
        if _lock(fd):
            return True
        time.sleep(LOCK_WAIT_S)
    return False


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
