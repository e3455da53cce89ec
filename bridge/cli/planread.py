"""How the `sipbridge dialplan` commands find and read a plan, and say what is wrong with it. Not worker-safe."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bridge import settings
from bridge.control_plan import around
from bridge.dialplan.load import Inspected, inspect
from bridge.dialplan.question import header_pairs
from bridge.errors import FileProblems
from bridge.settings import Settings

PlanPath = Annotated[Path | None, typer.Argument(help="File or folder; the settings' when left out.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Environment = Annotated[
    str | None,
    typer.Option("--environment", help="Whose overlay: overlays/NAME.yaml; the settings' when left out."),
]
Headers = Annotated[list[str] | None, typer.Option("--header", help='SIP header, "Name: value"; repeatable.')]


def settings_of(config: Path | None) -> Settings:
    """The settings; ends the command with 1 when they are wrong."""
    try:
        return settings.load(config, os.environ)
    except FileProblems as error:
        raise refused(error) from None


def plan_at(path: Path, loaded: Settings, environment: str | None = None) -> Inspected:
    """The plan; ends the command with 1 when it is wrong."""
    try:
        return inspect(path, around(loaded), environment=environment or loaded.environment)
    except FileProblems as error:
        raise refused(error) from None


def refused(error: FileProblems) -> typer.Exit:
    """Tells every problem and their number; raise what comes back."""
    for problem in error.problems:
        typer.echo(str(problem))
    typer.echo(count(error.problems, "mistake"))
    return typer.Exit(1)


def count(found: Sequence[object], word: str) -> str:
    """`1 mistake`, `2 mistakes`."""
    return f"{len(found)} {word}{'' if len(found) == 1 else 's'}"


def header_lines(lines: Sequence[str] | None) -> dict[str, str]:
    """`["X-A: b"]` by name, as written."""
    try:
        return dict(header_pairs(lines or ()))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def clean(text: str) -> str:
    """What a stranger sent must not steer the terminal."""
    return "".join(char if char.isprintable() else "�" for char in text)
