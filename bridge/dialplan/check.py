"""Mistakes in a dialplan that only show when two places of it are seen together, and what looks odd.

`problems` are mistakes: the plan is refused. `warnings` are things a person should know: the plan is used.
Types and ranges are in bridge/dialplan/schema.py. Reads WAV headers of `play` files, otherwise no I/O; any
thread. Called by bridge/dialplan/load.py. Not worker-safe.
"""

from collections.abc import Collection, Iterator, Sequence

from bridge.dialplan import check_flows, check_outbound, check_reach, check_trunks
from bridge.dialplan.around import Around
from bridge.dialplan.check_actions import twice
from bridge.dialplan.check_agent import agent_problems, agent_warnings
from bridge.dialplan.check_book import book_problems, odd_patterns, unused
from bridge.dialplan.check_flows import always_ends
from bridge.dialplan.check_steps import Known, Names, StepWalk, Where, sound_problems
from bridge.dialplan.check_when import known_to_conditions, when_problems
from bridge.dialplan.compile_book import country_of
from bridge.dialplan.schema import Route
from bridge.dialplan.schema_agent import Agent
from bridge.dialplan.schema_queues import Queue
from bridge.dialplan.schema_steps import Step
from bridge.dialplan.source import Source
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath


def problems(sources: Sequence[Source], around: Around, *, whole: bool = True) -> Iterator[Problem]:
    """Every mistake, in file order. `around`: what there is beside the plan.

    `whole`: every agent and route has at least a name here; else nothing is said to be missing.
    """
    names = {
        section: {name for source in sources for name in getattr(source.spec, section)} if whole else None
        for section in ("agents", "transfers", "flows", "queues")
    }
    known, have = Known(**names, channels=around.channels), known_to_conditions(sources, whole=whole)
    yield from _twice(sources)
    yield from book_problems(sources, have, whole=whole)
    yield from check_trunks.problems(sources)
    answered = check_flows.answered(sources)
    for source in sources:
        for name, agent in source.agents():
            yield from _agent_problems(source, name, agent, around.providers)
            yield from agent_problems(source, name, agent, known.agents)
        for number, route in source.routes():
            path: KeyPath = ("routes", number)
            yield from when_problems(source.document, (*path, "when"), route.when, have)
            yield from StepWalk(source, known).steps(route.do, (*path, "do"), Where())
        for name, steps in source.flows():
            where = Where(maybe_answered=name in answered)
            yield from StepWalk(source, known).steps(steps, ("flows", name), where)
        for name, queue in source.queues():
            yield from _queue_problems(source, ("queues", name), queue, known.transfers)
    yield from check_flows.problems(sources)
    yield from check_outbound.problems(sources, known, whole=whole)
    yield from check_reach.problems(sources)
    if whole and not any(source.spec.routes for source in sources):
        yield sources[0].document.problem(
            ("routes",), "there is no route", "add one: every call would be refused"
        )


def warnings(sources: Sequence[Source]) -> Iterator[Problem]:
    """What is allowed but probably not meant."""
    used: set[str] = set()
    for source in sources:
        for number, route in enumerate(source.spec.routes):
            yield from odd_patterns(source, ("routes", number, "when"), route.when, country_of(sources))
            yield from _in_vain(source, route.do, ("routes", number, "do"))
        for name, flow in source.spec.flows.items():
            yield from _in_vain(source, flow, ("flows", name))
        yield from _no_fallback(source, used)
    used |= check_outbound.agents(sources)
    for source in sources:
        for name, agent in source.spec.agents.items():
            if name not in used:
                yield source.document.problem(("agents", name), "no route uses this agent", at_key=True)
            if agent.greeting is None and agent.prompt is None:
                hint = "add greeting, or the caller hears nothing until he speaks"
                yield source.document.problem(("agents", name), "no greeting", hint, at_key=True)
    yield from unused(sources)
    yield from check_flows.warnings(sources)
    yield from (one for source in sources for one in agent_warnings(source))
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


def every_step(source: Source) -> Iterator[tuple[KeyPath, Step]]:
    """Every step of a file with its path, those inside others included."""
    for number, route in source.routes():
        yield from _walk(route.do, ("routes", number, "do"))
    for name, steps in source.flows():
        yield from _walk(steps, ("flows", name))
    if source.spec.outbound is not None:
        yield from _walk(source.spec.outbound.do, ("outbound", "do"))


def _walk(steps: Sequence[Step], path: KeyPath) -> Iterator[tuple[KeyPath, Step]]:
    for number, step in enumerate(steps):
        here = (*path, number)
        yield here, step
        for inner_path, inner in lists_in(step):
            yield from _walk(inner, (*here, *inner_path))


def lists_in(step: Step) -> Iterator[tuple[KeyPath, Sequence[Step]]]:
    """The lists of steps inside a step, or_else as well, with the path that leads there."""
    yield from step.lists()
    if step.or_else:
        yield ("or_else",), step.or_else


def _in_vain(source: Source, steps: Sequence[Step], at: KeyPath) -> Iterator[Problem]:
    """Steps after a choice whose every way ends the call."""
    for number, step in enumerate(steps):
        if number and steps[number - 1].verb in {"menu", "switch"} and always_ends(steps[:number]):
            message = f"nothing comes here: every way of the {steps[number - 1].verb} before it ends"
            yield source.document.problem((*at, number), message, "remove it, or let one of them go on")
        for path, inner in lists_in(step):
            yield from _in_vain(source, inner, (*at, number, *path))


def _no_fallback(source: Source, used: set[str]) -> Iterator[Problem]:
    for path, step in every_step(source):
        used.add(step.agent or (step.conference.agent if step.conference else "") or "")
        if step.agent and not step.or_else and "or_else" not in path:
            hint = "add or_else: the caller would get 503 when the model does not come up"
            yield source.document.problem((*path, "agent"), "no fallback", hint)
        if step.switch is not None and "{" not in step.switch.value:
            message = "there is no variable in it: it always goes the same way"
            yield source.document.problem((*path, "switch", "value"), message, "such as {{ vars.tier }}")


def _twice(sources: Sequence[Source]) -> Iterator[Problem]:
    routes: dict[str, str] = {}
    for kind, word in (
        ("agents", "this agent is"),
        ("hours", "these hours are"),
        ("transfers", "this target is"),
        ("numbers", "this number is"),
        ("lists", "this list is"),
        ("holidays", "this calendar is"),
        ("vars", "this constant is"),
        ("flows", "this flow is"),
        ("queues", "this queue is"),
        ("trunks", "this trunk is"),
    ):
        seen: dict[str, str] = {}
        for source in sources:
            for name in getattr(source.spec, kind):
                if name in seen:
                    message, hint = f"{word} also in {seen[name]}", "give one another name, or remove it"
                    yield source.document.problem((kind, name), message, hint, at_key=True)
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


def _queue_problems(source: Source, path: KeyPath, queue: Queue, targets: Names) -> Iterator[Problem]:
    document = source.document
    for number, name in enumerate(queue.members):
        if targets is not None and name not in targets:
            hint = nearest(name, targets) or "name it in transfers"
            yield document.problem((*path, "members", number), f"transfers has no {name}", hint)
    yield from twice(document, queue.members, (*path, "members"))
    if queue.music:
        yield from sound_problems(source, queue.music, (*path, "music"))


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
            hint = f"tool_choice: {{type: {choice.type}, {needed}: …}}"
            yield document.problem(
                (*path, "tool_choice", needed), f"needed for type {choice.type}", hint, at_key=True
            )
