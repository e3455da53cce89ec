"""Why a call goes where it goes: each route up to the one that wins, with the condition it fails.

Worker-safe: standard library only. Pure: no I/O, any thread. Called by `sipbridge dialplan explain`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from bridge.dialplan.facts import HEADER, LIST, SHARES, share
from bridge.dialplan.hours import DAYS
from bridge.dialplan.plan import CallFacts, Condition, Plan, Route


@dataclass(frozen=True, slots=True)
class Verdict:
    """One route and the condition the call does not fulfil; `misfit` None: this route takes the call.

    `why`: the misfit in words, or what the route asks for and the call fulfils.
    """

    route: Route
    misfit: Condition | None
    why: str = ""

    def __str__(self) -> str:
        where = f"{self.route.name} ({self.route.file}:{self.route.line})"
        if self.misfit is None:
            return f"{where}: fits{f' ({self.why})' if self.why else ''}"
        return f"{where}: {self.why}"


def explain(plan: Plan, facts: CallFacts) -> Iterator[Verdict]:
    """Verdicts in file order; the last one has no misfit, unless no route fits."""
    for route in plan.routes:
        misfit = route.misfit(facts)
        if misfit is None:
            yield Verdict(route, None, "; ".join(wanted(one) for one in route.conditions))
            return
        yield Verdict(route, misfit, why_not(misfit, facts))


def wanted(one: Condition) -> str:
    """What a condition asks for, in a few words: `to 100 or +4930*`."""
    words = _WANTED.get(one.field)
    return words(one) if words else f"{_name(one.field)} {_patterns(one)}"


def why_not(one: Condition, facts: CallFacts) -> str:
    """How the call misses a condition."""
    words = _MISSED.get(one.field)
    if words:
        return words(one, facts)
    value = facts.value(one.field)
    sent = {"to": facts.to_raw, "from": facts.from_raw}.get(one.field, "")
    given = f'is "{value}"' if value else "is missing"
    if sent and sent != value:
        given += f' (sent as "{sent}")'
    return f"{_name(one.field)} {given}, needed {_patterns(one)}"


def _name(field: str) -> str:
    return f"header {field.removeprefix(HEADER)}" if field.startswith(HEADER) else field


def _patterns(one: Condition) -> str:
    numbers = one.field in {"to", "from"}
    return " or ".join(
        f"on the list {text[1:]}" if numbers and text.startswith(LIST) else text for text in one.patterns
    )


def _open(facts: CallFacts) -> str:
    now = ", ".join(sorted(facts.open_hours))
    return f"open now: {now}" if now else "nothing is open now"


def _at_most(one: Condition) -> str:
    return f"room for {one.patterns[0]}"


def _percent(one: Condition, facts: CallFacts) -> str:
    where = share(one.of, facts.from_number) * 100 / SHARES
    return f"this caller falls on {where:.2f} of 100, needed less than {one.patterns[0]}"


def _dates(one: Condition, facts: CallFacts) -> str:
    if not facts.day:
        return f"the plan has no time zone, needed {_patterns(one)}"
    return f"it is {DAYS[date.fromisoformat(facts.day).weekday()]} {facts.day}, needed {_patterns(one)}"


_WANTED: Mapping[str, Callable[[Condition], str]] = {
    "number": lambda one: f"called number {_patterns(one)}",
    "percent": lambda one: f"{one.patterns[0]} % of callers",
    "capacity": _at_most,
    "not": lambda one: f"not ({'; '.join(wanted(inner) for inner in one.inner)})",
}
_MISSED: Mapping[str, Callable[[Condition, CallFacts], str]] = {
    "hours": lambda one, facts: f"{_open(facts)}, needed {_patterns(one)}",
    "outside": lambda one, facts: f"{_open(facts)}, needed not {_patterns(one)}",
    "number": lambda one, facts: (
        f"the called number is {facts.number or 'none that has a name'}, needed {_patterns(one)}"
    ),
    "day_part": lambda one, facts: f"it is {facts.day_part or 'no part of the day'}, needed {_patterns(one)}",
    "dates": _dates,
    "percent": _percent,
    "capacity": lambda one, facts: f"{facts.live.get(one.of, 0)} on it now, room for {one.patterns[0]}",
    "not": lambda one, _facts: f"it fits what it must not: {'; '.join(wanted(inner) for inner in one.inner)}",
}
