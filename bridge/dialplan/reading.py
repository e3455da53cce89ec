"""The documents of a dialplan, typed: as far as they can be, with every mistake of form.

What is right in a file with mistakes is still checked against the rest of the plan. Not worker-safe. Called by
bridge/dialplan/load.py; any thread.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from bridge import yamlfile
from bridge.dialplan import schema, schema_agent
from bridge.dialplan.files import Documents
from bridge.dialplan.source import Source
from bridge.dialplan.textvars import secrets
from bridge.errors import DialplanError, Problem
from bridge.yamlfile import KeyPath, YamlFile

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Read:
    """Sources in the order of reading. `whole`: the names of everything in them are known."""

    sources: list[Source]
    problems: list[Problem]
    whole: bool
    order: dict[str, int]

    def sorted(self, problems: list[Problem]) -> list[Problem]:
        """In the order of files and lines; where a text is wrong in itself, nothing else is said of it."""
        told = {(one.file, one.line, one.column) for one in self.problems}
        rest = [one for one in problems if (one.file, one.line, one.column) not in told]
        last = len(self.order)
        return sorted(
            [*self.problems, *rest],
            key=lambda one: (self.order.get(one.file, last), one.line, one.column),
        )


def read(path: Path, environment: str | None) -> Read:
    """The plan at `path`. Raises DialplanError only when there is nothing to read."""
    files = Documents(path, environment)
    sources: list[Source] = []
    found = list(files.problems)
    whole = files.whole
    for document, folder in files.documents:
        found += secrets(document)
        try:
            spec = yamlfile.validate(document, schema.Dialplan, DialplanError)
            sources.append(Source(document, spec, folder))
        except DialplanError as error:
            told = {(one.file, one.line, one.column) for one in found}
            found += [one for one in error.problems if (one.file, one.line, one.column) not in told]
            source, complete = _salvaged(document, folder)
            whole = whole and complete
            sources += [source] if source else []
    return Read(sources, found, whole, files.order)


def _salvaged(document: YamlFile, folder: Path) -> tuple[Source | None, bool]:
    """What of a file with mistakes can be checked against the rest, and whether all names in it are known."""
    data = document.data if isinstance(document.data, dict) else {"agents": None}
    agents, routes = data.get("agents", {}), data.get("routes", [])
    if not isinstance(agents, dict) or not isinstance(routes, list):
        return None, False
    broken: set[KeyPath] = set()
    parts, complete = _other_parts(data)
    typed_agents = {
        name: _typed(schema_agent.Agent, value, ("agents", name), broken) for name, value in agents.items()
    }
    typed_routes = [
        _typed(schema.Route, value, ("routes", number), broken) for number, value in enumerate(routes)
    ]
    spec = schema.Dialplan.model_construct(**parts, version=1, agents=typed_agents, routes=typed_routes)
    return Source(document, spec, folder, frozenset(broken)), complete


def _other_parts(data: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The parts that are right; False when names may be missing because another one is not."""
    parts, complete = {}, True
    for name, info in schema.Dialplan.model_fields.items():
        if name in data and name not in {"version", "agents", "routes"}:
            hint: Any = info.annotation
            try:
                parts[name] = TypeAdapter(hint).validate_python(data[name])
            except ValidationError:
                complete = False
    return parts, complete


def _typed(model: type[M], value: Any, path: KeyPath, broken: set[KeyPath]) -> M:
    try:
        return model.model_validate(value)
    except ValidationError:
        broken.add(path)
        return model.model_construct()
