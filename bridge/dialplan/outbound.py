"""The rules for calls that the bridge places: whom it may call, when, how often, and what happens after the answer.

    Outbound ─ misfit(number) ─► why this number may not be dialled; "" when it may, as far as prefixes go

The prefixes are looked at twice: by control when it decides (bridge/outbound/policy.py has the rest of the rules) and
by the worker before it dials. Worker-safe: standard library only. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bridge.dialplan.steps import Step

E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
"""The only form in which a number is dialled (ITU-T E.164 section 6): ASCII digits after a plus."""

NEVER: Mapping[str, str] = {
    "+870": "satellite (Inmarsat)",
    "+878": "universal personal number",
    "+881": "satellite (Iridium, Globalstar)",
    "+882": "international network",
    "+883": "international network",
    "+888": "disaster relief",
    "+979": "international premium rate",
    "+808": "international shared cost",
    "+1900": "premium rate",
    "+1976": "premium rate",
    "+449": "premium rate",
    "+4470": "personal number, billed at premium rate",
    "+33899": "premium rate",
    "+3389": "premium rate",
    "+49900": "premium rate",
    "+49137": "mass calls, premium rate",
    "+43900": "premium rate",
    "+43930": "premium rate",
    "+4190": "premium rate",
    "+3989": "premium rate",
    "+34803": "premium rate",
    "+34806": "premium rate",
    "+34807": "premium rate",
    "+61190": "premium rate",
    "+61191": "premium rate",
}
"""Prefixes that no rule opens (ITU-T list of country codes; national numbering plans). What is not here is found by
the kind of number (phonenumbers), so this table is the second net and not the first."""

ISLANDS = (
    "242 246 264 268 284 345 441 473 649 658 664 721 758 767 784 809 829 849 868 869 876".split()  # noqa: SIM905
)
UNLESS_NAMED: Mapping[str, str] = {
    **{f"+1{code}": "a foreign country behind +1, often used for call-back fraud" for code in ISLANDS},
    "+247": "Ascension, often used for fraud",
    "+290": "Saint Helena, often used for fraud",
    "+500": "Falkland Islands, often used for fraud",
    "+53": "Cuba, often used for fraud",
    "+224": "Guinea, often used for fraud",
    "+232": "Sierra Leone, often used for fraud",
    "+252": "Somalia, often used for fraud",
    "+263": "Zimbabwe, often used for fraud",
    "+675": "Papua New Guinea, often used for fraud",
    "+677": "Solomon Islands, often used for fraud",
    "+682": "Cook Islands, often used for fraud",
    "+685": "Samoa, often used for fraud",
    "+686": "Kiribati, often used for fraud",
    "+690": "Tokelau, often used for fraud",
    "+960": "Maldives, often used for fraud",
}
"""Prefixes that a shorter one in `allow` does not open; an entry of this length or longer does."""


@dataclass(frozen=True, slots=True)
class Retry:
    """After `outcome` ("busy" or "no_answer") try again `after_s` seconds later, at most `times` times."""

    outcome: str
    after_s: int
    times: int


@dataclass(frozen=True, slots=True)
class Outbound:
    """The `outbound` section. `allow`, `deny`: prefixes with a plus; nothing allowed means nothing is dialled.

    `kinds`: kinds of numbers that may be dialled (bridge/outbound/number.py). `region`: country that numbers without
    a plus belong to. `hours` is read in the callee's time zone or in that of the hours. `do_not_call`: a file, and the
    hash of its content when the plan was loaded. `target`: a SIP URI with `{number}` (+4930…) or `{digits}` (4930…).
    `message`: what is said to a machine. `trunk`: calls go over it, "" none.
    """

    allow: tuple[str, ...]
    target: str
    caller_id: str
    steps: tuple[Step, ...]
    deny: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    region: str | None = None
    hours: str | None = None
    hours_of: Literal["callee", "plan"] = "plan"
    per_day: int = 100
    per_number_per_day: int = 3
    per_minute: int = 10
    concurrent: int = 2
    do_not_call: str = ""
    do_not_call_hash: str = ""
    ring_s: int = 30
    amd: bool = True
    amd_s: float = 3.0
    on_machine: Literal["hang_up", "leave_message", "agent"] = "hang_up"
    message: tuple[Step, ...] = ()
    retries: tuple[Retry, ...] = ()
    trunk: str = ""

    def misfit(self, number: str) -> str:
        """Why an E.164 number may not be dialled by its prefix; "" when it may."""
        if not E164.match(number):
            return "not a whole number in international form"
        never = _longest(NEVER, number)
        if never:
            return f"{never} is never dialled: {NEVER[never]}"
        denied = _longest(self.deny, number)
        if denied:
            return f"{denied} is denied by the dialplan"
        allowed = _longest(self.allow, number)
        if not allowed:
            return "no prefix in `allow` fits it"
        caution = _longest(UNLESS_NAMED, number)
        if len(caution) > len(allowed):
            return f"{caution} must be named in `allow` to be dialled: {UNLESS_NAMED[caution]}"
        return ""

    def uri(self, number: str) -> str:
        """Where a number is dialled. ValueError: it may not be."""
        wrong = self.misfit(number)
        if wrong:
            raise ValueError(wrong)
        return self.target.replace("{number}", number).replace("{digits}", number[1:])

    def retry(self, outcome: str) -> Retry | None:
        """What is done after an outcome."""
        return next((one for one in self.retries if one.outcome == outcome), None)


def _longest(prefixes: Iterable[str], number: str) -> str:
    return max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default="")
