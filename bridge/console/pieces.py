"""What of an ordered list of things a page does not show yet: sans-IO.

    {key: thing} ─► Seen.compare ─► Diff: added, changed, gone

A page is loaded with some state, whose name (`shows`) comes back with its stream; when the name is another one the page
is filled anew. Nothing is queued: a page that reads slowly misses steps in between, not the last.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


def key_of(name: str) -> str:
    """A name from outside as an id in a page."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Diff(Generic[T]):
    """`whole`: show `added` instead of everything there is. `gone`: keys. Each in the list's order."""

    added: tuple[T, ...] = ()
    changed: tuple[T, ...] = ()
    gone: tuple[str, ...] = ()
    whole: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.gone or self.whole)


class Seen(Generic[T]):
    """What one page shows. `shows`: the name of the state it was loaded with."""

    def __init__(self, shows: str) -> None:
        self._shows = shows
        self._seen: dict[str, T] | None = None

    def compare(self, now: Mapping[str, T], name: str) -> Diff[T]:
        """What is new; from then on it is seen."""
        before, self._seen = self._seen, dict(now)
        if before is None:
            return Diff() if name == self._shows else Diff(added=tuple(now.values()), whole=True)
        return Diff(
            added=tuple(one for key, one in now.items() if key not in before),
            changed=tuple(one for key, one in now.items() if key in before and one is not before[key] != one),
            gone=tuple(key for key in before if key not in now),
        )
