"""Variables of the call that templates name and no step sets. Warnings: calls that are placed may bring their own.

It looks at the texts of the files, whatever they belong to, so that a new kind of step is looked at without a change.
Pure. Not worker-safe. Called by bridge/dialplan/load.py.
"""

import difflib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from bridge.dialplan.source import Source
from bridge.dialplan.templatecheck import vars_in
from bridge.dialplan.textvars import LITERAL_KEYS, all_texts
from bridge.errors import Problem
from bridge.yamlfile import KeyPath

OF_QUEUES = frozenset({"position", "waiting"})
"""The queue sets them for its own announcement."""
MARK = "vars."
HOW = "a step sets it: set, or into of collect and tool"


def warnings(sources: Sequence[Source]) -> Iterator[Problem]:
    """One for each text, or prompt of an agent, and each name in it that nothing sets."""
    used = [(source, path, text) for source in sources for path, text in _templates(source)]
    known = {name for source in sources if used for name in _names_set(source.document.data)}
    parts = tuple(f"{name}_" for source in sources if used for name in _tools_set(source.document.data))
    for source, path, text in used:
        mine = known | OF_QUEUES if path[0] == "queues" and path[-1] == "announce" else known
        for name in dict.fromkeys(vars_in(text)):
            if name not in mine and not name.startswith(parts):
                yield _unset(source, path, name, mine)


def _unset(source: Source, path: KeyPath, name: str, known: Collection[str]) -> Problem:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean vars.{close[0]}?" if close else HOW
    return source.document.problem(path, f"no step sets vars.{name}", hint)


def _templates(source: Source) -> Iterator[tuple[KeyPath, str]]:
    if MARK in all_texts(source.document.data):
        yield from _texts_with_mark(source.document.data)
    for name, agent in source.agents():
        prompts = source.prompts.find(agent.prompt) if agent.prompt else []
        for prompt in prompts:
            greeting = prompt.front.greeting if prompt.front and not agent.greeting else None
            if MARK in prompt.text or MARK in (greeting or ""):
                yield ("agents", name, "prompt"), f"{greeting or ''}\n{prompt.text}"


def _texts_with_mark(data: Any) -> Iterator[tuple[KeyPath, str]]:
    """With their paths. A plan of thousands of routes is walked: paths are links, put together where one is wanted."""
    waiting: list[tuple[Any, Any]] = [
        (value, (None, key)) for key, value in reversed(data.items()) if key not in LITERAL_KEYS
    ]
    while waiting:
        value, at = waiting.pop()
        if isinstance(value, str):
            if MARK in value:
                yield _path(at), value
        elif isinstance(value, dict):
            waiting += [(one, (at, key)) for key, one in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(one, (at, number)) for number, one in reversed([*enumerate(value)])]


def _path(at: Any) -> KeyPath:
    parts: list[str | int] = []
    while at is not None:
        at, part = at
        parts.insert(0, part)
    return tuple(parts)


def _names_set(data: Any) -> Iterator[str]:
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            into, values = value.get("into"), value.get("set")
            if isinstance(into, str):
                yield into
            if isinstance(values, dict):
                yield from values
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _tools_set(data: Any) -> Iterator[str]:
    """What tools write: the parts of their output too, as NAME_part."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            tool = value.get("tool")
            if isinstance(tool, dict) and isinstance(tool.get("into"), str):
                yield tool["into"]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
