"""How often each outbound wish was dialled, in a file: whoever can only write the database has none dialled anew.

    state_dir/outbound-spent    one line a fact: unix seconds, p (placed) | n (not placed after all) | o (over), job id

A line is on the disk before the worker is told to dial. Facts older than `keep_s` are forgotten when the file is read
again or has grown; by then the wish itself is too old to be dialled (control_outbound.py). Blocking; one thread at a
time. Every method raises StoreError when the disk does not do it: nothing is dialled then.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.control_plan import write_atomically
from bridge.errors import StoreError

MAX_LINES = 200_000
"""Lines added before the file is written anew, without what is old."""


@dataclass(slots=True)
class _Spent:
    tries: int = 0
    over: bool = False
    at: float = 0.0


class SpentWishes:
    """`refuses` tells, the others write. Read when it is first asked. `now`: unix seconds."""

    def __init__(self, path: Path, keep_s: float, max_lines: int = MAX_LINES) -> None:
        self._path = path
        self._keep_s = keep_s
        self._max_lines = max_lines
        self._known: dict[str, _Spent] | None = None
        self._added = 0

    def refuses(self, job_id: str, most: int, now: float) -> str:
        """Why this wish is not dialled any more; "" while it had less than `most` tries and is not over."""
        one = self._read(now).get(job_id)
        if one is None:
            return ""
        if one.over:
            return "it is over: somebody else has changed the database"
        return f"it was dialled {one.tries} times already" if one.tries >= most else ""

    def placed(self, job_id: str, now: float) -> None:
        """It is dialled next."""
        self._note("p", job_id, now)

    def not_placed(self, job_id: str, now: float) -> None:
        """It was not dialled after all: a worker has said so to us."""
        self._note("n", job_id, now)

    def over(self, job_id: str, now: float) -> None:
        """It came to its end."""
        self._note("o", job_id, now)

    def _note(self, word: str, job_id: str, now: float) -> None:
        known = self._read(now)
        line = f"{now:.0f} {word} {job_id}\n"
        try:
            if self._added >= self._max_lines:
                self._forget(known, now)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            handle = os.open(self._path, flags, 0o600)
            try:
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from error
        self._added += 1
        _apply(known, line)

    def _read(self, now: float) -> dict[str, _Spent]:
        if self._known is not None:
            return self._known
        known: dict[str, _Spent] = {}
        try:
            if self._path.exists():
                with self._path.open(encoding="ascii", errors="replace") as file:
                    for line in file:
                        _apply(known, line)
                self._forget(known, now)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}") from error
        self._known = known
        return known

    def _forget(self, known: dict[str, _Spent], now: float) -> None:
        for job_id in [one for one, spent in known.items() if now - spent.at > self._keep_s]:
            del known[job_id]
        write_atomically(self._path, "".join(_lines(known)).encode(), 0o600)
        self._added = 0


def _apply(known: dict[str, _Spent], line: str) -> None:
    """One line; half a line, which a crash leaves behind, says nothing."""
    words = line.split()
    if not line.endswith("\n") or len(words) != 3 or not words[0].isdigit():
        return
    one = known.setdefault(words[2], _Spent())
    one.at = max(one.at, float(words[0]))
    one.over = one.over or words[1] == "o"
    one.tries = max(one.tries + {"p": 1, "n": -1}.get(words[1], 0), 0)


def _lines(known: dict[str, _Spent]) -> Iterator[str]:
    for job_id, one in known.items():
        yield f"{one.at:.0f} p {job_id}\n" * one.tries
        if one.over:
            yield f"{one.at:.0f} o {job_id}\n"
