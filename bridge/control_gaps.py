"""How far the numbers of rows may be read without passing one that is still to come. Machine: `now` in, a number out.

A row gets its number before its transaction is committed, so a higher one may be seen first. A number that is missing
is waited for; after `wait_s` nobody will bring it any more (its transaction was taken back). Each gap is waited for
from the moment it is seen, not one after the other: many of them cost no more time than one.
"""

from collections.abc import Sequence


class Gaps:
    """`at`: everything up to here is there, or never will be."""

    def __init__(self, at: int, wait_s: float) -> None:
        self.at = at
        self._wait_s = wait_s
        self._missing: dict[int, float] = {}

    def look(self, numbers: Sequence[int], now: float) -> int:
        """`numbers`: those that are there beyond `at`, in order; answers the new `at`. `now`: monotonic seconds."""
        waits: dict[int, float] = {}
        before, passed = self.at, True
        for number in numbers:
            first = before + 1
            if number > first:
                since = self._missing.get(first, now)
                if now - since < self._wait_s:
                    waits[first] = since
                    passed = False
            before = max(before, number)
            if passed:
                self.at = before
        self._missing = waits
        return self.at
