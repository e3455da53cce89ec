"""`sipbridge dialplan …`: look at a dialplan before it is live. Each command but explain has a file of its own.

Prints to standard output and exits 1 when the plan cannot be used. Reads the dialplan and, for the names of
the providers, the settings; changes nothing. Not worker-safe.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from bridge.cli import plancheck, plandiff, planedit, plangraph, plannew, planschema, plantest, simulate
from bridge.cli.call import OrderedCommand
from bridge.cli.planread import Config, Environment, Headers, PlanPath, header_lines, plan_at, settings_of
from bridge.dialplan.cases import instant
from bridge.dialplan.explain import explain as verdicts
from bridge.dialplan.plan import CallFacts, Plan

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Check and explain dialplans.",
)

Loads = Annotated[
    list[str] | None, typer.Option("--load", help="Calls on a route, for `capacity`: ROUTE=3; repeatable.")
]

app.command("check")(plancheck.check)
app.command("diff")(plandiff.diff)
app.command("graph")(plangraph.graph)
app.command("simulate", cls=OrderedCommand)(simulate.simulate)
app.command("new")(plannew.new)
app.command("set")(planedit.set_value)
app.command("unset")(planedit.unset)
app.command("add-holiday")(planedit.add_holiday)
app.command("schema")(planschema.schema)
app.command("test")(plantest.run_tests)


@app.command()
def explain(  # noqa: PLR0913, PLR0917  # one parameter an option
    to: Annotated[str, typer.Option("--to", help="Called number.")],
    from_: Annotated[str, typer.Option("--from", help="Caller's number.")] = "",
    header: Headers = None,
    at: Annotated[str, typer.Option("--at", help="When: 2026-12-24T20:00; now when left out.")] = "",
    trunk: Annotated[str, typer.Option("--trunk", help="The trunk it comes over.")] = "",
    load: Loads = None,
    path: PlanPath = None,
    config: Config = None,
    environment: Environment = None,
) -> None:
    """Say which route takes a call, and why not the ones before it. Exit code 1: none does."""
    loaded = settings_of(config)
    plan = plan_at(path or loaded.dialplans, loaded, environment).plan
    headers = {name.lower(): value for name, value in header_lines(header).items()}
    live = {name: _calls(value) for name, value in _pairs(load, "=", "ROUTE=3")}
    facts = plan.complete(CallFacts(to, from_, headers=headers, trunk=trunk, live=live), _instant(plan, at))
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
        name, found, value = text.rpartition(mark)
        if not found:
            raise typer.BadParameter(f'"{text}" is not "{form}"')
        yield name.strip(), value.strip()


def _calls(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise typer.BadParameter(f"{text} is no number of calls")
    return int(text)


def _instant(plan: Plan, text: str) -> datetime:
    try:
        return instant(plan, text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no time: write it as 2026-12-24T20:00") from None
