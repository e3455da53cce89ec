"""What is different between two plans, in words; and which calls would be routed differently.

    old, new ──compare──► Change("~", "route front desk", ("to 100  ->  to 100 or 101", …)), …

Over the fields of the dataclasses: what a later version of Plan, Route or a step holds is compared without a change
here. Where something is written (file, line) is no difference. Pure, any thread.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bridge.dialplan.facts import HEADER, CallFacts
from bridge.dialplan.plan import Plan, Route
from bridge.dialplan.words import condition, outline, plain
from bridge.strictjson import encode

ADDED, REMOVED, CHANGED, MOVED = "+", "-", "~", ">"
WHERE = frozenset({"file", "line", "path"})
NOUNS = {"hours": "hours", "transfers": "transfer target", "book": "numbers and"}
LONG = 60
"""Characters from which two texts are compared line by line."""
NO_ROUTE = "no route (404)"


@dataclass(frozen=True, slots=True)
class Change:
    """`sign`: + added, - removed, ~ changed, > moved. `what`: "route front desk". `lines`: the details."""

    sign: str
    what: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rerouted:
    """A call that another route would take: the names of both."""

    facts: CallFacts
    before: str
    after: str


def compare(old: Plan, new: Plan) -> Iterator[Change]:
    """Every difference: routes in their order, then agents, hours and all else."""
    yield from _routes(old.routes, new.routes)
    for field in fields(Plan):
        if field.init and field.name != "routes":
            noun = NOUNS.get(field.name, field.name.rstrip("s"))
            before, after = getattr(old, field.name), getattr(new, field.name)
            yield from _named(noun, _by_name(field.name, before), _by_name(field.name, after))


def rerouted(old: Plan, new: Plan, calls: Iterable[tuple[CallFacts, CallFacts]]) -> Iterator[Rerouted]:
    """The calls for which the two plans choose routes of different names. `calls`: what each plan knows of a call."""
    for known_old, known_new in calls:
        before, after = _taker(old, known_old), _taker(new, known_new)
        if before != after:
            yield Rerouted(known_new, before, after)


def asks_for_headers(plan: Plan) -> bool:
    """Whether a route looks at a header."""
    return any(one.field.startswith(HEADER) for route in plan.routes for one in route.conditions)


def _taker(plan: Plan, facts: CallFacts) -> str:
    return next((route.name for route in plan.routes if route.misfit(facts) is None), NO_ROUTE)


def _routes(old: Sequence[Route], new: Sequence[Route]) -> Iterator[Change]:
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    moved = _moved(
        [one.name for one in old if one.name in after], [one.name for one in new if one.name in before]
    )
    for name, route in before.items():
        if name not in after:
            yield Change(REMOVED, f"route {name}", tuple(_whole_route(route)))
    previous = ""
    for name, route in after.items():
        place = f"after {previous}" if previous else "first of all"
        if name not in before:
            yield Change(ADDED, f"route {name}, {place}", tuple(_whole_route(route)))
        else:
            if name in moved:
                yield Change(MOVED, f"route {name} moved: now {place}")
            yield from _route(before[name], route)
        previous = name


def _moved(old: Sequence[str], new: Sequence[str]) -> set[str]:
    """The fewest names that have to be moved: all but a longest common run of the rest."""
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    stayed = {name for block in blocks for name in old[block.a : block.a + block.size]}
    return set(old) - stayed


def _route(old: Route, new: Route) -> Iterator[Change]:
    if encode(old, WHERE) == encode(new, WHERE):
        return
    before, after = [condition(one) for one in old.conditions], [condition(one) for one in new.conditions]
    lines = [f"{REMOVED} when {one}" for one in before if one not in after]
    lines += [f"{ADDED} when {one}" for one in after if one not in before]
    if not lines and before != after:
        lines.append("the order of its conditions")
    lines += _line_diff(list(outline(old.steps)), list(outline(new.steps)))
    yield Change(
        CHANGED, f"route {new.name}", tuple(lines or ["the content of a file that it plays, or a long list"])
    )


def _whole_route(route: Route) -> Iterator[str]:
    yield (
        f"when {', '.join(condition(one) for one in route.conditions)}" if route.conditions else "every call"
    )
    yield from outline(route.steps)


def _by_name(kind: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and all(hasattr(one, "name") for one in value):
        return {one.name: one for one in value}
    return {kind: value}


def _named(noun: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        what = f"{noun} {name}"
        if name not in new:
            yield Change(REMOVED, what)
        elif name not in old:
            yield Change(ADDED, what, tuple(_fields(None, new[name])))
        elif encode(old[name], WHERE) != encode(new[name], WHERE):
            yield Change(CHANGED, what, tuple(_fields(old[name], new[name])))


def _fields(old: Any, new: Any) -> Iterator[str]:
    """How the fields of two dataclasses, or two plain values, differ; `old` None: what `new` says that is not empty."""
    if not hasattr(new, "__dataclass_fields__"):
        if isinstance(new, tuple) and new and hasattr(new[0], "TAG"):
            yield from _line_diff(list(outline(old or ())), list(outline(new)))
        else:
            yield f"{plain(old)} -> {plain(new)}" if old is not None else plain(new)
        return
    for field in fields(new):
        before, after = getattr(old, field.name, None), getattr(new, field.name)
        if field.name in WHERE or field.name == "name" or before == after or (old is None and not after):
            continue
        yield from _value(field.name, before, after, fresh=old is None)


def _value(name: str, before: Any, after: Any, *, fresh: bool) -> Iterator[str]:
    if fresh:
        yield f"{name}: {plain(after)}"
    elif isinstance(before, tuple) and isinstance(after, tuple):
        gone = [plain(one) for one in before if one not in after]
        more = [plain(one) for one in after if one not in before]
        yield f"{name}: {', '.join([*(f'-{one}' for one in gone), *(f'+{one}' for one in more)]) or 'another order'}"
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            if before.get(key) != after.get(key):
                yield f"{name}.{key}: {_or_none(before.get(key))} -> {_or_none(after.get(key))}"
    elif isinstance(before, str) and isinstance(after, str) and max(len(before), len(after)) > LONG:
        yield f"{name}:"
        yield from (f"  {line}" for line in _line_diff(before.splitlines(), after.splitlines()))
    else:
        yield f"{name}: {_or_none(before)} -> {_or_none(after)}"


def _or_none(value: Any) -> str:
    return "not set" if value is None or value == () else plain(value)


def _line_diff(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Lines that went and came, each with one line around it."""
    lines = list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]
    return [f"{line[0]} {line[1:]}".rstrip() for line in lines if not line.startswith("@@")]
