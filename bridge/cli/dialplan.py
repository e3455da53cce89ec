"""`sipbridge dialplan …`: look at a dialplan before it is live. Each command but explain has a file of its own.

Prints to standard output and exits 1 when the plan cannot be used. Reads the dialplan and, for the names of
the providers, the settings; changes nothing. Not worker-safe.
"""

from typing import Annotated

import typer

from bridge.cli import (
    dialplan_live,
    plancheck,
    plandiff,
    planedit,
    plangraph,
    plannew,
    planschema,
    plantest,
    simulate,
)
from bridge.cli.call import OrderedCommand
from bridge.cli.planread import Config, Environment, Headers, PlanPath, plan_at, settings_of
from bridge.dialplan.question import NO_ROUTE, Question, answer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Check and explain dialplans.",
)

dialplan_live.add_to(app)

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
    try:
        found = answer(plan, Question(to, from_, header or (), at, trunk, load or ()))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    for line in found.seen:
        typer.echo(line)
    for verdict in found.verdicts:
        typer.echo(f"{'->' if verdict.misfit is None else ' x'} {verdict}")
    if found.taken is None:
        typer.echo(NO_ROUTE)
        raise typer.Exit(1)
