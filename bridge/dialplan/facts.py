"""What is known of a call when it is routed, and the conditions that look at it.

Worker-safe: standard library only. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.dialplan.match import fits

HEADER = "header:"
"""Prefix of a condition's field that names a SIP header, in lower case: `header:x-customer`."""


BY_CLOCK = frozenset({"hours", "outside"})
"""Fields of conditions that look at the time of the call: within, or outside of, opening hours by name."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call when it is routed. All of it comes from the network and proves nothing.

    `trunk`: the plan's trunk it came from, "" when from none; decided by address or registration (bridge/trunk.py).
    Numbers are the user parts of the URIs (`to_number`: request URI). `headers` has lower-case names.
    """

    to_number: str
    from_number: str = ""
    from_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    to_host: str = ""
    from_host: str = ""
    open_hours: frozenset[str] = frozenset()
    trunk: str = ""

    def value(self, name: str) -> str:
        """The value a condition on `name` ("to", "from", "header:x-foo") looks at; a missing header is ""."""
        if name in BY_CLOCK:
            return ", ".join(sorted(self.open_hours))
        if name == "to":
            return self.to_number
        if name == "from":
            return self.from_number
        return self.headers.get(name.removeprefix(HEADER), "")


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` ("to", "from", "header:x-foo") must fit one of `patterns`; "hours", "outside": names of opening hours."""

    field: str
    patterns: tuple[str, ...]

    def fits(self, facts: CallFacts) -> bool:
        """Whether any pattern fits the call; a header that is not there fits none."""
        if self.field in BY_CLOCK:
            return bool(facts.open_hours & {*self.patterns}) is (self.field == "hours")
        if self.field.startswith(HEADER) and self.field.removeprefix(HEADER) not in facts.headers:
            return False
        value = facts.value(self.field)
        return any(fits(pattern, value) for pattern in self.patterns)
