"""Dialplan files to a Plan: read, type, check, compile. All or nothing.

    path (a file, or a folder of *.yaml read in the order of names) ──load──► Plan
                                                                    ──inspect──► Plan and warnings

Every mistake of every file is told at once (DialplanError). A `play` file's content is part of the plan's
version. Called by control (load, reload) and the CLI; any thread. Reads files, writes none. Not worker-safe.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge import yamlfile
from bridge.dialplan import check, plan, schema
from bridge.dialplan.check import Source
from bridge.dialplan.hours import Hours
from bridge.dialplan.schema_base import Part
from bridge.dialplan.schema_hours import Hours as HoursSpec
from bridge.errors import DialplanError, Problem
from bridge.yamlfile import KeyPath

M = TypeVar("M", bound=BaseModel)

_STATUS_WORDS = {
    403: "Forbidden",
    404: "Not Found",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
    607: "Unwanted",
    608: "Rejected",
}
"""Reason phrases of the statuses people use (RFC 3261 section 21, RFC 8197, RFC 8688)."""


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


def load(path: Path, providers: Collection[str] | None = None) -> plan.Plan:
    """The plan of a file or folder; DialplanError holds every mistake. `providers`.

    Names known from the settings.
    """
    return inspect(path, providers).plan


def inspect(path: Path, providers: Collection[str] | None = None) -> Inspected:
    """As `load`, with the warnings."""
    files = _files(path)
    sources, found, whole = _read_all(files)
    found += check.problems(sources, providers, whole=whole)
    if found:
        order = {str(file): number for number, file in enumerate(files)}
        raise DialplanError(sorted(found, key=lambda one: (order[one.file], one.line, one.column)))
    compiled = plan.Plan(
        routes=tuple(
            _route(source, number) for source in sources for number in range(len(source.spec.routes))
        ),
        agents=tuple(
            _agent(name, agent, source.spec.language)
            for source in sources
            for name, agent in source.spec.agents.items()
        ),
        hours=tuple(_hours(name, one) for source in sources for name, one in source.spec.hours.items()),
        transfers={name: target for source in sources for name, target in source.spec.transfers.items()},
    )
    return Inspected(compiled, tuple(check.warnings(sources)))


def prompts(compiled: plan.Plan) -> list[PromptText]:
    """What has to be spoken for the plan, each text once, in file order."""
    says = (step for step in compiled.steps() if isinstance(step, plan.SayStep))
    return list(dict.fromkeys(PromptText(say.prompt_id, say.text, say.language) for say in says))


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DialplanError(
            [Problem(str(path), 0, 0, "", "there is no such file or folder", "set `dialplans`")]
        )
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix in {".yaml", ".yml"} and one.name[0] != ".")
    if not found:
        raise DialplanError(
            [Problem(str(path), 0, 0, "", "no *.yaml file in this folder", "set `dialplans`")]
        )
    return found


def _read_all(files: Sequence[Path]) -> tuple[list[Source], list[Problem], bool]:
    """The files as far as they can be read, what is wrong with the rest, and whether every name of them is known."""
    sources: list[Source] = []
    found: list[Problem] = []
    whole = True
    for file in files:
        folder = file.absolute().parent
        try:
            document = yamlfile.read(file, DialplanError)
        except DialplanError as error:
            found += error.problems
            whole = False
            continue
        try:
            spec = yamlfile.validate(document, schema.Dialplan, DialplanError)
            sources.append(Source(document, spec, folder))
        except DialplanError as error:
            found += error.problems
            source = _salvaged(document, folder)
            whole = whole and source is not None
            sources += [source] if source else []
    return sources, found, whole


def _salvaged(document: yamlfile.YamlFile, folder: Path) -> Source | None:
    """What of a file with mistakes can still be checked against the rest; None when not even the names are there."""
    data = document.data if isinstance(document.data, dict) else {"agents": None}
    agents, routes = data.get("agents", {}), data.get("routes", [])
    if not isinstance(agents, dict) or not isinstance(routes, list):
        return None
    broken: set[KeyPath] = set()
    typed_agents = {
        name: _typed(schema.Agent, value, ("agents", name), broken) for name, value in agents.items()
    }
    typed_routes = [
        _typed(schema.Route, value, ("routes", number), broken) for number, value in enumerate(routes)
    ]
    spec = schema.Dialplan.model_construct(version=1, agents=typed_agents, routes=typed_routes)
    return Source(document, spec, folder, frozenset(broken))


def _typed(model: type[M], value: Any, path: KeyPath, broken: set[KeyPath]) -> M:
    try:
        return model.model_validate(value)
    except ValidationError:
        broken.add(path)
        return model.model_construct()


def _route(source: Source, number: int) -> plan.Route:
    spec = source.spec.routes[number]
    place, _ = source.document.find(("routes", number))
    steps = tuple(_step(source, step) for step in spec.do)
    return plan.Route(spec.name, tuple(_conditions(spec.when)), steps, source.document.name, place.line)


def _conditions(when: schema.When | None) -> Iterator[plan.Condition]:
    if when is None:
        return
    if when.to:
        yield plan.Condition("to", tuple(when.to))
    if when.from_:
        yield plan.Condition("from", tuple(when.from_))
    for name, patterns in (when.headers or {}).items():
        yield plan.Condition(plan.HEADER + name.lower(), tuple(patterns))
    if when.hours:
        yield plan.Condition("hours", tuple(when.hours))
    if when.outside:
        yield plan.Condition("outside", tuple(when.outside))


def _hours(name: str, spec: HoursSpec) -> Hours:
    week = {str(day): tuple(_minutes(window) for window in windows) for day, windows in spec.week.items()}
    return Hours(name, spec.timezone, week, tuple(sorted(spec.holidays)))


def _minutes(window: str) -> tuple[int, int]:
    start, end = (60 * int(text[:2]) + int(text[3:]) for text in window.split("-"))
    return start, end


def _step(source: Source, step: schema.Step) -> plan.Step:  # noqa: PLR0911  # a case an action
    """The compiled step; the checks made sure that exactly one action is set."""
    match step:
        case schema.Step(ring=schema.Ring() as ring):
            return plan.RingStep(ring.ms)
        case schema.Step(say=schema.Say() as say):
            language = say.language or source.spec.language
            return plan.SayStep(say.text, language, prompt_id(say.text, language))
        case schema.Step(play=str() as file):
            path = check.play_path(source, file)
            return plan.PlayStep(str(path), hashlib.sha256(path.read_bytes()).hexdigest()[:16])
        case schema.Step(hang_up=schema.HangUp() as end):
            return plan.HangUpStep(end.status, end.reason or _STATUS_WORDS.get(end.status or 0, ""))
        case schema.Step(reject=schema.Reject() as end):
            return plan.RejectStep(end.status, end.reason or _STATUS_WORDS.get(end.status, "Refused"))
        case _:
            or_else = tuple(_step(source, one) for one in step.or_else or ())
            if step.transfer is not None:
                return plan.TransferStep(step.transfer, or_else)
            return plan.AgentStep(str(step.agent), or_else)


def prompt_id(text: str, language: str) -> str:
    """16 hex digits that name a spoken text: the same text in the same language is spoken once."""
    return hashlib.sha256(f"{language}\n{text}".encode()).hexdigest()[:16]


def _agent(name: str, spec: schema.Agent, language: str) -> plan.Agent:
    return plan.Agent(
        name=name,
        instructions=spec.instructions,
        greeting=spec.greeting,
        language=spec.language or language,
        provider=spec.provider,
        model=spec.model,
        voice=spec.voice,
        speed=spec.speed,
        audio_format=spec.audio.format if spec.audio else None,
        turn_detection=_sent(spec.turn_detection),
        noise_reduction=_sent(spec.noise_reduction),
        transcription=_sent(spec.transcription),
        max_output_tokens=spec.max_output_tokens,
        truncation=_sent(spec.truncation),
        tool_choice=_sent(spec.tool_choice),
        reasoning_effort=spec.reasoning.effort if spec.reasoning else None,
        barge_in=spec.barge_in,
        recording=spec.recording,
        max_call_s=spec.limits.max_call_s if spec.limits else None,
        tools=tuple(spec.tools),
    )


def _sent(value: Any) -> Any:
    """What goes over the wire: only what was given."""
    return value.model_dump(exclude_none=True) if isinstance(value, Part) else value
