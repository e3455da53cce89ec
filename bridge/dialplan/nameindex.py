"""Which routes may fit a call by what has a name: trunk, called number, hours, lists, parts of the day, room.

The companion of bridge/dialplan/match.py: one bit mask a name, bit i stands for route i, so that 5,000 routes that
differ only in such a condition are told apart by a few operations on one large number. A route that is left out
surely does not fit; one that is left in is looked at.

Worker-safe: standard library only. Pure.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.dialplan.facts import HEADER, LIST, NUMBERS, CallFacts, Condition

_NAMES: Mapping[str, Callable[[CallFacts], Collection[str]]] = {
    "trunk": lambda facts: (facts.trunk,),
    "number": lambda facts: (facts.number,),
    "day_part": lambda facts: (facts.day_part,),
    "hours": lambda facts: facts.open_hours,
    "to": lambda facts: [LIST + name for name in facts.to_lists],
    "from": lambda facts: [LIST + name for name in facts.from_lists],
}
"""The names that a call has for a field; one of them must be among a condition's."""


@dataclass(slots=True)
class _Masks:
    asking: int = 0
    by_name: dict[str, int] = field(default_factory=dict)

    def add(self, number: int, names: Collection[str]) -> None:
        self.asking |= 1 << number
        for name in names:
            self.by_name[name] = self.by_name.get(name, 0) | 1 << number

    def of(self, names: Collection[str]) -> int:
        mask = 0
        for name in names:
            mask |= self.by_name.get(name, 0)
        return mask


class NameIndex:
    """The conditions of all routes, in route order."""

    def __init__(self, routes: Sequence[Sequence[Condition]]) -> None:
        self._all = (1 << len(routes)) - 1
        self._masks = {name: _Masks() for name in _NAMES}
        self._outside = _Masks()
        self._room: dict[str, list[tuple[int, int]]] = {}
        for number, conditions in enumerate(routes):
            for one in conditions:
                self._add(number, one)

    def _add(self, number: int, one: Condition) -> None:
        if one.field == "outside":
            self._outside.add(number, one.patterns)
        elif one.field == "capacity":
            self._room.setdefault(one.of, []).append((int(one.patterns[0]), 1 << number))
        elif one.field in _NAMES and (one.field not in NUMBERS or _only_lists(one)):
            self._masks[one.field].add(number, one.patterns)

    def mask(self, facts: CallFacts) -> int:
        """Bits of the routes that may fit."""
        mask = self._all & ~self._outside.of(facts.open_hours)
        for name, masks in self._masks.items():
            if masks.asking:
                mask &= ~masks.asking | masks.of(_NAMES[name](facts))
        for route, calls in facts.live.items():
            for most, bit in self._room.get(route, ()):
                if calls >= most:
                    mask &= ~bit
        return mask


def by_pattern(one: Condition) -> bool:
    """Whether bridge/dialplan/match.py can tell: patterns of numbers and headers, with no list among them."""
    return one.field.startswith(HEADER) or (
        one.field in NUMBERS and not any(pattern.startswith(LIST) for pattern in one.patterns)
    )


def _only_lists(one: Condition) -> bool:
    return all(pattern.startswith(LIST) for pattern in one.patterns)
