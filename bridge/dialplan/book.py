"""What the words of a plan's conditions stand for: its country, its numbers, lists of numbers, parts of the day.

    CallFacts as the network gave them ──Book.complete(facts, at)──► CallFacts as conditions look at them

Worker-safe: standard library only. Pure: the instant comes in, any thread. Built by bridge/dialplan/compile_book.py,
part of the plan.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.dialplan.e164 import normalised
from bridge.dialplan.facts import CallFacts
from bridge.dialplan.hours import zone


@dataclass(frozen=True, slots=True)
class DayParts:
    """When each part of the day is. `windows`: minutes from midnight, the end not included, by name.

    One that ends before it begins goes over midnight.
    """

    timezone: str
    windows: Mapping[str, tuple[int, ...]]

    def at(self, instant: datetime) -> str:
        """The part of the day that an aware instant falls into; "" for none."""
        local = instant.astimezone(zone(self.timezone))
        minute = local.hour * 60 + local.minute
        return next((name for name, window in self.windows.items() if inside(window, minute)), "")


def inside(window: tuple[int, ...], minute: int) -> bool:
    """Whether a minute of the day lies in a window that may go over midnight."""
    start, end = window
    return start <= minute < end if start < end else minute >= start or minute < end


@dataclass(frozen=True)
class Book:
    """`country`: ISO 3166, "" when numbers stay as they come. `timezone`: of `dates`, "" when nothing asks for it.

    `numbers`: the name of each called number that has one. `lists`: numbers, and beginnings of numbers with a * at the
    end, by the list's name.
    """

    country: str = ""
    timezone: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    day_parts: DayParts | None = None
    _whole: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    _starts: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    _lengths: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        whole: dict[str, set[str]] = defaultdict(set)
        starts: dict[str, set[str]] = defaultdict(set)
        for name, members in self.lists.items():
            for member in members:
                (starts if member.endswith("*") else whole)[member.lower().removesuffix("*")].add(name)
        object.__setattr__(self, "_whole", {text: frozenset(names) for text, names in whole.items()})
        object.__setattr__(self, "_starts", {text: frozenset(names) for text, names in starts.items()})
        object.__setattr__(self, "_lengths", tuple(sorted({len(text) for text in starts})))

    def lists_of(self, number: str) -> frozenset[str]:
        """Names of the lists a number is on."""
        number = number.lower()
        found = set(self._whole.get(number, ()))
        for length in self._lengths:
            found |= self._starts.get(number[:length], frozenset())
        return frozenset(found)

    def complete(self, facts: CallFacts, at: datetime) -> CallFacts:
        """The facts of a call that came at the aware instant `at`, numbers in one form, with all they imply."""
        called, caller = (normalised(text, self.country) for text in (facts.to_number, facts.from_number))
        return replace(
            facts,
            to_number=called,
            from_number=caller,
            to_raw=facts.to_raw or facts.to_number,
            from_raw=facts.from_raw or facts.from_number,
            number=self.numbers.get(called, ""),
            to_lists=self.lists_of(called),
            from_lists=self.lists_of(caller),
            day=at.astimezone(zone(self.timezone)).date().isoformat() if self.timezone else "",
            day_part=self.day_parts.at(at) if self.day_parts else "",
        )
