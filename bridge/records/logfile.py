"""A log file that several processes write at once, that rotates itself, and that logrotate may move away.

    every process ──one append a line──► bridge.log ──larger than max_bytes──► bridge.log.1 … bridge.log.<keep>

Lines are appended by one write each (O_APPEND): lines of two processes never mix. Whoever finds the file too large
takes a lock and renames it; everybody else sees within CHECK_S that the name belongs to another file now and opens
that. What was written to the old one meanwhile is in it. A disk that refuses sends the lines to standard error instead.

`serve` names the file to every process of the bridge by the variable BRIDGE_LOG. Worker-safe: standard library only.
Any thread.
"""

import contextlib
import fcntl
import io
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VARIABLE = "BRIDGE_LOG"
CHECK_S = 1.0
MODE = 0o640
"""The group may read it, for a log shipper."""


class LogFile(io.TextIOBase):
    """Text in, whole lines at a time. `max_bytes`: of one file; `keep`: how many old ones stay."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._lock = threading.Lock()
        self._fd = -1
        self._inode = 0
        self._size = 0
        self._looked_at = float("-inf")

    def write(self, text: str) -> int:
        """Append; never raises."""
        data = text.encode("utf-8", "replace")
        with self._lock:
            try:
                self._look(len(data))
                os.write(self._fd, data)
                self._size += len(data)
            except OSError:
                self._fall_back(data)
        return len(text)

    def _look(self, more: int) -> None:
        now = time.monotonic()
        if self._fd < 0 or now - self._looked_at >= CHECK_S or self._size + more > self._max_bytes:
            self._looked_at = now
            self._follow()
            if self._size and self._size + more > self._max_bytes:
                self._rotate()

    def _follow(self) -> None:
        """Have the file open that has the name now, and know its size: others write it too."""
        with contextlib.suppress(FileNotFoundError):
            facts = self._path.stat()
            if self._fd >= 0 and facts.st_ino == self._inode:
                self._size = facts.st_size
                return
        self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        fresh = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        if self._fd >= 0:
            os.close(self._fd)
        facts = os.fstat(fresh)
        self._fd, self._inode, self._size = fresh, facts.st_ino, facts.st_size

    def _rotate(self) -> None:
        """Unless somebody else is at it. A folder that refuses only makes the file grow."""
        with contextlib.suppress(OSError):
            held = os.open(
                self._path.with_name(f".{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE
            )
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._path.stat().st_ino == self._inode:
                    for number in range(self._keep - 1, 0, -1):
                        with contextlib.suppress(FileNotFoundError):
                            self._numbered(number).replace(self._numbered(number + 1))
                    self._path.replace(self._numbered(1))
            finally:
                os.close(held)
            self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _fall_back(self, data: bytes) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(OSError):
            os.write(2, data)


def variable(path: Path, max_bytes: int, keep: int) -> dict[str, str]:
    """What names this file to a process."""
    return {VARIABLE: json.dumps([str(path), max_bytes, keep])}


def from_environ(environ: Mapping[str, str]) -> LogFile | None:
    """The file named in the environment; None: there is none, standard error is meant."""
    try:
        path, max_bytes, keep = json.loads(environ[VARIABLE])
        return LogFile(Path(path), int(max_bytes), int(keep))
    except (KeyError, ValueError, TypeError):
        return None


def is_journal(environ: Mapping[str, str], stream: Any = None) -> bool:
    """Whether standard error goes to systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        facts = os.fstat((stream or sys.stderr).fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"
