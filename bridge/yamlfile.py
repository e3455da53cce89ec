"""YAML files that people write.

Plain data, the place of every value, and mistakes told with file, line and column.

    bytes ──read/parse──► YamlFile(data, places) ──validate(model)──► pydantic value
                     └── each mistake: Problem ──► the FileProblems class the caller names

The scalars follow YAML 1.2: `no`, `on`, `12:30` and `2026-11-20` are text; only true/false, null and decimal
numbers are something else. Keys are always text. Tags, several documents, duplicate keys, control characters,
deep nesting and aliases that blow up are refused. Nothing but the FileProblems class that was asked for
leaves this module.

It reads libyaml's events and never lets PyYAML compose: composing recurses in C and a hostile file crashes
the process. Not worker-safe (PyYAML, pydantic). Called by settings, dialplan and scenario loading; any
thread.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bridge import fieldhelp
from bridge.errors import FileProblems, Problem

MAX_FILE_BYTES = 8 * 1024 * 1024
"""A plan of 5,000 routes has about 1.5 MB."""
MAX_DEPTH = 40
MAX_NODES = 400_000
"""Counted after aliases are expanded."""
MAX_PROBLEMS = 50

M = TypeVar("M", bound=BaseModel)
KeyPath = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?\Z")
_KEY_ALONE = re.compile(r"[ -]*[A-Za-z0-9_-]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Place:
    """Where a value is written, from 1. `text`: a scalar as written.

    `source` replaces the file's name (environment); `file` too, where a value was laid over that of another file.
    """

    line: int
    column: int
    text: str | None = None
    children: dict[str | int, "Place"] = field(default_factory=dict)
    key_column: int = 0
    key_line: int = 0
    source: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A parsed file: `data` of dict, list, str, int, float, bool and None, and the places of it all."""

    name: str
    data: Any
    root: Place

    def find(self, path: Iterable[str | int]) -> tuple[Place, KeyPath]:
        """The place of `path` and the part of it that exists; parts that are not in the file are skipped."""
        place, found = self.root, []
        for part in path:
            child = place.children.get(part)
            if child is not None:
                place = child
                found.append(part)
        return place, tuple(found)

    def has(self, path: Sequence[str | int]) -> bool:
        """Whether there is a value at `path`."""
        return len(self.find(path)[1]) == len(path)

    def problem(
        self, path: Sequence[str | int], message: str, hint: str = "", *, at_key: bool = False
    ) -> Problem:
        """A Problem at the value of `path` (or at its key), or at the nearest thing around it that exists."""
        place, _ = self.find(path)
        key = key_text(path)
        if place.source:
            return Problem(place.source, 0, 0, key, message, hint)
        name = place.file or self.name
        if at_key and place.key_line:
            return Problem(name, place.key_line, place.key_column, key, message, hint)
        return Problem(name, place.line, place.column, key, message, hint)


def key_text(path: Sequence[str | int]) -> str:
    """`routes[3].do[0].agent` of ("routes", 3, "do", 0, "agent")."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def read(path: Path, error: type[FileProblems]) -> YamlFile:
    """Parse a file; `error` is raised when it cannot be read or used."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as problem:
        raise error([Problem(str(path), 0, 0, "", f"cannot be read: {problem.strerror}")]) from None
    return parse(str(path), raw, error)


def parse(name: str, raw: bytes, error: type[FileProblems]) -> YamlFile:
    """Parse the bytes of a file called `name`."""
    builder = _Builder(name)
    try:
        return builder.build(_decode(name, raw))
    except _Stop as stop:
        raise error([*builder.problems, stop.problem]) from None


def validate(document: YamlFile, model: type[M], error: type[FileProblems], context: Any = None) -> M:
    """The pydantic value of the file's data; every misfit becomes a Problem of `error`."""
    try:
        return model.model_validate(document.data, context=context)
    except ValidationError as failure:
        raise error(problems_from(failure, document, model)) from None


def problems_from(failure: ValidationError, document: YamlFile, model: type[BaseModel]) -> list[Problem]:
    """Problems in file order for the errors pydantic found in `document`."""
    problems = []
    for detail in failure.errors(include_url=False)[:MAX_PROBLEMS]:
        loc, kind = detail["loc"], detail["type"]
        place, path = document.find(loc)
        path = (*path, loc[-1]) if kind == "missing" else path
        at_key = kind in {"missing", "extra_forbidden"} or loc[-1:] == ("[key]",)
        message, hint = fieldhelp.explain(detail, model, place.text)
        problems.append(document.problem(path, message, hint, at_key=at_key))
    problems = fieldhelp.once(problems)
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))


class _Stop(Exception):  # noqa: N818  # control flow inside this module, never seen outside
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def _decode(name: str, raw: bytes) -> str:
    if len(raw) > MAX_FILE_BYTES:
        raise _Stop(Problem(name, 0, 0, "", f"the file is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        line, column = _line_column(raw[: bad.start].decode("utf-8", "replace"))
        message = f"byte 0x{raw[bad.start]:02x} is not UTF-8"
        raise _Stop(Problem(name, line, column, "", message, "save the file as UTF-8")) from None
    found = _CONTROL.search(text)
    if found:
        line, column = _line_column(text[: found.start()])
        raise _Stop(Problem(name, line, column, "", f"control character 0x{ord(found[0]):02x}", "remove it"))
    return text


def _line_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    data: Any
    place: Place
    anchor: str | None
    nodes_before: int
    key: str | None = None
    key_at: tuple[int, int] = (0, 0)
    merged: list[tuple[Any, Place]] = field(default_factory=list)
    height: int = 1


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A value an alias can repeat: how many values and levels it adds."""

    data: Any
    place: Place
    nodes: int
    height: int


class _Builder:
    """Data and places from libyaml's events, without recursion."""

    def __init__(self, name: str) -> None:
        self.problems: list[Problem] = []
        self._name = name
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchor | None] = {}
        self._nodes = 0
        self._result: tuple[Any, Place] | None = None

    def build(self, text: str) -> YamlFile:
        try:
            for event in yaml.parse(text, Loader=_Loader):
                handle = _HANDLERS.get(type(event))
                if handle:
                    handle(self, event)
        except yaml.YAMLError as bad:
            raise _Stop(self._syntax(bad, text)) from None
        if self._result is None or self._result[0] is None:
            raise _Stop(
                Problem(self._name, 1, 1, "", "the file is empty", "it holds lines such as key: value")
            )
        if self.problems:
            raise _Stop(self.problems.pop())
        return YamlFile(self._name, *self._result)

    def _syntax(self, bad: yaml.YAMLError, text: str) -> Problem:
        mark = getattr(bad, "problem_mark", None) or getattr(bad, "context_mark", None)
        words = getattr(bad, "problem", None) or getattr(bad, "reason", None) or "not YAML"
        if mark is None:
            line, column = _line_column(text[: getattr(bad, "position", 0)])
            return Problem(self._name, line, column, "", words)
        lines = text.splitlines()
        written = lines[mark.line] if mark.line < len(lines) else ""
        if "\t" in written[: len(written) - len(written.lstrip())]:
            return self._at(mark, "a tab in the indentation", "use spaces")
        if "mapping values are not allowed" in words and _KEY_ALONE.match(written[: mark.column]):
            return self._at(
                mark, "this line is indented too far", "put it under the key that it belongs beside"
            )
        if "mapping values are not allowed" in words:
            return self._at(mark, "a colon where none can be", 'put text that holds ": " in quotes')
        context = getattr(bad, "context", None)
        message = f"{words} {context}" if context else words
        braces = "put text that holds { or } in quotes" if "${" in written or "{{" in written else ""
        return self._at(mark, message, braces or "check quotes, brackets and indentation")

    def _at(self, mark: Any, message: str, hint: str = "") -> Problem:
        key = key_text(self._path())
        return Problem(self._name, mark.line + 1, mark.column + 1, key, message, hint)

    def _path(self) -> KeyPath:
        parts = (len(o.data) if isinstance(o.data, list) else o.key for o in self._open)
        return tuple(part for part in parts if part is not None)

    def _key_wanted(self) -> bool:
        return bool(self._open) and self._open[-1].key is None and isinstance(self._open[-1].data, dict)

    def _count(self, nodes: int, mark: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            hint = "check the aliases (*name), or split the file"
            raise _Stop(self._at(mark, f"more than {MAX_NODES} values", hint))

    def _document(self, event: Any) -> None:
        if self._result is not None:
            raise _Stop(self._at(event.start_mark, "a second document in the file", "remove the line ---"))

    def _scalar(self, event: Any) -> None:
        mark, text = event.start_mark, event.value
        self._check_tag(event)
        if _CONTROL.search(text):
            raise _Stop(self._at(mark, "an escaped control character in the text", "remove it"))
        self._count(1, mark)
        plain = event.implicit[0]
        if self._key_wanted():
            self._set_key(self._open[-1], text, mark)
            return
        value = _plain_value(text) if plain else text
        place = Place(mark.line + 1, mark.column + 1, text)
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(value, place, nodes=1, height=0)
        self._add(value, place)

    def _set_key(self, top: _Open, key: str, mark: Any) -> None:
        if key in top.place.children:
            first = top.place.children[key].key_line
            top.key = key
            self.problems.append(
                self._at(mark, f"the key is given twice, first in line {first}", "remove one")
            )
            if len(self.problems) >= MAX_PROBLEMS:
                raise _Stop(self.problems.pop())
        top.key, top.key_at = key, (mark.line + 1, mark.column + 1)

    def _check_tag(self, event: Any) -> None:
        if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
            raise _Stop(self._at(event.start_mark, "a tag (!name) is not allowed", "write the plain value"))

    def _start(self, event: Any) -> None:
        mark = event.start_mark
        self._check_tag(event)
        self._count(1, mark)
        if len(self._open) >= MAX_DEPTH:
            raise _Stop(
                self._at(
                    mark, f"nested deeper than {MAX_DEPTH} levels", "check the brackets and the indentation"
                )
            )
        if self._key_wanted():
            hint = "quote it if it is text, such as {{ x }}"
            raise _Stop(self._at(mark, "a list or mapping cannot be a key", hint))
        if event.anchor:
            self._anchors[event.anchor] = None
        data: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(data, Place(mark.line + 1, mark.column + 1), event.anchor, self._nodes))

    def _end(self, _event: Any) -> None:
        done = self._open.pop()
        for data, place in done.merged:
            for key, child in place.children.items():
                if key not in done.data:
                    done.data[key], done.place.children[key] = data[key], child
        if done.anchor:
            nodes = self._nodes - done.nodes_before + 1
            self._anchors[done.anchor] = _Anchor(done.data, done.place, nodes, done.height)
        self._add(done.data, done.place, done.height)

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        known = self._anchors.get(event.anchor)
        if known is None:
            inside = event.anchor in self._anchors
            said = "refers to itself" if inside else "has no anchor (&) before it"
            hint = "remove it" if inside else f"write &{event.anchor} before the value that it stands for"
            raise _Stop(self._at(mark, f"*{event.anchor} {said}", hint))
        self._count(known.nodes, mark)
        if self._key_wanted():
            raise _Stop(self._at(mark, "an alias cannot be a key"))
        if len(self._open) + known.height > MAX_DEPTH:
            raise _Stop(
                self._at(
                    mark, f"nested deeper than {MAX_DEPTH} levels", "check the brackets and the indentation"
                )
            )
        self._add(known.data, known.place, known.height)

    def _add(self, value: Any, place: Place, height: int = 0) -> None:
        if not self._open:
            self._result = (value, place)
            return
        top = self._open[-1]
        top.height = max(top.height, height + 1)
        if isinstance(top.data, list):
            top.place.children[len(top.data)] = place
            top.data.append(value)
            return
        key, top.key = str(top.key), None
        if key == "<<":
            self._merge(top, value, place)
            return
        if place.key_line:  # an alias: the value stands elsewhere, this key stands here
            place = Place(place.line, place.column, place.text, place.children)
        place.key_line, place.key_column = top.key_at
        top.data[key] = value
        top.place.children[key] = place

    def _merge(self, top: _Open, value: Any, place: Place) -> None:
        items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, item in items:
            where = place if index is None else place.children[index]
            if not isinstance(item, dict):
                message = "<< takes a mapping (*name) or a list of them"
                key, hint = key_text(self._path()), "write it as <<: *name"
                raise _Stop(Problem(self._name, where.line, where.column, key, message, hint))
            top.merged.append((item, where))


def _plain_value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


_HANDLERS: Mapping[type, Any] = {
    yaml.DocumentStartEvent: _Builder._document,  # noqa: SLF001  # its own table
    yaml.ScalarEvent: _Builder._scalar,  # noqa: SLF001
    yaml.MappingStartEvent: _Builder._start,  # noqa: SLF001
    yaml.SequenceStartEvent: _Builder._start,  # noqa: SLF001
    yaml.MappingEndEvent: _Builder._end,  # noqa: SLF001
    yaml.SequenceEndEvent: _Builder._end,  # noqa: SLF001
    yaml.AliasEvent: _Builder._alias,  # noqa: SLF001
}
