"""`sipbridge dialplan check|explain|schema`: look at a dialplan before it is live; dialplan_live.py has the rest.

Prints to standard output and exits 1 when the plan cannot be used. Reads the dialplan and, for the names of
the providers, the settings; changes nothing. Not worker-safe.
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bridge import settings
from bridge.cli import dialplan_live
from bridge.dialplan.explain import explain as verdicts
from bridge.dialplan.load import Inspected, inspect
from bridge.dialplan.plan import CallFacts
from bridge.dialplan.schema import Dialplan
from bridge.errors import FileProblems

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Check and explain dialplans.",
)

dialplan_live.add_to(app)

PlanPath = Annotated[Path | None, typer.Argument(help="File or folder; the settings' when left out.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Headers = Annotated[list[str] | None, typer.Option("--header", help='SIP header, "Name: value"; repeatable.')]


@app.command()
def check(path: PlanPath = None, config: Config = None) -> None:
    """Find mistakes. Exit code 0: the plan can be used."""
    found = _inspect(path, config)
    for warning in found.warnings:
        typer.echo(f"{warning} [warning]")
    plan = found.plan
    typer.echo(f"version {plan.version}: {len(plan.routes)} routes, {len(plan.agents)} agents")
    for route in plan.routes[:50]:
        conditions = [f"{one.field} {' or '.join(one.patterns)}" for one in route.conditions]
        typer.echo(f"  {route.name}: {', '.join(conditions)[:100] or 'every call'}")
    if len(plan.routes) > 50:
        typer.echo(f"  … and {len(plan.routes) - 50} more")


@app.command()
def explain(
    to: Annotated[str, typer.Option("--to", help="Called number.")],
    from_: Annotated[str, typer.Option("--from", help="Caller's number.")] = "",
    header: Headers = None,
    at: Annotated[str, typer.Option("--at", help="When: 2026-12-24T20:00, local; now when left out.")] = "",
    path: PlanPath = None,
    config: Config = None,
) -> None:
    """Say which route takes a call, and why not the ones before it. Exit code 1: none does."""
    plan = _inspect(path, config).plan
    headers = {}
    for line in header or []:
        name, colon, value = line.partition(":")
        if not colon:
            raise typer.BadParameter(f'"{line}" is not "Name: value"')
        headers[name.strip().lower()] = value.strip()
    open_hours = plan.open_at(_instant(at))
    if plan.hours:
        typer.echo(f"open then: {', '.join(sorted(open_hours)) or 'nothing'}")
    found = list(verdicts(plan, CallFacts(to, from_, headers=headers, open_hours=open_hours)))
    for verdict in found:
        typer.echo(f"{'->' if verdict.misfit is None else ' x'} {verdict}")
    if not found or found[-1].misfit is not None:
        typer.echo("no route fits: the call gets 404")
        raise typer.Exit(1)


def _instant(text: str) -> datetime:
    try:
        return (datetime.fromisoformat(text) if text else datetime.now(UTC)).astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text} is no time: write it as 2026-12-24T20:00") from None


@app.command()
def schema() -> None:
    """Print the JSON Schema of dialplan files, for editors."""
    sys.stdout.write(json_schema())


def json_schema() -> str:
    """The text of dialplans/schema.json."""
    body = Dialplan.model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **body}, indent=1) + "\n"


def _inspect(path: Path | None, config: Path | None) -> Inspected:
    try:
        loaded = settings.load(config, os.environ)
        return inspect(path or loaded.dialplans, loaded.providers)
    except FileProblems as error:
        for problem in error.problems:
            typer.echo(str(problem))
        typer.echo(f"{len(error.problems)} {'mistake' if len(error.problems) == 1 else 'mistakes'}")
        raise typer.Exit(1) from None
