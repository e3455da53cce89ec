"""Dialplan files to a Plan: read, type, check, compile. All or nothing.

    path (a file, or a folder of *.yaml read in the order of names) ──load──► Plan
                                                                    ──inspect──► Plan and warnings

Every mistake of every file is told at once (DialplanError). A `play` file's content is part of the plan's
version. Called by control (load, reload) and the CLI; any thread. Reads files, writes none. Not worker-safe.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bridge.dialplan import check, plan, reading
from bridge.dialplan.compile_agent import compile_agent
from bridge.dialplan.compile_book import calendars_of, compile_book, country_of
from bridge.dialplan.compile_outbound import compile_outbound
from bridge.dialplan.compile_steps import compile_queue, compile_steps
from bridge.dialplan.compile_when import conditions, opening_hours
from bridge.dialplan.source import Source
from bridge.dialplan.textvars import maybe_secrets
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
            compile_agent(name, agent, source.spec.language)
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
        transfers={name: target for source in sources for name, target in source.spec.transfers.items()},
        book=compile_book(sources),
        outbound=next(
            (compile_outbound(one, one.spec.outbound) for one in sources if one.spec.outbound), None
        ),
    )
    return Inspected(
        compiled,
        (*check.warnings(sources), *(one for each in sources for one in maybe_secrets(each.document))),
    )


def prompts(compiled: plan.Plan) -> list[PromptText]:
    """What has to be spoken for the plan, each text once, in file order."""
    says = (step for step in compiled.steps() if isinstance(step, plan.SayStep) and step.prompt_id)
    return list(dict.fromkeys(PromptText(say.prompt_id, say.text, say.language) for say in says))


def _route(source: Source, number: int, country: str) -> plan.Route:
    spec = source.spec.routes[number]
    place, _ = source.document.find(("routes", number))
    file = place.file or source.document.name
    steps = compile_steps(source, spec.do)
    when = tuple(conditions(spec.when, spec.name, country))
    return plan.Route(spec.name, when, steps, file, place.line)
