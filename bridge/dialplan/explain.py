"""Why a call goes where it goes: each route up to the one that wins, with the condition it fails.

Worker-safe: standard library only. Pure: no I/O, any thread. Called by `sipbridge dialplan explain`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.dialplan.plan import BY_CLOCK, HEADER, CallFacts, Condition, Plan, Route


@dataclass(frozen=True, slots=True)
class Verdict:
    """One route and the condition the call does not fulfil; `misfit` None: this route takes the call."""

    route: Route
    misfit: Condition | None
    value: str = ""

    def __str__(self) -> str:
        where = f"{self.route.name} ({self.route.file}:{self.route.line})"
        if self.misfit is None:
            return f"{where}: fits"
        field = self.misfit.field
        name = f"header {field.removeprefix(HEADER)}" if field.startswith(HEADER) else field
        if field in BY_CLOCK:
            now = f"open now: {self.value}" if self.value else "nothing is open now"
            return f"{where}: {now}, needed {'' if field == 'hours' else 'not '}{' or '.join(self.misfit.patterns)}"
        given = f'is "{self.value}"' if self.value else "is missing"
        return f"{where}: {name} {given}, needed {' or '.join(self.misfit.patterns)}"


def explain(plan: Plan, facts: CallFacts) -> Iterator[Verdict]:
    """Verdicts in file order; the last one has no misfit, unless no route fits."""
    for route in plan.routes:
        misfit = route.misfit(facts)
        yield Verdict(route, misfit, facts.value(misfit.field) if misfit else "")
        if misfit is None:
            return
