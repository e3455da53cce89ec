"""What is known of a call when it is routed, and the conditions that look at it.

Worker-safe: standard library only. Pure.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from bridge.dialplan.dates import days
from bridge.dialplan.match import fits

HEADER = "header:"
"""Prefix of a condition's field that names a SIP header, in lower case: `header:x-customer`."""
LIST = "@"
"""Before the name of a list of numbers, where a pattern may stand."""
BY_CLOCK = frozenset({"hours", "outside"})
"""Fields of conditions that look at the time of the call: within, or outside of, opening hours by name."""
NUMBERS = frozenset({"to", "from"})
"""Fields that are telephone numbers."""
SHARES = 10_000
"""`percent` counts in hundredths of a percent."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call when it is routed. All of it comes from the network and proves nothing.

    `trunk`: the plan's trunk it came from, "" when from none; decided by address or registration (bridge/trunk.py).
    Numbers are the user parts of the URIs (`to_number`: request URI), in E.164 form when the plan names its country;
    as they came they are in `to_raw` and `from_raw`. `headers` has lower-case names. `live`: calls on each route, by
    name. `vars`: what steps of the call have found out so far. `number`: the plan's name of the called number; it and
    what follows it a Plan fills in (Plan.complete).
    """

    to_number: str
    from_number: str = ""
    from_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    to_host: str = ""
    from_host: str = ""
    open_hours: frozenset[str] = frozenset()
    trunk: str = ""
    live: Mapping[str, int] = field(default_factory=dict)
    vars: Mapping[str, str] = field(default_factory=dict)
    number: str = ""
    to_raw: str = ""
    from_raw: str = ""
    to_lists: frozenset[str] = frozenset()
    from_lists: frozenset[str] = frozenset()
    day: str = ""
    day_part: str = ""

    def value(self, name: str) -> str:
        """The value a condition on `name` ("to", "from", "header:x-foo") looks at; a missing one is ""."""
        if name.startswith(HEADER):
            return self.headers.get(name.removeprefix(HEADER), "")
        read = _VALUES.get(name)
        return read(self) if read else ""


_VALUES: Mapping[str, Callable[[CallFacts], str]] = {
    "to": lambda facts: facts.to_number,
    "from": lambda facts: facts.from_number,
    "trunk": lambda facts: facts.trunk,
    "number": lambda facts: facts.number,
    "hours": lambda facts: ", ".join(sorted(facts.open_hours)),
    "outside": lambda facts: ", ".join(sorted(facts.open_hours)),
    "day_part": lambda facts: facts.day_part,
    "dates": lambda facts: facts.day,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` ("to", "from", "header:x-foo") must fit one of `patterns`.

    For to and from a pattern may be a list ("@vip"). Fields with words of their own: "hours", "outside" (names of
    opening hours), "trunk", "number", "day_part" (names), "dates" (bridge/dialplan/dates.py), "percent" and "capacity"
    (one number, for the route `of`), "not" (the call must not fit all of `inner`).
    """

    field: str
    patterns: tuple[str, ...]
    of: str = ""
    inner: tuple["Condition", ...] = ()

    def fits(self, facts: CallFacts) -> bool:
        """Whether the call fulfils it; a header that is not there fits no pattern."""
        return _TESTS.get(self.field, _fits_pattern)(self, facts)


def share(route: str, caller: str) -> int:
    """Where a caller falls for `percent` on a route: 0 to SHARES - 1, always the same for the same two."""
    digest = hashlib.blake2b(f"{route}\n{caller}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % SHARES


@lru_cache(maxsize=256)
def _day(text: str) -> date:
    return date.fromisoformat(text)


def _fits_pattern(one: Condition, facts: CallFacts) -> bool:
    if one.field.startswith(HEADER) and one.field.removeprefix(HEADER) not in facts.headers:
        return False
    value = facts.value(one.field)
    lists = facts.to_lists if one.field == "to" else facts.from_lists
    return any(
        pattern[1:] in lists if one.field in NUMBERS and pattern.startswith(LIST) else fits(pattern, value)
        for pattern in one.patterns
    )


_TESTS: Mapping[str, Callable[[Condition, CallFacts], bool]] = {
    "hours": lambda one, facts: not facts.open_hours.isdisjoint(one.patterns),
    "outside": lambda one, facts: facts.open_hours.isdisjoint(one.patterns),
    "trunk": lambda one, facts: facts.trunk in one.patterns,
    "number": lambda one, facts: facts.number in one.patterns,
    "day_part": lambda one, facts: facts.day_part in one.patterns,
    "dates": lambda one, facts: bool(facts.day) and _day(facts.day) in days(one.patterns),
    "percent": lambda one, facts: (
        share(one.of, facts.from_number) < round(float(one.patterns[0]) * SHARES / 100)
    ),
    "capacity": lambda one, facts: facts.live.get(one.of, 0) < int(one.patterns[0]),
    "not": lambda one, facts: not all(inner.fits(facts) for inner in one.inner),
}
