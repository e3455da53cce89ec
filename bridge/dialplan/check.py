"""Mistakes in a dialplan that only show when two places of it are seen together, and what looks odd.

`problems` are mistakes: the plan is refused. `warnings` are things a person should know: the plan is used.
Types and ranges are in bridge/dialplan/schema.py. Reads WAV headers of `play` files, otherwise no I/O; any
thread. Called by bridge/dialplan/load.py. Not worker-safe.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from bridge.dialplan import check_trunks
from bridge.dialplan.check_steps import StepWalk
from bridge.dialplan.match import is_regex
from bridge.dialplan.schema import Route
from bridge.dialplan.schema_agent import Agent
from bridge.dialplan.schema_hours import Hours
from bridge.dialplan.schema_steps import Step
from bridge.dialplan.schema_when import When
from bridge.dialplan.source import Source
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath, YamlFile


def problems(
    sources: Sequence[Source], providers: Collection[str] | None, *, whole: bool = True
) -> Iterator[Problem]:
    """Every mistake, in file order. `providers`: names in the settings; None when they are not known.

    `whole`: every agent and route has at least a name here; else nothing is said to be missing.
    """
    agents = {name for source in sources for name in source.spec.agents} if whole else None
    hours = {name for source in sources for name in source.spec.hours} if whole else None
    targets = {name for source in sources for name in source.spec.transfers} if whole else None
    yield from _twice(sources)
    yield from check_trunks.problems(sources)
    for source in sources:
        for name, opening in source.spec.hours.items():
            yield from _hours_problems(source.document, ("hours", name), opening)
        for name, agent in source.agents():
            yield from _agent_problems(source, name, agent, providers)
        for number, route in source.routes():
            path: KeyPath = ("routes", number)
            yield from _when_problems(source.document, (*path, "when"), route.when)
            yield from _unknown_hours(source.document, (*path, "when"), route.when, hours)
            walk = StepWalk(source, agents, targets)
            yield from walk.steps(route.do, (*path, "do"), answered=False, fallback=False)
    yield from _unreachable(sources)
    if whole and not any(source.spec.routes for source in sources):
        yield sources[0].document.problem(
            ("routes",), "there is no route", "add one: every call would be refused"
        )


def warnings(sources: Sequence[Source]) -> Iterator[Problem]:
    """What is allowed but probably not meant."""
    used: set[str] = set()
    for source in sources:
        for number, route in enumerate(source.spec.routes):
            for path, step in _walk(route.do, ("routes", number, "do")):
                used.add(step.agent or "")
                if step.agent and not step.or_else and "or_else" not in path:
                    hint = "add or_else: the caller would get 503 when the model does not come up"
                    yield source.document.problem((*path, "agent"), "no fallback", hint)
    for source in sources:
        for name, agent in source.spec.agents.items():
            if name not in used:
                yield source.document.problem(("agents", name), "no route uses this agent", at_key=True)
            if agent.greeting is None:
                hint = "add greeting, or the caller hears nothing until he speaks"
                yield source.document.problem(("agents", name), "no greeting", hint, at_key=True)
    yield from check_trunks.warnings(sources)
    last = [(source, source.spec.routes) for source in sources if source.spec.routes]
    if last and not _fits_all(last[-1][1][-1]):
        source, routes = last[-1]
        hint = "end with a route without `when`; now other calls get 404"
        yield source.document.problem(
            ("routes", len(routes) - 1), "the last route does not fit every call", hint
        )


def _fits_all(route: Route) -> bool:
    return route.when is None


def _walk(steps: Sequence[Step], path: KeyPath) -> Iterator[tuple[KeyPath, Step]]:
    for number, step in enumerate(steps):
        here = (*path, number)
        yield here, step
        yield from _walk(step.or_else or (), (*here, "or_else"))


def _twice(sources: Sequence[Source]) -> Iterator[Problem]:
    routes: dict[str, str] = {}
    for kind, word in (
        ("agents", "this agent is"),
        ("hours", "these hours are"),
        ("transfers", "this target is"),
        ("trunks", "this trunk is"),
    ):
        seen: dict[str, str] = {}
        for source in sources:
            for name in getattr(source.spec, kind):
                if name in seen:
                    yield source.document.problem((kind, name), f"{word} also in {seen[name]}", at_key=True)
                seen.setdefault(name, source.document.name)
    for source in sources:
        document = source.document
        for number, route in source.routes():
            here = document.problem(("routes", number, "name"), f"the name {route.name} is used twice")
            if route.name in routes:
                yield document.problem(
                    ("routes", number, "name"), here.message, f"first in {routes[route.name]}"
                )
            routes.setdefault(route.name, f"{document.name}:{here.line}")


def _unreachable(sources: Sequence[Source]) -> Iterator[Problem]:
    earlier: dict[str, str] = {}
    catch_all = ""
    for source in sources:
        for number, route in source.routes():
            key = route.when.model_dump_json() if route.when else ""
            winner = catch_all or earlier.get(key, "")
            if winner:
                hint = "the first fitting route wins: move it up, or remove one"
                message = f"no call comes here: {winner} takes them all"
                yield source.document.problem(("routes", number), message, hint)
            elif _fits_all(route):
                catch_all = route.name
            earlier.setdefault(key, route.name)


def _when_problems(document: YamlFile, path: KeyPath, when: When | None) -> Iterator[Problem]:
    if when is None:
        return
    if not (when.to or when.from_ or when.headers or when.hours or when.outside):
        hint = "leave `when` out for a route that fits every call"
        yield document.problem(path, "no condition in it", hint, at_key=True)
    seen: dict[str, str] = {}
    for name in when.headers or {}:
        if name.lower() in seen:
            hint = "header names ignore case: join the patterns in a list"
            yield document.problem(
                (*path, "headers", name), f"same as {seen[name.lower()]}", hint, at_key=True
            )
        seen[name.lower()] = name
    for field, patterns in (("to", when.to), ("from", when.from_)):
        for number, pattern in enumerate(patterns or ()):
            if not is_regex(pattern) and any(char in pattern for char in " ()/"):
                hint = "write it as the network sends it: digits, + in front, no spaces"
                yield document.problem((*path, field, number), f"{pattern} is not how numbers arrive", hint)


def _hours_problems(document: YamlFile, path: KeyPath, hours: Hours) -> Iterator[Problem]:
    for day, windows in hours.week.items():
        ordered = sorted(windows)
        for earlier, later in pairwise(ordered):
            if later.partition("-")[0] < earlier.partition("-")[2]:
                message = f"{earlier} and {later} overlap"
                yield document.problem((*path, "week", day), message, "make one window of them")
    if not any(hours.week.values()):
        yield document.problem((*path, "week"), "it is never open", "name a day with a window")


def _unknown_hours(
    document: YamlFile, path: KeyPath, when: When | None, known: Collection[str] | None
) -> Iterator[Problem]:
    if when is None or known is None:
        return
    for key, names in (("hours", when.hours), ("outside", when.outside)):
        for name in names or ():
            if name not in known:
                yield document.problem(
                    (*path, key), f"there are no opening hours {name}", nearest(name, known)
                )


def _agent_problems(
    source: Source, name: str, agent: Agent, providers: Collection[str] | None
) -> Iterator[Problem]:
    document, path = source.document, ("agents", name)
    if providers is not None and agent.provider is not None and agent.provider not in providers:
        hint = nearest(agent.provider, providers)
        yield document.problem((*path, "provider"), f"no provider {agent.provider} in the settings", hint)
    choice = agent.tool_choice
    if choice is not None and not isinstance(choice, str):
        needed = "name" if choice.type == "function" else "server_label"
        if getattr(choice, needed) is None:
            yield document.problem(
                (*path, "tool_choice", needed), f"needed for type {choice.type}", at_key=True
            )
