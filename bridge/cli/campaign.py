"""`sipbridge campaign load|list|show|pause|resume|cancel`: everybody in a CSV file is called, one after the other.

A file with a bad line is not loaded (unless --skip-bad): each one is told with its number. Control judges every line
again when it is its turn. Not worker-safe.
"""

import asyncio
import time
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from bridge.approval.signing import DECISION_KEY, secret
from bridge.cli.dial import AsJson, Config, tell, visible
from bridge.cli.identity import with_store
from bridge.control_outbound_requests import sealed_job
from bridge.dialplan.load import load as load_plan
from bridge.errors import StoreError
from bridge.outbound.job import FINAL, Wish
from bridge.outbound.rules import rules_of
from bridge.outbound.sheet import Sheet, read
from bridge.settings import Settings
from bridge.store.outboundstore import Campaign, OutboundStore
from bridge.store.store import Store
from bridge.store.userstore import User

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Calls to everybody in a CSV file.",
)
Name = Annotated[str, typer.Argument(help="The campaign.")]
MAX_TOLD = 50
SHOWN = 1000


@app.command()
def load(  # one option each
    file: Annotated[Path, typer.Argument(help="CSV: a header with `number`; other columns are vars.NAME.")],
    name: Annotated[str, typer.Option("--name", help="Letters, digits, - and _.")],
    agent: Annotated[str, typer.Option("--agent", help="Who talks, instead of outbound.do.")] = "",
    route: Annotated[str, typer.Option("--route", help="Whose steps run, instead of outbound.do.")] = "",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Load the good lines all the same.")] = False,
    config: Config = None,
) -> None:
    """Load a file; its calls begin at once."""
    _check_name(name)
    if agent and route:
        raise typer.BadParameter("--agent or --route, not both")
    run = f"agent:{agent}" if agent else f"route:{route}" if route else ""

    async def work(store: Store, settings: Settings, me: User) -> Sheet:
        plan = await asyncio.to_thread(load_plan, settings.dialplans)
        rules = await asyncio.to_thread(rules_of, plan)
        sheet = read(await asyncio.to_thread(file.read_bytes), rules)
        if sheet.rows and (skip_bad or not sheet.bad):
            key, now = secret(settings.state_dir / "keys" / DECISION_KEY), time.time()
            wishes = (
                Wish(row.number, run, row.variables, name, me.name, "campaign", now) for row in sheet.rows
            )
            await OutboundStore(store).add([sealed_job(key, wish) for wish in wishes], name, me.name)
        return sheet

    sheet = with_store(config, "dial", work)
    for line, why in sheet.bad[:MAX_TOLD]:
        typer.echo(visible(f"{file}:{line}: {why}"), err=True)
    if len(sheet.bad) > MAX_TOLD:
        typer.echo(f"… and {len(sheet.bad) - MAX_TOLD} more", err=True)
    if not sheet.rows or (sheet.bad and not skip_bad):
        typer.echo(f"nothing is loaded: {len(sheet.bad)} bad, {len(sheet.rows)} good lines", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name}: {len(sheet.rows)} calls, {len(sheet.bad)} lines left out")


@app.command("list")
def list_(config: Config = None) -> None:
    """All campaigns, newest first."""
    found = with_store(config, "look", lambda store, _settings, _me: OutboundStore(store).campaigns())
    for one in found:
        typer.echo(_line(one))
    if not found:
        typer.echo("no campaigns")


@app.command()
def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """One campaign with its calls."""

    async def work(store: Store, _settings: Settings, _me: User) -> None:
        jobs = OutboundStore(store)
        one = next((one for one in await jobs.campaigns() if one.name == name), None)
        if one is None:
            raise StoreError(f"there is no campaign {name}")
        if not as_json:
            typer.echo(_line(one))
        tell(await jobs.jobs(campaign=name, limit=SHOWN), as_json=as_json)

    with_store(config, "look", work)


@app.command()
def pause(name: Name, config: Config = None) -> None:
    """No more calls until `resume`; those that are on go on."""
    _set(config, name, ("running",), "paused")


@app.command()
def resume(name: Name, config: Config = None) -> None:
    """Go on after `pause`."""
    _set(config, name, ("paused",), "running")


@app.command()
def cancel(name: Name, config: Config = None) -> None:
    """No more calls at all; those that are on go on."""
    _set(config, name, ("running", "paused"), "cancelled")


def _set(config: Path | None, name: str, before: Collection[str], state: str) -> None:
    done = with_store(
        config, "dial", lambda store, _settings, _me: OutboundStore(store).set_campaign(name, before, state)
    )
    if not done:
        raise StoreError(f"there is no campaign {name} that is {' or '.join(before)}")
    typer.echo(f"{name}: {state}")


def _line(one: Campaign) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(one.counts.items()))
    over = one.state == "running" and not set(one.counts) - set(FINAL)
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created_at))
    return f"{one.name:20} {'over' if over else one.state:10} {at}  by {one.asked_by}: {counts}"


def _check_name(name: str) -> None:
    if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= 64):
        raise typer.BadParameter("letters, digits, - and _ only, 64 at most", param_hint="--name")
