"""Prompt files: reusable instructions with an id, a version, variables and examples. Not worker-safe (pydantic, yaml).

    prompts/front-desk-3.md
        ---
        id: front-desk
        version: "3"
        description: The front desk of a shop.
        variables:
          company: {type: text, required: true}

Examples:
          - variables: {company: Acme}
            expect_contains: [the front desk of Acme]
        ---
        You are the front desk of {{ company }}.
        {% include "_manners.md" %}

Snippets are files of the same folder whose names begin with `_`; `{% include %}` puts their text in when the file is
read, so a mistake in a snippet is told with the snippet's own file and line. Every other name is checked; examples are
rendered. Reads files, writes none; any thread. Called by prompts.py.

"""

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bridge import yamlfile
from bridge.dialplan import inputfile, templatecheck
from bridge.dialplan.facts import CallFacts
from bridge.dialplan.schema_agent import PromptValue, PromptVersion
from bridge.dialplan.schema_base import Language, Name, Part
from bridge.dialplan.variables import NAMES, Scene, render
from bridge.errors import DialplanError, Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath, YamlFile

MAX_PROMPT_BYTES = 512 * 1024
MAX_INCLUDES = 50
MAX_INCLUDE_DEPTH = 5
EXAMPLE_NOW = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
"""The wall time of examples: a Thursday."""

_INCLUDE = re.compile(r"\{%-?\s*include\s+(['\"])([^'\"\n]{0,200})\1\s*-?%\}")
_SNIPPET = re.compile(r"_[A-Za-z0-9_-]{1,60}\.md\Z")
_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,), "number": (int, float), "bool": (bool,), "list": (list, tuple),
}  # fmt: skip


class Variable(Part):
    """A variable of a prompt. Without a default it is needed, unless `required: false`: then it is nothing."""

    type: Literal["text", "number", "bool", "list"] = "text"
    required: bool | None = None
    default: PromptValue | None = None
    description: Annotated[str, Field(max_length=500)] = ""

    @property
    def needed(self) -> bool:
        """Whether an agent must give it a value."""
        return self.default is None if self.required is None else self.required


class Example(Part):
    """One rendering that is tried whenever the plan is checked."""

    variables: dict[Name, PromptValue] = Field(default_factory=dict, max_length=100)
    caller: dict[Literal["number", "name"], Annotated[str, Field(max_length=200)]] = Field(
        default_factory=dict
    )
    headers: dict[str, str] = Field(default_factory=dict, max_length=40)
    vars: dict[Name, str] = Field(default_factory=dict, max_length=100)
    expect_contains: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(
        default_factory=list, max_length=50
    )
    expect_not_contains: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(
        default_factory=list, max_length=50
    )


class Front(Part):
    """What stands between the two lines of dashes."""

    id: Name
    version: PromptVersion
    description: Annotated[str, Field(max_length=2000)] = ""
    language: Language | None = None
    greeting: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    variables: dict[Name, Variable] = Field(default_factory=dict, max_length=100)
    examples: list[Example] = Field(default_factory=list, max_length=50)


@dataclass(slots=True)
class PromptFile:
    """One file. `text`: its body with the snippets in it; `problems`: all that is wrong with it."""

    document: YamlFile
    front: Front | None
    text: str = ""
    problems: list[Problem] = field(default_factory=list)

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A value for every variable: given, its default, or nothing."""
        declared = self.front.variables if self.front else {}
        empty: dict[str, Any] = {"list": [], "bool": False}
        return {
            name: given.get(name, one.default if one.default is not None else empty.get(one.type, ""))
            for name, one in declared.items()
        }

    def misfits(self, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """(name, what is wrong, what to do) of values for this prompt."""
        declared = self.front.variables if self.front else {}
        for name, value in given.items():
            if name not in declared:
                yield name, f"the prompt has no variable {name}", nearest(name, declared)
            elif not _fits(declared[name].type, value):
                yield name, f"the variable {name} is a {declared[name].type}", declared[name].description
        for name, one in declared.items():
            if one.needed and name not in given:
                yield name, f"the prompt's variable {name} has no value", one.description


def _fits(kind: str, value: Any) -> bool:
    return isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))


def read(path: Path) -> PromptFile:
    """One prompt file, checked by itself. Whatever is wrong is in its `problems`."""
    try:
        raw = inputfile.read(path, None, MAX_PROMPT_BYTES)
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        return _unread(path, Problem(str(path), 0, 0, "", f"cannot be read: {error}", "a text file in UTF-8"))
    if len(raw) > MAX_PROMPT_BYTES:
        return _unread(path, Problem(str(path), 0, 0, "", f"the file has more than {MAX_PROMPT_BYTES} bytes"))
    fences = list(_FENCE.finditer(text))[:2]
    if len(fences) < 2 or fences[0].start() != 0:
        hint = "it begins with a line ---, then id: and version:, then a line ---"
        return _unread(path, Problem(str(path), 1, 1, "", "there is no front matter", hint))
    head = "\n" + text[fences[0].end() + 1 : fences[1].start()]
    first_line = text.count("\n", 0, fences[1].end()) + 2
    try:
        document = yamlfile.parse(str(path), head.encode(), DialplanError)
        front = yamlfile.validate(document, Front, DialplanError)
    except DialplanError as error:
        return _unread(path, *error.problems)
    found = PromptFile(document, front)
    body = _Body(path.parent)
    body.add(path, text[fences[1].end() + 1 :], first_line, ())
    found.text = body.text.strip("\n")
    found.problems += [*body.problems, *_front_problems(document, front), *_text_problems(found, front, body)]
    if not found.problems:
        found.problems += _example_problems(found, front)
    return found


def _unread(path: Path, *problems: Problem) -> PromptFile:
    return PromptFile(YamlFile(str(path), {}, yamlfile.Place(1, 1)), None, "", list(problems))


class _Body:
    """A text put together from files; `places[n]` is where its line n+1 is written."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[Problem] = []
        self.places: list[tuple[str, int]] = []
        self.text = ""
        self._folder = folder
        self._includes = 0

    def add(self, path: Path, text: str, line: int, above: tuple[Path, ...]) -> None:
        """The text of a file from its line `line` on, and what it includes."""
        for number, written in enumerate(text.split("\n"), line):
            found = _INCLUDE.fullmatch(written.strip())
            if found is None:
                self._line(written, (str(path), number))
            else:
                column = written.index("{%") + 1
                self._include(found[2], Problem(str(path), number, column, "", "", ""), (*above, path))

    def _line(self, written: str, place: tuple[str, int]) -> None:
        self.text += written + "\n"
        self.places.append(place)

    def _include(self, name: str, at: Problem, above: tuple[Path, ...]) -> None:
        path = self._folder / name
        self._includes += 1
        wrong = self._wrong(name, path, above)
        if not wrong:
            try:
                text = (
                    inputfile.read(path, None, MAX_PROMPT_BYTES)[:MAX_PROMPT_BYTES]
                    .decode("utf-8-sig")
                    .replace("\r\n", "\n")
                )
                self.add(path, text.rstrip("\n"), 1, above)
            except (OSError, UnicodeDecodeError) as error:
                wrong = f"{name} cannot be read: {getattr(error, 'strerror', None) or error}"
        if wrong:
            known = sorted(one.name for one in self._folder.glob("_*.md"))
            self.problems.append(Problem(at.file, at.line, at.column, "", wrong, nearest(name, known)))

    def _wrong(self, name: str, path: Path, above: tuple[Path, ...]) -> str:
        if not _SNIPPET.match(name):
            return f"{name[:60]} is not a snippet: its name is _NAME.md, in the same folder"
        if path in above:
            return f"{name} includes itself"
        if len(above) > MAX_INCLUDE_DEPTH or self._includes > MAX_INCLUDES:
            return "too many includes"
        if path.is_symlink() and path.resolve().parent != self._folder.resolve():
            return f"{name} leads out of the folder"
        return ""


def _front_problems(document: YamlFile, front: Front) -> Iterator[Problem]:
    for name, one in front.variables.items():
        path: KeyPath = ("variables", name)
        if name in NAMES or name in {"loop", "range"}:
            yield document.problem(path, f"the name {name} is taken", "choose another", at_key=True)
        if one.default is not None and not _fits(one.type, one.default):
            yield document.problem((*path, "default"), f"the default is not a {one.type}")
        if one.default is not None and one.required:
            yield document.problem((*path, "required"), "required, with a default", "remove one of them")
    if front.greeting is not None:
        for _line, what, hint in templatecheck.mistakes(front.greeting, _names(front)):
            yield document.problem(("greeting",), what, hint)


def _names(front: Front) -> dict[str, Container[str] | None]:
    return {**NAMES, **dict.fromkeys(front.variables)}


def _text_problems(found: PromptFile, front: Front, body: _Body) -> Iterator[Problem]:
    if not found.text.strip():
        yield Problem(found.document.name, 0, 0, "", "the prompt has no text")
    for line, what, hint in templatecheck.mistakes(body.text, _names(front)):
        file, written = body.places[min(line, len(body.places)) - 1]
        yield Problem(file, written, 1, "", what, hint)
    used = templatecheck.names_in(f"{body.text}\n{front.greeting or ''}")
    for name in front.variables:
        if name not in used:
            yield found.document.problem(
                ("variables", name), "nothing uses this variable", "remove it", at_key=True
            )


def _example_problems(found: PromptFile, front: Front) -> Iterator[Problem]:
    for number, example in enumerate(front.examples):
        path: KeyPath = ("examples", number)
        misfits = list(found.misfits(example.variables))
        for name, what, hint in misfits:
            yield found.document.problem((*path, "variables", name), what, hint)
        if misfits:
            continue
        notes: list[str] = []
        facts = CallFacts(
            "100",
            example.caller.get("number", ""),
            example.caller.get("name", ""),
            {name.lower(): value for name, value in example.headers.items()},
        )
        scene = Scene(facts, EXAMPLE_NOW, example.vars, notes.append)
        text = render(found.text, scene, front.language or "en", found.values(example.variables))
        for at, wanted in enumerate(example.expect_contains):
            if wanted not in text:
                yield found.document.problem(
                    (*path, "expect_contains", at), "the text does not have this", _hint(notes)
                )
        for at, unwanted in enumerate(example.expect_not_contains):
            if unwanted in text:
                yield found.document.problem((*path, "expect_not_contains", at), "the text has this")


def _hint(notes: list[str]) -> str:
    return "; ".join(dict.fromkeys(notes))[:200]
