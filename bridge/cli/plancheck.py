"""`sipbridge dialplan check`: every mistake and oddity of a dialplan, for a person, a program or a pull request.

Exit status 1 when the plan cannot be used; with --strict also when something is odd. Loads the tools folder, to know
the names of the tools: that runs its files, but no tool. Changes nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.planread import Config, Environment, PlanPath, count, settings_of
from bridge.control_plan import around
from bridge.dialplan.load import inspect
from bridge.dialplan.plan import Plan
from bridge.dialplan.words import condition
from bridge.errors import FileProblems, Problem, ToolError
from bridge.settings import Settings
from bridge.toolbox.load import load as load_toolbox
from bridge.toolbox.mcplock import LOCK, McpLock

MAX_LISTED = 50
MISTAKE, WARNING = "error", "warning"


class Format(StrEnum):
    """Who reads it: a person, a program, GitHub's checks of a pull request."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found. `plan` None: it cannot be used."""

    plan: Plan | None
    mistakes: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


Strict = Annotated[bool, typer.Option("--strict", help="Warnings fail too.")]
As = Annotated[Format, typer.Option("--format", help="Who reads it.")]
Day = Annotated[str, typer.Option("--at", help="As of this day, such as 2026-12-24; today when left out.")]


def check(  # one parameter is one option of the command line
    path: PlanPath = None,
    *,
    strict: Strict = False,
    form: As = Format.TEXT,
    at: Day = "",
    environment: Environment = None,
    config: Config = None,
) -> None:
    """Find mistakes. Exit code 0: the plan can be used."""
    try:
        today = date.fromisoformat(at) if at else None
    except ValueError:
        raise typer.BadParameter(f"{at} is no date: write it as 2026-12-24") from None
    loaded = settings_of(config)
    try:
        inspected = inspect(
            path or loaded.dialplans,
            replace(around(loaded), tools=tool_names(loaded)),
            environment=environment or loaded.environment,
            today=today,
        )
        found = Found(inspected.plan, (), inspected.warnings)
    except FileProblems as error:
        found = Found(None, error.problems, ())
    typer.echo("\n".join(_WRITERS[form](found)))
    raise typer.Exit(bool(found.mistakes or (strict and found.warnings)))


def tool_names(loaded: Settings) -> list[str]:
    """The tools that there are: functions of the folder, and MCP tools that an admin has accepted."""
    names = [*load_toolbox(loaded.tools).tools]
    lock = McpLock(loaded.tools / LOCK)
    try:
        lock.read()
    except ToolError:  # `tools list` says what is wrong with it; here it accepts nothing
        return names
    return names + [f"{server}__{tool}" for server, tool in lock.pins if server in loaded.mcp]


def _text(found: Found) -> Sequence[str]:
    lines = [str(problem) for problem in found.mistakes]
    lines += [f"{problem} [warning]" for problem in _in_order(found.warnings)]
    if found.plan is not None:
        lines += _summary(found.plan)
    if found.mistakes:
        lines.append(count(found.mistakes, "mistake"))
    if found.warnings:
        lines.append(count(found.warnings, "warning"))
    return lines


def _summary(plan: Plan) -> Sequence[str]:
    lines = [f"version {plan.version}: {len(plan.routes)} routes, {len(plan.agents)} agents"]
    for route in plan.routes[:MAX_LISTED]:
        said = ", ".join(condition(one) for one in route.conditions)
        lines.append(f"  {route.name}: {said[:100] or 'every call'}")
    if len(plan.routes) > MAX_LISTED:
        lines.append(f"  … and {len(plan.routes) - MAX_LISTED} more")
    return lines


def _json(found: Found) -> Sequence[str]:
    problems = [{"severity": severity, **asdict(problem)} for severity, problem in _all(found)]
    version = found.plan.version if found.plan else None
    return [
        json.dumps({"version": version, "usable": found.plan is not None, "problems": problems}, indent=2)
    ]


def _github(found: Found) -> Sequence[str]:
    """Workflow commands: GitHub shows them beside the lines of the pull request."""
    lines = []
    for severity, problem in _all(found):
        place = {"file": _relative(problem.file), "line": problem.line or 1, "col": problem.column or 1}
        properties = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in place.items())
        hint = f" ({problem.hint})" if problem.hint else ""
        key = f"{problem.key}: " if problem.key else ""
        lines.append(f"::{severity} {properties}::{_escaped(f'{key}{problem.message}{hint}')}")
    return [*lines, f"{count(found.mistakes, 'mistake')}, {count(found.warnings, 'warning')}"]


def _relative(file: str) -> str:
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def _escaped(text: str, more: str = "") -> str:
    """GitHub's escapes: percent first, then what would end the line or the property."""
    for char in f"%\r\n{more}":
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _all(found: Found) -> Sequence[tuple[str, Problem]]:
    mistakes = [(MISTAKE, problem) for problem in found.mistakes]
    return mistakes + [(WARNING, problem) for problem in _in_order(found.warnings)]


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda one: (one.file, one.line, one.column))


_WRITERS: Mapping[Format, Callable[[Found], Sequence[str]]] = {
    Format.TEXT: _text,
    Format.JSON: _json,
    Format.GITHUB: _github,
}
