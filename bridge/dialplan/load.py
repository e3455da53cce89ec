"""Dialplan files to a Plan: read, type, check, compile. All or nothing.

    path (a file, or a folder of *.yaml read in the order of names) ──load──► Plan
                                                                    ──inspect──► Plan and warnings

Every mistake of every file is told at once (DialplanError). A `play` file's content is part of the plan's
version. Called by control (load, reload) and the CLI; any thread. Reads files, writes none. Not worker-safe.
"""

import contextlib
import gc
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.dialplan import check, plan, reading
from bridge.dialplan.compile_agent import compile_agent
from bridge.dialplan.compile_book import calendars_of, compile_book, country_of
from bridge.dialplan.compile_recording import recording_rule
from bridge.dialplan.compile_steps import compile_queue, compile_steps
from bridge.dialplan.compile_trunks import compile_trunk
from bridge.dialplan.compile_when import conditions, opening_hours
from bridge.dialplan.source import Source
from bridge.errors import DialplanError, Problem


@dataclass(frozen=True, slots=True)
class PromptText:
    """A text somebody has to speak into `PathsConfig.prompt(prompt_id)` before the plan is used."""

    prompt_id: str
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Inspected:
    """A plan that may be used, and what is odd about it."""

    plan: plan.Plan
    warnings: tuple[Problem, ...]


def load(
    path: Path, providers: Collection[str] | None = None, *, environment: str | None = None
) -> plan.Plan:
    """The plan of a file or folder; DialplanError holds every mistake.

    `providers`: names known from the settings. `environment`: whose overlay is laid over the plan.
    """
    return inspect(path, providers, environment=environment).plan


def inspect(
    path: Path, providers: Collection[str] | None = None, *, environment: str | None = None
) -> Inspected:
    """As `load`, with the warnings."""
    with _collector_paused():
        return _inspect(path, providers, environment)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """A plan is one large tree without cycles: looking for some takes two fifths of the time it takes to load it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _inspect(path: Path, providers: Collection[str] | None, environment: str | None) -> Inspected:
    read = reading.read(path, environment)
    sources = read.sources
    found = read.sorted(list(check.problems(sources, providers, whole=read.whole)))
    if found:
        raise DialplanError(found)
    calendars, country = calendars_of(sources), country_of(sources)
    compiled = plan.Plan(
        routes=tuple(
            _route(source, number, country) for source in sources for number in range(len(source.spec.routes))
        ),
        agents=tuple(
            compile_agent(source, name, agent)
            for source in sources
            for name, agent in source.spec.agents.items()
        ),
        hours=tuple(
            opening_hours(name, one, calendars)
            for source in sources
            for name, one in source.spec.hours.items()
        ),
        flows={
            name: compile_steps(source, steps)
            for source in sources
            for name, steps in source.spec.flows.items()
        },
        queues=tuple(
            compile_queue(source, name, one) for source in sources for name, one in source.spec.queues.items()
        ),
        trunks=tuple(
            compile_trunk(name, one) for source in sources for name, one in source.spec.trunks.items()
        ),
        transfers={name: target for source in sources for name, target in source.spec.transfers.items()},
        book=compile_book(sources),
    )
    return Inspected(compiled, (*check.warnings(sources), *read.odd))


def prompts(compiled: plan.Plan) -> list[PromptText]:
    """What has to be spoken for the plan, each text once, in file order."""
    says = (step for step in compiled.steps() if isinstance(step, plan.SayStep) and step.prompt_id)
    spoken = [PromptText(say.prompt_id, say.text, say.language) for say in says]
    rules = [route.recording for route in compiled.routes]
    rules += [agent.recording_rule for agent in compiled.agents]
    spoken += [
        PromptText(rule.prompt_id, rule.announce, rule.language) for rule in rules if rule and rule.announce
    ]
    return list(dict.fromkeys(spoken))


def _route(source: Source, number: int, country: str) -> plan.Route:
    spec = source.spec.routes[number]
    place, _ = source.document.find(("routes", number))
    file = place.file or source.document.name
    steps = compile_steps(source, spec.do)
    when = tuple(conditions(spec.when, spec.name, country))
    rule = recording_rule(spec.recording, source.spec.language)
    return plan.Route(spec.name, when, steps, file, place.line, rule)
