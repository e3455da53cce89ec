"""May this number be called now? Facts in, None or the reason out. The only place that says yes.

    who asked ─► number.read ─► rules (prefixes, kind) ─► do not call ─► hours ─► caps ─► None: dial

Asked when a call is requested and again right before it is dialled, with the rules of that moment. Fails closed: no
rules, a list that is not there, a zone nobody knows are reasons too. Pure; any thread. Not worker-safe.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from bridge.dialplan.hours import Hours
from bridge.dialplan.outbound import Outbound
from bridge.outbound.number import Number

Until = Literal["never", "later", "soon"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What has been dialled: `day` and `number` (to this number) since midnight, `minute` in the last 60 s, and now."""

    day: int = 0
    number: int = 0
    minute: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """The plan's rules with what belongs to them. `do_not_call` None: the list of the plan could not be read."""

    outbound: Outbound
    hours: Sequence[Hours] = ()
    do_not_call: Collection[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not. `until`: never, later (another hour or day), soon (seconds). `all`: it is so for every number."""

    reason: str
    until: Until = "never"
    all: bool = False


def refusal(number: Number, rules: Rules | None, counts: Counts, at: datetime) -> Refusal | None:
    """None: the number may be dialled now. `at`: an aware instant."""
    return never(number, rules) or not_now(number, rules, counts, at)


def never(number: Number, rules: Rules | None) -> Refusal | None:
    """Reasons that stay as long as the plan does."""
    if rules is None:
        return Refusal("the dialplan has no outbound section: nothing is dialled")
    wrong = rules.outbound.misfit(number.e164)
    if wrong:
        return Refusal(f"{number.e164}: {wrong}")
    if number.kind not in rules.outbound.kinds:
        other = f"is of the kind {number.kind}, which outbound.kinds does not name"
        wrong = "is no number that its country gives out" if number.kind == "invalid" else other
        return Refusal(f"{number.e164} {wrong}")
    if rules.do_not_call is None:
        return Refusal(
            "the do-not-call file is not as it was when the plan was loaded: reload", "later", all=True
        )
    if number.e164 in rules.do_not_call:
        return Refusal(f"{number.e164} is on the do-not-call list")
    return None


def not_now(number: Number, rules: Rules | None, counts: Counts, at: datetime) -> Refusal | None:
    """Reasons of the moment."""
    if rules is None:
        return Refusal("the dialplan has no outbound section: nothing is dialled")
    out = rules.outbound
    closed = _closed(number, rules, at)
    if closed:
        return Refusal(closed, "later", all=out.hours_of == "plan")
    caps: tuple[tuple[int, int, str, Until], ...] = (
        (counts.day, out.per_day, "a day (outbound.per_day)", "later"),
        (counts.number, out.per_number_per_day, "a day to one number (outbound.per_number_per_day)", "later"),
        (counts.minute, out.per_minute, "a minute (outbound.per_minute)", "soon"),
        (counts.running, out.concurrent, "at a time (outbound.concurrent)", "soon"),
    )
    for have, most, words, until in caps:
        if have >= most:
            return Refusal(f"calls {words}: {most} is the limit", until, all="one number" not in words)
    return None


def _closed(number: Number, rules: Rules, at: datetime) -> str:
    name = rules.outbound.hours
    if name is None:
        return ""
    hours = next((one for one in rules.hours if one.name == name), None)
    if hours is None:
        return f"there are no opening hours {name}"
    if rules.outbound.hours_of == "plan":
        return "" if hours.open_at(at) else f"outside of the hours {name}"
    if not number.zones:
        return f"nobody knows what time it is at {number.e164}"
    # A number may be in several zones: it must be a decent hour in all of them.
    closed = [zone for zone in number.zones if not replace(hours, timezone=zone).open_at(at)]
    return f"outside of the hours {name} in {closed[0]}" if closed else ""
