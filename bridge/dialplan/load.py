"""Dialplan files to a Plan: read, type, check, compile. All or nothing.

    path (a file, or a folder of *.yaml read in the order of names) ──load──► Plan
                                                                    ──inspect──► Plan and warnings
    path (*.json, a plan that was compiled before) goes through as it is: versions that are kept, simulations

Every mistake of every file is told at once (DialplanError). A `play` file's content is part of the plan's
version. Called by control (load, reload) and the CLI; any thread. Reads files, writes none. Not worker-safe.
"""

import contextlib
import gc
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from bridge.dialplan import check, check_hours, check_tools, check_vars, check_words, plan, reading
from bridge.dialplan.around import Around
from bridge.dialplan.compile_agent import compile_agent
from bridge.dialplan.compile_book import calendars_of, compile_book, country_of
from bridge.dialplan.compile_outbound import compile_outbound
from bridge.dialplan.compile_recording import recording_rule
from bridge.dialplan.compile_steps import compile_queue, compile_steps
from bridge.dialplan.compile_trunks import compile_trunk, uri_of
from bridge.dialplan.compile_when import conditions, opening_hours
from bridge.dialplan.schema_targets import TrunkTarget
from bridge.dialplan.source import Source
from bridge.errors import DialplanError, LinkError, Problem

Providers = Collection[str] | Around | None
"""The names of the providers alone, or all that there is around the plan."""


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


def load(path: Path, providers: Providers = None, *, environment: str | None = None) -> plan.Plan:
    """The plan of a file or folder; DialplanError holds every mistake.

    `providers`: names known from the settings, or all that there is around. `environment`: whose overlay is laid over
    the plan.
    """
    return inspect(path, providers, environment=environment).plan


def inspect(
    path: Path,
    providers: Providers = None,
    *,
    environment: str | None = None,
    today: date | None = None,
    instead: Mapping[Path, str] | None = None,
) -> Inspected:
    """As `load`, with the warnings.

    `today`: the day of the check. `instead`: texts that are to be read in place of files.
    """
    if path.suffix == ".json":
        return Inspected(_kept(path), ())
    around = providers if isinstance(providers, Around) else Around(providers)
    with _collector_paused():
        read = reading.read(path, environment, instead)
        compiled = _compiled(read, around)
        odd = [*check.warnings(read.sources), *read.odd]
        odd += check_hours.warnings(read.sources, compiled.hours, today or datetime.now(UTC).date())
        odd += check_tools.warnings(read.sources, around.tools) if around.tools is not None else ()
        odd += check_vars.warnings(read.sources)
        odd += check_words.warnings(read.sources, around.unknown_words)
        return Inspected(compiled, tuple(odd))


def _kept(path: Path) -> plan.Plan:
    """A plan that was compiled before, as control keeps it (`Plan.to_json`)."""
    try:
        return plan.Plan.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, LinkError) as error:
        raise DialplanError([Problem(str(path), 0, 0, "", f"no plan is kept here: {error}")]) from None


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


def _compiled(read: reading.Read, around: Around) -> plan.Plan:
    sources = read.sources
    found = read.sorted(list(check.problems(sources, around, whole=read.whole)))
    if found:
        raise DialplanError(found)
    calendars, country = calendars_of(sources), country_of(sources)
    trunks = {
        name: compile_trunk(name, one) for source in sources for name, one in source.spec.trunks.items()
    }
    targets = {name: target for source in sources for name, target in source.spec.transfers.items()}
    return plan.Plan(
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
        trunks=tuple(trunks.values()),
        transfers={name: uri_of(target, trunks) for name, target in targets.items()},
        over={name: target.trunk for name, target in targets.items() if isinstance(target, TrunkTarget)},
        book=compile_book(sources),
        outbound=next(
            (compile_outbound(one, one.spec.outbound, trunks) for one in sources if one.spec.outbound), None
        ),
    )


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
