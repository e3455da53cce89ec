"""The documents of a dialplan, typed: as far as they can be, with every mistake of form.

What is right in a file with mistakes is still checked against the rest of the plan. Not worker-safe. Called by
bridge/dialplan/load.py; any thread.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from bridge import yamlfile
from bridge.dialplan import schema
from bridge.dialplan.files import Documents
from bridge.dialplan.prompts import Library, library
from bridge.dialplan.source import Source
from bridge.dialplan.textvars import suspicious
from bridge.errors import DialplanError, Problem
from bridge.yamlfile import KeyPath, YamlFile

_NAMED: Mapping[str, TypeAdapter[Any]] = {
    name: TypeAdapter(get_args(info.annotation)[1])
    for name, info in schema.Dialplan.model_fields.items()
    if get_origin(info.annotation) is dict
}
"""The sections of things by name. One that could not be typed is None in the spec, and its path in `broken`."""
_ROUTE: TypeAdapter[Any] = TypeAdapter(schema.Route)


@dataclass(frozen=True, slots=True)
class Read:
    """Sources in the order of reading. `odd`: warnings.

    `whole`: the names of everything in them are known.
    """

    sources: list[Source]
    problems: list[Problem]
    odd: list[Problem]
    whole: bool
    order: dict[str, int]

    def sorted(self, problems: list[Problem]) -> list[Problem]:
        """In the order of files and lines; where a text is wrong in itself, nothing else is said of it."""
        told = {(one.file, one.line, one.column) for one in self.problems}
        rest = [one for one in problems if (one.file, one.line, one.column) not in told]
        last = len(self.order)
        once: dict[tuple[str, int, int, str], Problem] = {}  # what an alias repeats is wrong once
        for one in (*self.problems, *rest):
            once.setdefault((one.file, one.line, one.column, one.message), one)
        return sorted(once.values(), key=lambda one: (self.order.get(one.file, last), one.line, one.column))


def read(path: Path, environment: str | None, instead: Mapping[Path, str] | None = None) -> Read:
    """The plan at `path`. Raises DialplanError only when there is nothing to read.

    `instead`: texts that are to be read in place of files.
    """
    files = Documents(path, environment, instead)
    sources: list[Source] = []
    found = list(files.problems)
    odd: list[Problem] = []
    whole = files.whole
    libraries: dict[Path, Library] = {}
    for document, folder in files.documents:
        prompts = libraries.setdefault(folder, library(folder))
        sure, unsure = suspicious(document)
        found += sure
        odd += unsure
        try:
            spec = yamlfile.validate(document, schema.Dialplan, DialplanError)
            sources.append(Source(document, spec, folder, files.root, prompts=prompts))
        except DialplanError as error:
            told = {(one.file, one.line, one.column) for one in found}
            found += [one for one in error.problems if (one.file, one.line, one.column) not in told]
            source, complete = _salvaged(document, folder, files.root, prompts)
            whole = whole and complete
            sources += [source] if source else []
    return Read(sources, found, odd, whole, files.order)


def _salvaged(document: YamlFile, folder: Path, root: Path, prompts: Library) -> tuple[Source | None, bool]:
    """What of a file with mistakes can be checked against the rest, and whether all names in it are known."""
    data = document.data if isinstance(document.data, dict) else {"agents": None}
    broken: set[KeyPath] = set()
    parts: dict[str, Any] = {}
    for section, kind in _NAMED.items():
        values = data.get(section, {})
        if not isinstance(values, dict):
            return None, False
        parts[section] = {
            name: _typed(kind, value, (section, name), broken) for name, value in values.items()
        }
    routes = data.get("routes", [])
    if not isinstance(routes, list):
        return None, False
    parts["routes"] = [
        _typed(_ROUTE, value, ("routes", number), broken) for number, value in enumerate(routes)
    ]
    singles, complete = _singles(data)
    spec = schema.Dialplan.model_construct(**{**parts, **singles, "version": 1})
    return Source(document, spec, folder, root, frozenset(broken), prompts), complete


def _singles(data: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The parts that are no sections of names, where they are right; False when one is not."""
    parts, complete = {}, True
    for name, info in schema.Dialplan.model_fields.items():
        if name in data and name not in {"version", "routes", *_NAMED}:
            hint: Any = info.annotation
            try:
                parts[name] = TypeAdapter(hint).validate_python(data[name])
            except ValidationError:
                complete = False
    return parts, complete


def _typed(kind: TypeAdapter[Any], value: Any, path: KeyPath, broken: set[KeyPath]) -> Any:
    try:
        return kind.validate_python(value)
    except ValidationError:
        broken.add(path)
        return None
