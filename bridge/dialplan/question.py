"""A call that somebody asks about: `What would happen if +49301 called 100 on Christmas Eve?`, and the answer in words.

    Question (texts, as a person writes them) ──facts_of──► CallFacts ──answer──► Answer(seen, verdicts, outcome)

Asked by `sipbridge dialplan explain` and the console's page; both say the same words. Pure but for the clock, when no
time is named. Any thread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.dialplan.cases import instant
from bridge.dialplan.explain import Verdict, explain
from bridge.dialplan.plan import CallFacts, Plan

NO_ROUTE = "no route fits: the call gets 404"


@dataclass(frozen=True, slots=True)
class Question:
    """`headers`: lines `Name: value`; `at`: `2026-12-24T20:00`, "" is now; `loads`: `ROUTE=3`, calls on it then."""

    to: str
    from_number: str = ""
    headers: Sequence[str] = ()
    at: str = ""
    trunk: str = ""
    loads: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """`seen`: what the plan makes of the call; `verdicts`: routes up to the one that takes it."""

    seen: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def taken(self) -> Verdict | None:
        """The route that takes the call; None: none does, it gets 404."""
        last = self.verdicts[-1] if self.verdicts else None
        return last if last is not None and last.misfit is None else None


def answer(plan: Plan, question: Question) -> Answer:
    """What this plan does with the call. ValueError: a part of the question cannot be read; it says which."""
    facts = facts_of(plan, question)
    return Answer(tuple(seen(plan, facts)), tuple(explain(plan, facts)))


def facts_of(plan: Plan, question: Question) -> CallFacts:
    """What a plan knows of the call. ValueError as `answer`."""
    headers = {name.lower(): value for name, value in header_pairs(question.headers)}
    live = dict(_load(line) for line in question.loads)
    try:
        at = instant(plan, question.at)
    except ValueError:
        raise ValueError(f"{question.at} is no time: write it as 2026-12-24T20:00") from None
    facts = CallFacts(question.to, question.from_number, headers=headers, trunk=question.trunk, live=live)
    return plan.complete(facts, at)


def header_pairs(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`["X-A: b"]` as names, as written, and values. ValueError: a line is none."""
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f'"{line}" is not "Name: value"')
        yield name.strip(), value.strip()


def seen(plan: Plan, facts: CallFacts) -> Iterator[str]:
    """What the plan makes of the call, before any route."""
    for name, number, raw in (
        ("to", facts.to_number, facts.to_raw),
        ("from", facts.from_number, facts.from_raw),
    ):
        if number != raw:
            yield f"{name}: {raw} is {number}"
    if facts.number:
        yield f"called number: {facts.number}"
    for name, lists in (("to", facts.to_lists), ("from", facts.from_lists)):
        if lists:
            yield f"{name} is on: {', '.join(sorted(lists))}"
    if plan.hours:
        yield f"open then: {', '.join(sorted(facts.open_hours)) or 'nothing'}"
    if facts.day_part:
        yield f"part of the day: {facts.day_part}"


def _load(line: str) -> tuple[str, int]:
    name, found, value = (part.strip() for part in line.rpartition("="))
    if not found:
        raise ValueError(f'"{line}" is not "ROUTE=3"')
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"{value} is no number of calls")
    return name, int(value)
