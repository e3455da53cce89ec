"""`sipbridge dialplan check|explain|schema`: look at a dialplan before it is live.

Prints to standard output and exits 1 when the plan cannot be used. Reads the dialplan and, for the names of
the providers, the settings; changes nothing. Not worker-safe.
"""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bridge import settings
from bridge.dialplan.editor_schema import editor_schema
from bridge.dialplan.explain import explain as verdicts
from bridge.dialplan.explain import wanted
from bridge.dialplan.load import Inspected, inspect
from bridge.dialplan.plan import CallFacts, Plan
from bridge.errors import FileProblems

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Check and explain dialplans.",
)

PlanPath = Annotated[Path | None, typer.Argument(help="File or folder; the settings' when left out.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Environment = Annotated[
    str | None,
    typer.Option("--environment", help="Whose overlay: overlays/NAME.yaml; the settings' when left out."),
]
Loads = Annotated[
    list[str] | None, typer.Option("--load", help="Calls on a route, for `capacity`: ROUTE=3; repeatable.")
]
Headers = Annotated[list[str] | None, typer.Option("--header", help='SIP header, "Name: value"; repeatable.')]


@app.command()
def check(path: PlanPath = None, config: Config = None, environment: Environment = None) -> None:
    """Find mistakes. Exit code 0: the plan can be used."""
    found = _inspect(path, config, environment)
    for warning in found.warnings:
        typer.echo(f"{warning} [warning]")
    plan = found.plan
    typer.echo(f"version {plan.version}: {len(plan.routes)} routes, {len(plan.agents)} agents")
    for route in plan.routes[:50]:
        conditions = [wanted(one) for one in route.conditions]
        typer.echo(f"  {route.name}: {', '.join(conditions)[:100] or 'every call'}")
    if len(plan.routes) > 50:
        typer.echo(f"  … and {len(plan.routes) - 50} more")


@app.command()
def explain(  # noqa: PLR0913, PLR0917  # one parameter an option
    to: Annotated[str, typer.Option("--to", help="Called number.")],
    from_: Annotated[str, typer.Option("--from", help="Caller's number.")] = "",
    header: Headers = None,
    at: Annotated[str, typer.Option("--at", help="When: 2026-12-24T20:00, local; now when left out.")] = "",
    trunk: Annotated[str, typer.Option("--trunk", help="The trunk it comes over.")] = "",
    load: Loads = None,
    path: PlanPath = None,
    config: Config = None,
    environment: Environment = None,
) -> None:
    """Say which route takes a call, and why not the ones before it. Exit code 1: none does."""
    plan = _inspect(path, config, environment).plan
    headers = {name.lower(): value for name, value in _pairs(header, ":", "Name: value")}
    live = {name: _calls(value) for name, value in _pairs(load, "=", "ROUTE=3")}
    facts = plan.complete(CallFacts(to, from_, headers=headers, trunk=trunk, live=live), _instant(at))
    for line in _seen(plan, facts):
        typer.echo(line)
    found = list(verdicts(plan, facts))
    for verdict in found:
        typer.echo(f"{'->' if verdict.misfit is None else ' x'} {verdict}")
    if not found or found[-1].misfit is not None:
        typer.echo("no route fits: the call gets 404")
        raise typer.Exit(1)


def _seen(plan: Plan, facts: CallFacts) -> Iterator[str]:
    """What the plan makes of the call, before any route."""
    for name, number, raw in (
        ("to", facts.to_number, facts.to_raw),
        ("from", facts.from_number, facts.from_raw),
    ):
        if number != raw:
            yield f"{name}: {raw} is {number}"
    if facts.number:
        yield f"called number: {facts.number}"
    for name, lists in (("to", facts.to_lists), ("from", facts.from_lists)):
        if lists:
            yield f"{name} is on: {', '.join(sorted(lists))}"
    if plan.hours:
        yield f"open then: {', '.join(sorted(facts.open_hours)) or 'nothing'}"
    if facts.day_part:
        yield f"part of the day: {facts.day_part}"


def _pairs(given: list[str] | None, mark: str, form: str) -> Iterator[tuple[str, str]]:
    for text in given or []:
        name, found, value = text.rpartition(mark) if mark == "=" else text.partition(mark)
        if not found:
            raise typer.BadParameter(f'"{text}" is not "{form}"')
        yield name.strip(), value.strip()


def _calls(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise typer.BadParameter(f"{text} is no number of calls")
    return int(text)


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
    return json.dumps(editor_schema(), indent=1) + "\n"


def _inspect(path: Path | None, config: Path | None, environment: str | None) -> Inspected:
    try:
        loaded = settings.load(config, os.environ)
        chosen = environment or loaded.environment
        return inspect(path or loaded.dialplans, loaded.providers, environment=chosen)
    except FileProblems as error:
        for problem in error.problems:
            typer.echo(str(problem))
        typer.echo(f"{len(error.problems)} {'mistake' if len(error.problems) == 1 else 'mistakes'}")
        raise typer.Exit(1) from None
