"""`sipbridge dialplan …`: look at a dialplan before it is live. Each command but explain has a file of its own.

Prints to standard output and exits 1 when the plan cannot be used. Reads the dialplan and, for the names of
the providers, the settings; changes nothing. Not worker-safe.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli import plancheck, plandiff, planedit, plangraph, plannew, planschema, plantest, simulate
from bridge.cli.call import OrderedCommand
from bridge.cli.planread import Config, Headers, PlanPath, header_lines, plan_at, settings_of
from bridge.dialplan.cases import instant
from bridge.dialplan.explain import explain as verdicts
from bridge.dialplan.load import Inspected
from bridge.dialplan.plan import CallFacts, Plan

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Check and explain dialplans.",
)

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
def explain(
    to: Annotated[str, typer.Option("--to", help="Called number.")],
    from_: Annotated[str, typer.Option("--from", help="Caller's number.")] = "",
    header: Headers = None,
    at: Annotated[str, typer.Option("--at", help="When: 2026-12-24T20:00; now when left out.")] = "",
    path: PlanPath = None,
    config: Config = None,
) -> None:
    """Say which route takes a call, and why not the ones before it. Exit code 1: none does."""
    plan = _inspect(path, config).plan
    headers = {name.lower(): value for name, value in header_lines(header).items()}
    open_hours = plan.open_at(_instant(plan, at))
    if plan.hours:
        typer.echo(f"open then: {', '.join(sorted(open_hours)) or 'nothing'}")
    found = list(verdicts(plan, CallFacts(to, from_, headers=headers, open_hours=open_hours)))
    for verdict in found:
        typer.echo(f"{'->' if verdict.misfit is None else ' x'} {verdict}")
    if not found or found[-1].misfit is not None:
        typer.echo("no route fits: the call gets 404")
        raise typer.Exit(1)


def _instant(plan: Plan, text: str) -> datetime:
    try:
        return instant(plan, text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no time: write it as 2026-12-24T20:00") from None


def _inspect(path: Path | None, config: Path | None) -> Inspected:
    loaded = settings_of(config)
    return plan_at(path or loaded.dialplans, loaded)
