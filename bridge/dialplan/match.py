"""Patterns of a route and the index that finds the first route that fits a call.

    exact     "+4930123"      the whole value, letter case ignored
    prefix    "+4930*"        the value begins with it
    regex     "/^00?49/"      Python regex searched in the value; anchor it yourself with ^ and $

Plans may have thousands of routes, a call must be routed within a millisecond. So every field (to, from, a
header) keeps one bit mask per literal: bit i stands for route i. The masks of all fields are ANDed; only the
routes left over are looked at, in file order.

Worker-safe: standard library only. Pure: no I/O, any thread; patterns were proved to compile when the plan
was loaded.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

MAX_VALUE_CHARS = 256
"""A longer number or header value is cut before it is matched: it comes from the network."""

_LITERAL_START = re.compile(r"\^((?:[\w@ -]|\\[+.*])+)")
_REPEATS = frozenset("*?{")


def fits(pattern: str, value: str) -> bool:
    """Whether `value` is what the pattern asks for."""
    return _test_of(pattern)(value[:MAX_VALUE_CHARS].lower())


def literal_of(pattern: str) -> tuple[str, bool]:
    """(text every fitting value begins with, whether it is the whole value). ("", False) says nothing."""
    if is_regex(pattern):
        return _literal_start(pattern[1:-1]), False
    if pattern.endswith("*"):
        return pattern[:-1].lower(), False
    return pattern.lower(), True


def is_regex(text: str) -> bool:
    """Whether a pattern is written between slashes."""
    return len(text) >= 2 and text.startswith("/") and text.endswith("/")


@lru_cache(maxsize=65536)
def _test_of(text: str) -> Callable[[str], bool]:
    if is_regex(text):
        search = re.compile(text[1:-1], re.IGNORECASE).search
        return lambda value: search(value) is not None
    wanted = text.lower()
    if wanted.endswith("*"):
        return lambda value: value.startswith(wanted[:-1])
    return wanted.__eq__


def _literal_start(regex: str) -> str:
    """The plain text right after `^`; nothing when an alternative (`|`) or a repeat may undo it."""
    found = _LITERAL_START.match(regex)
    if found is None or "|" in regex:
        return ""
    text = found[1]
    if regex[found.end() : found.end() + 1] in _REPEATS:
        text = text[:-2] if text[-2:-1] == "\\" else text[:-1]
    return text.replace("\\", "").lower()


@dataclass(slots=True)
class _FieldIndex:
    """Masks of one field.

    `free`: routes that do not ask for this field, or whose pattern has no literal part.
    """

    free: int = 0
    exact: dict[str, int] = field(default_factory=dict)
    prefix: dict[str, int] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()

    def candidates(self, value: str) -> int:
        value = value[:MAX_VALUE_CHARS].lower()
        mask = self.free | self.exact.get(value, 0)
        for length in self.lengths:
            mask |= self.prefix.get(value[:length], 0)
        return mask


class RouteIndex:
    """The fields of all routes, in route order: `RouteIndex([{"to": ("100",)}, {}])`."""

    def __init__(self, routes: Sequence[Mapping[str, tuple[str, ...]]]) -> None:
        self._all = (1 << len(routes)) - 1
        self._fields = {
            name: self._index(name, routes) for name in dict.fromkeys(n for r in routes for n in r)
        }

    @staticmethod
    def _index(name: str, routes: Sequence[Mapping[str, tuple[str, ...]]]) -> _FieldIndex:
        index = _FieldIndex()
        for number, route in enumerate(routes):
            literals = [literal_of(pattern) for pattern in route.get(name, ())]
            if not literals or not all(text or whole for text, whole in literals):
                index.free |= 1 << number
                continue
            for text, whole in literals:
                masks = index.exact if whole else index.prefix
                masks[text] = masks.get(text, 0) | 1 << number
        index.lengths = tuple(sorted({len(text) for text in index.prefix}))
        return index

    def candidates(self, value_of: Callable[[str], str], among: int = -1) -> Iterator[int]:
        """Numbers of the routes that may fit, in file order; `value_of(field)` is the call's value.

        `among`: bits of the routes that come into question.
        """
        mask = self._all & among
        for name, index in self._fields.items():
            mask &= index.candidates(value_of(name))
        while mask:
            lowest = mask & -mask
            yield lowest.bit_length() - 1
            mask ^= lowest
