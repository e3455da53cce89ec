"""Dialplan files to a Plan: read, type, check, compile. All or nothing.

    path (a file, or a folder of *.yaml read in the order of names) ──load──► Plan
                                                                    ──inspect──► Plan and warnings

Every mistake of every file is told at once (DialplanError). A `play` file's content is part of the plan's
version. Called by control (load, reload) and the CLI; any thread. Reads files, writes none. Not worker-safe.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge import yamlfile
from bridge.dialplan import check, plan, schema, schema_agent
from bridge.dialplan.compile_agent import compile_agent
from bridge.dialplan.compile_steps import compile_step
from bridge.dialplan.compile_trunks import compile_trunk
from bridge.dialplan.compile_when import conditions, opening_hours
from bridge.dialplan.source import Source
from bridge.errors import DialplanError, Problem
from bridge.yamlfile import KeyPath

M = TypeVar("M", bound=BaseModel)


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
            compile_agent(name, agent, source.spec.language)
            for source in sources
            for name, agent in source.spec.agents.items()
        ),
        hours=tuple(
            opening_hours(name, one) for source in sources for name, one in source.spec.hours.items()
        ),
        trunks=tuple(
            compile_trunk(name, one) for source in sources for name, one in source.spec.trunks.items()
        ),
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
        name: _typed(schema_agent.Agent, value, ("agents", name), broken) for name, value in agents.items()
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
    steps = tuple(compile_step(source, step) for step in spec.do)
    return plan.Route(spec.name, tuple(conditions(spec.when)), steps, source.document.name, place.line)
