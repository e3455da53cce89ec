"""`sipbridge doctor`: look at the whole installation and say of each finding what to do. Not worker-safe."""

import asyncio
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from bridge.doctor.examine import Wishes, examine
from bridge.doctor.finding import SECTIONS, Finding, Level, ordered, worst

Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
SIGNS = {Level.OK: "✓", Level.NOTE: "·", Level.WARN: "!", Level.FAIL: "✗"}
COLOURS = {
    Level.OK: typer.colors.GREEN,
    Level.NOTE: typer.colors.BLUE,
    Level.WARN: typer.colors.YELLOW,
    Level.FAIL: typer.colors.RED,
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    call: Annotated[
        str,
        typer.Option("--call", help="Place a test call to this number of the dialplan.", metavar="NUMBER"),
    ] = "",
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody outside of this machine.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as well.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only what is not right.")] = False,
    config: Config = None,
) -> None:
    """Check the installation. Exit status 1: something has to be done (✗; with --strict also !)."""
    findings = ordered(asyncio.run(examine(config, os.environ, Wishes(call, offline))))
    if as_json:
        level = worst(findings).name.lower()
        typer.echo(json.dumps({"worst": level, "findings": [one.to_json() for one in findings]}, indent=2))
    else:
        _show([one for one in findings if one.level >= Level.WARN or not quiet])
        counts = [sum(one.level is level for one in findings) for level in (Level.FAIL, Level.WARN)]
        typer.echo(f"\n{counts[0]} to mend (✗), {counts[1]} warnings (!)")
    raise typer.Exit(worst(findings) >= (Level.WARN if strict else Level.FAIL))


def _show(findings: Iterable[Finding]) -> None:
    section = ""
    for one in findings:
        if one.section != section:
            section = one.section
            typer.echo(f"\n{SECTIONS[section]}")
        sign = typer.style(SIGNS[one.level], fg=COLOURS[one.level])
        typer.echo(f"  {sign} {_clean(one.text)}")
        if one.do and one.level is not Level.OK:
            typer.echo(f"      → {_clean(one.do)}")


def _clean(text: str) -> str:
    """What a file or a peer says must not steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
