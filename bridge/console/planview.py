"""A plan as the pages show it: rows of routes and all else with their lines, files by the page, diffs. Pure.

What stands in a file is shown, but for values of keys that are named like secrets: a plan names environment variables,
never passwords, and who wrote one into it all the same should not find it on a page.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge import yamlfile
from bridge.dialplan.agent import Agent
from bridge.dialplan.plan import Plan, Route
from bridge.dialplan.words import condition, outline, plain
from bridge.errors import DialplanError, Problem
from bridge.trunk import Trunk

PAGE_LINES = 600
MAX_ROUTES = 150
MAX_DIFF_LINES = 20_000
MAX_SHOWN_DIFF = 1_000
AROUND = 1
LONG = 300
SECTIONS = ("agents", "flows", "transfers", "hours", "queues", "trunks")
_SECRET = re.compile(
    r"(?i)^(\s*(?:- )?[\"']?(?:[\w-]*(?:password|passwd|secret|token|api_?key|credential))[\"']?\s*:\s*)(\S.*)$"
)
_SECRET_INSIDE = re.compile(
    r"(?i)([{,]\s*[\"']?[\w-]*(?:password|passwd|secret|token|api_?key|credential)[\"']?\s*:\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,}{\[][^,}]*)"
)
_IN_URI = re.compile(r"(?i)(\b(?:sips?|https?|wss?):(?://)?[^\s:@/]+:)([^\s@/]+)(@)")
HIDDEN = "•••"
_NAMES = re.compile(r"\s*- (\w+): ([\w -]+?)(?:,|$)")
_SECTION_OF = {
    "agent": "agents",
    "go": "flows",
    "transfer": "transfers",
    "warm_transfer": "transfers",
    "ring": "transfers",
    "queue": "queues",
}


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a plan's files. `name`: of the file in the plan's folder; "" when it is not among them."""

    name: str = ""
    line: int = 0

    def __bool__(self) -> bool:
        return bool(self.name)


Places = Mapping[tuple[str, str], Spot]
"""Where things are written, by (section, name)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A thing of the plan: `facts` are (name, value), `lines` its steps, each with where what it names is written."""

    name: str
    spot: Spot
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[tuple[str, Spot], ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake or a warning, with the lines around it: (number, text, whether it is the one)."""

    where: str
    spot: Spot
    key: str
    message: str
    hint: str
    lines: tuple[tuple[int, str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """One page of a file: `lines` from `first` on, of `total`."""

    first: int
    total: int
    lines: tuple[str, ...]
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class FileDiff:
    """How a file's text differs: lines of a unified diff, or none and why (`cut`)."""

    name: str
    lines: tuple[str, ...]
    cut: bool = False


def masked(line: str) -> str:
    """A line of a file without what looks like a secret."""
    found = _SECRET.match(line)
    line = f"{found[1]}{HIDDEN}" if found and not found[2].startswith(("{", "[", "#")) else line
    return _IN_URI.sub(rf"\1{HIDDEN}\3", _SECRET_INSIDE.sub(rf"\1{HIDDEN}", line))


def spot(file: str, line: int, texts: Mapping[str, str]) -> Spot:
    """Where a file that a plan or a mistake names is among `texts`: paths may begin anywhere."""
    found = [name for name in texts if file == name or file.endswith(f"/{name}")]
    return Spot(max(found, key=len), line) if found and line else Spot()


def used(plan: Plan | None, problems: Sequence[Problem], texts: Mapping[str, str]) -> frozenset[str]:
    """The files that a plan's routes, or mistakes, stand in; all of them when nobody knows."""
    files = {route.file for route in plan.routes} if plan else {one.file for one in problems}
    return frozenset(found.name for file in files if (found := spot(file, 1, texts))) or frozenset(texts)


def places(texts: Mapping[str, str]) -> Places:
    """Where agents, flows and so on are written; files that are no YAML are left out. Takes seconds for megabytes."""
    found: dict[tuple[str, str], Spot] = {}
    for file, text in texts.items():
        if not file.endswith((".yaml", ".yml")):
            continue
        try:
            document = yamlfile.parse(file, text.encode("utf-8", "replace"), DialplanError)
        except DialplanError:
            continue
        for section in SECTIONS:
            inside = document.root.children.get(section)
            for name, place in inside.children.items() if inside else ():
                found.setdefault((section, str(name)), Spot(file, place.key_line or place.line))
    return found


def routes(
    plan: Plan, texts: Mapping[str, str], known: Places, wanted: str = "", most: int = MAX_ROUTES
) -> tuple[list[Row], int]:
    """Routes whose name, conditions or steps have `wanted` in them, at most so many, and how many there are."""
    rows: list[Row] = []
    fitting = 0
    needle = wanted.casefold()
    for number, route in enumerate(plan.routes, 1):
        if needle and needle not in _words(route).casefold():
            continue
        fitting += 1
        if fitting <= most:
            rows.append(route_row(route, texts, known, number))
    return rows, fitting


def route_row(route: Route, texts: Mapping[str, str], known: Places, number: int = 0) -> Row:
    """One route. `known`: as of `places`."""
    when = tuple(("when", _short(condition(one))) for one in route.conditions)
    lines = _linked(outline(route.steps), known)
    return Row(route.name, spot(route.file, route.line, texts), when, lines, number)


def sections(plan: Plan, known: Places) -> dict[str, list[Row]]:
    """All but the routes, by section; empty ones are left out."""

    def row(section: str, name: str, facts: Iterable[tuple[str, str]], lines: Iterable[str] = ()) -> Row:
        return Row(name, known.get((section, name), Spot()), tuple(facts), _linked(lines, known))

    found = {
        "agents": [row("agents", one.name, _agent(one)) for one in plan.agents],
        "flows": [row("flows", name, (), outline(steps)) for name, steps in plan.flows.items()],
        "transfers": [
            row("transfers", name, _target(masked(uri), plan.over.get(name, "")))
            for name, uri in plan.transfers.items()
        ],
        "hours": [row("hours", one.name, [("timezone", one.timezone)]) for one in plan.hours],
        "queues": [row("queues", one.name, [("members", ", ".join(one.members))]) for one in plan.queues],
        "trunks": [row("trunks", one.name, _trunk(one)) for one in plan.trunks],
    }
    return {name: rows[:MAX_ROUTES] for name, rows in found.items() if rows}


def findings(problems: Sequence[Problem], texts: Mapping[str, str]) -> list[Finding]:
    """Each with the line it is about, and one around it."""
    return [_finding(one, texts) for one in problems]


def window(text: str, at: int = 1, page: int = 0) -> Window:
    """The page of a file that line `at` is on, or page number `page` (from 1)."""
    every = text.split("\n")
    if every and not every[-1]:
        every.pop()
    pages = max(-(-len(every) // PAGE_LINES), 1)
    page = min(max(page or -(-max(at, 1) // PAGE_LINES), 1), pages)
    first = (page - 1) * PAGE_LINES
    shown = tuple(masked(line) for line in every[first : first + PAGE_LINES])
    return Window(first + 1, len(every), shown, page, pages)


def file_diffs(old: Mapping[str, str], new: Mapping[str, str]) -> list[FileDiff]:
    """Files that differ, in the order of names."""
    return [_file_diff(name, old.get(name, ""), new.get(name, "")) for name in sorted({*old, *new})
            if old.get(name) != new.get(name)]  # fmt: skip


def tone(line: str) -> str:
    """What a line of a diff is: add, del, hunk, or "" for what is around."""
    return {"+": "add", "-": "del", "@": "hunk"}.get(line[:1], "")


def _file_diff(name: str, old: str, new: str) -> FileDiff:
    before, after = old.splitlines(), new.splitlines()
    if len(before) + len(after) > MAX_DIFF_LINES:
        return FileDiff(name, (), cut=True)
    lines = list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
    shown = tuple(f"{line[:1]}{masked(line[1:])}" for line in lines[:MAX_SHOWN_DIFF])
    return FileDiff(name, shown, cut=len(lines) > MAX_SHOWN_DIFF)


def _finding(one: Problem, texts: Mapping[str, str]) -> Finding:
    here = spot(one.file, one.line, texts)
    lines: tuple[tuple[int, str, bool], ...] = ()
    if here:
        every = texts[here.name].split("\n")
        numbers = range(max(one.line - AROUND, 1), min(one.line + AROUND, len(every)) + 1)
        lines = tuple((at, _short(masked(every[at - 1])), at == one.line) for at in numbers)
    name = here.name or one.file
    where = f"{name}:{one.line}:{one.column}" if one.line else name
    return Finding(where, here, one.key, one.message, one.hint, lines)


def _linked(lines: Iterable[str], known: Places) -> tuple[tuple[str, Spot], ...]:
    """Steps as lines; one that names an agent, a flow, a target or a queue leads there."""
    found = []
    for line in lines:
        named = _NAMES.match(line)
        key = (_SECTION_OF.get(named[1], ""), named[2]) if named else ("", "")
        found.append((_short(line), known.get(key, Spot())))
    return tuple(found)


def _agent(agent: Agent) -> Iterator[tuple[str, str]]:
    for name, value in (
        ("model", " ".join(part for part in (agent.provider, agent.model) if part)),
        ("voice", agent.voice or ""),
        ("greeting", agent.greeting or ""),
        ("tools", ", ".join(agent.tools)),
        ("hand_off", ", ".join(agent.hand_off_to)),
        ("limits", f"{agent.max_call_s} s" if agent.max_call_s else ""),
    ):
        if value:
            yield name, _short(plain(value))


def _target(uri: str, trunk: str) -> Iterator[tuple[str, str]]:
    yield "to", uri
    if trunk:
        yield "over", trunk


def _trunk(trunk: Trunk) -> Iterator[tuple[str, str]]:
    register = f"{trunk.register.user}@{trunk.register.registrar}" if trunk.register else ""
    for name, value in (
        ("registers", register),
        ("host", trunk.host),
        ("addresses", _short(", ".join(trunk.addresses))),
        ("codecs", ", ".join(trunk.codecs)),
    ):
        if value:
            yield name, value


def _words(route: Route) -> str:
    return " ".join([route.name, *map(condition, route.conditions), *outline(route.steps)])


def _short(text: str) -> str:
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"
