"""`sipbridge dialplan graph`: the call flow as an SVG file, for a browser, a wiki or a pull request."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.planread import Config, PlanPath, plan_at, settings_of
from bridge.dialplan.graph import svg
from bridge.fieldhelp import nearest

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="SVG file; standard output when left out.")
]
Only = Annotated[str, typer.Option("--route", help="Only the route of this name.")]


def graph(path: PlanPath = None, *, output: Output = None, route: Only = "", config: Config = None) -> None:
    """Draw the call flow as an SVG."""
    loaded = settings_of(config)
    plan = plan_at(path or loaded.dialplans, loaded).plan
    names = [one.name for one in plan.routes]
    if route and route not in names:
        raise typer.BadParameter(f"there is no route {route} ({nearest(route, names)})")
    picture = svg(plan, route)
    if output is None:
        typer.echo(picture, nl=False)
        return
    output.write_text(picture, encoding="utf-8")
    typer.echo(f"{output}: open it in a browser")
