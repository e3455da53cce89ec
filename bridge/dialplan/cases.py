"""Tests of a dialplan: the calls of a `*.test.yaml` file put through the plan, and what came of them compared.

    NAME.test.yaml ──read──► Case, Case, …   ──judge(plan)──► Verdict(misfits, file, line) each

Reads files, dials nobody. Any thread. Not worker-safe. Called by `sipbridge dialplan test`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from zoneinfo import ZoneInfo

from bridge import yamlfile
from bridge.dialplan.files import CASES_SUFFIX
from bridge.dialplan.plan import CallFacts, Plan
from bridge.dialplan.schema_cases import Call, CaseFile, Expect
from bridge.dialplan.schema_steps import LAST_VERBS
from bridge.dialplan.steps import Step
from bridge.dialplan.walk import Assumed, Path, walk
from bridge.dialplan.words import label
from bridge.errors import DialplanError, Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import YamlFile

ANY_STEPS = "..."
NO_ROUTE = 404


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that came out otherwise: `key` of `expect`, both in words."""

    key: str
    expected: str
    came: str
    line: int

    def __str__(self) -> str:
        return f"{self.key}: expected {self.expected}, came {self.came}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one case; no misfits: all as expected. `way`: the steps that ran, in words."""

    name: str
    file: str
    line: int
    route: str
    way: tuple[str, ...]
    misfits: tuple[Misfit, ...]


@dataclass(frozen=True, slots=True)
class Cases:
    """A test file that was read."""

    document: YamlFile
    spec: CaseFile


def files(path: FilePath) -> list[FilePath]:
    """The test files of a plan: those of its folder, or the one beside a single file; or the one that is named."""
    if path.name.endswith(CASES_SUFFIX):
        return [path]
    if path.is_dir():
        return sorted(one for one in path.iterdir() if one.name.endswith(CASES_SUFFIX) and one.name[0] != ".")
    return [beside(path)] if beside(path).exists() else []


def beside(path: FilePath) -> FilePath:
    """Where the tests of a single plan file are."""
    return path.with_name(path.stem + CASES_SUFFIX[0])


def plan_of(path: FilePath) -> FilePath:
    """The plan that a test file tests: the file of the same name, else its folder; another path is a plan itself."""
    if not path.name.endswith(CASES_SUFFIX):
        return path
    stem = path.name.removesuffix(next(one for one in CASES_SUFFIX if path.name.endswith(one)))
    plans = [path.with_name(stem + suffix) for suffix in (".yaml", ".yml")]
    return next((one for one in plans if one.exists()), path.absolute().parent)


def read(path: FilePath, plan: Plan) -> Cases:
    """The cases of a file, checked against the plan's names. DialplanError: every mistake in it."""
    document = yamlfile.read(path, DialplanError)
    cases = Cases(document, yamlfile.validate(document, CaseFile, DialplanError))
    found = list(_mistakes(cases, plan))
    if found:
        raise DialplanError(found)
    return cases


def judge(cases: Cases, plan: Plan) -> Iterator[Verdict]:
    """A verdict for each case, in file order."""
    for number, case in enumerate(cases.spec.tests):
        place, _ = cases.document.find(("tests", number))
        call = case.call
        given = facts(plan, call, instant(plan, call.at or cases.spec.at))
        route = next((one for one in plan.routes if one.misfit(given) is None), None)
        assumed = Assumed(case.outcomes, (*case.keys, *case.answers))
        path = walk(route.steps if route else (), assumed, LAST_VERBS, plan.flows)
        name = route.name if route else ""
        wrong = tuple(
            Misfit(key, expected, came, cases.document.find(("tests", number, "expect", key))[0].line)
            for key, expected, came in _misfits(case.expect, name, path)
        )
        way = tuple(label(step) for step in path.steps)
        yield Verdict(case.name, cases.document.name, place.line, name, way, wrong)


def facts(plan: Plan, call: Call, at: datetime) -> CallFacts:
    """What the plan would know of the call at an aware instant."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    known = CallFacts(call.to, call.from_, call.name, headers, trunk=call.trunk, live=call.load)
    return plan.complete(known, at)


def instant(plan: Plan, text: str | None) -> datetime:
    """An aware time; now without a text. A time without a zone is in the opening hours' zone, if there is but one."""
    if not text:
        return datetime.now(UTC).astimezone()
    at = datetime.fromisoformat(text)
    if at.tzinfo is not None:
        return at
    zones = _zones(plan)
    return at.replace(tzinfo=ZoneInfo(zones.pop())) if len(zones) == 1 else at.astimezone()


def _zones(plan: Plan) -> set[str]:
    return {one for one in (plan.book.timezone, *(hours.timezone for hours in plan.hours)) if one}


def _mistakes(cases: Cases, plan: Plan) -> Iterator[Problem]:
    document, names = cases.document, [route.name for route in plan.routes]
    agents = [agent.name for agent in plan.agents]
    zones = _zones(plan)
    seen: set[str] = set()
    for number, case in enumerate(cases.spec.tests):
        here = ("tests", number)
        if case.name in seen:
            yield document.problem((*here, "name"), f"the name {case.name} is used twice")
        seen.add(case.name)
        at, where = (case.call.at, (*here, "call", "at")) if case.call.at else (cases.spec.at, ("at",))
        if zones and at is None:
            hint = "write at: 2026-11-23T10:00 there, or once at the head of the file"
            yield document.problem((*here, "call"), "what happens depends on the time", hint, at_key=True)
        elif at and len(zones) > 1 and datetime.fromisoformat(at).tzinfo is None:
            yield document.problem(where, "the plan has more than one time zone", f"say which: {at}+01:00")
        for key, known, kind in (("route", names, "route"), ("agent", agents, "agent")):
            name = getattr(case.expect, key)
            if name is not None and name not in known:
                yield document.problem(
                    (*here, "expect", key), f"no {kind} is called {name}", nearest(name, known)
                )
        if not case.expect.model_fields_set:
            yield document.problem((*here, "expect"), "nothing is expected", "route: NAME", at_key=True)


def _misfits(expect: Expect, route: str, path: Path) -> Iterator[tuple[str, str, str]]:
    if expect.route is not None and expect.route != route:
        yield "route", expect.route, route or "no route (404)"
    if path.wrong:
        yield "steps", "a call that comes to its end", f"{path.wrong} (after {_way(path.steps)})"
        return
    if path.unused:
        yield "steps", f"a step that asks for {', '.join(path.unused)}", _way(path.steps)
    if expect.agent is not None and expect.agent not in path.agents:
        yield "agent", expect.agent, ", ".join(path.agents) or f"no agent: {_way(path.steps)}"
    if expect.steps is not None and not same_steps(expect.steps, path.steps):
        yield "steps", ", ".join(expect.steps), _way(path.steps)
    if expect.ends is not None and expect.ends != path.end:
        yield "ends", expect.ends, path.end or "no step at all"
    status = path.status if route else NO_ROUTE
    if expect.status is not None and expect.status != status:
        yield "status", str(expect.status), "none" if status is None else str(status)


def _way(steps: Sequence[Step]) -> str:
    return ", ".join(label(step) for step in steps) or "no step"


def same_steps(patterns: Sequence[str], steps: Sequence[Step]) -> bool:
    """Whether the steps are those of the patterns; "..." stands for any number of them."""
    # fits[i]: the patterns so far fit the first i steps
    fits = [True, *(False for _ in steps)]
    for pattern in patterns:
        if pattern == ANY_STEPS:
            first = fits.index(True) if True in fits else len(fits)
            fits = [number >= first for number in range(len(fits))]
        else:
            fits = [False, *(was and _is(pattern, step) for was, step in zip(fits, steps, strict=False))]
    return fits[-1]


def _is(pattern: str, step: Step) -> bool:
    action, colon, text = pattern.partition(": ")
    if action != step.TAG:
        return False
    said = label(step).partition(": ")[2]
    return not colon or fnmatchcase(said.lower(), text.lower())
