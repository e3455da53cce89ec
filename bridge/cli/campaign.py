"""`sipbridge campaign load|list|show|pause|resume|cancel`: everybody in a CSV file is called, one after the other.

A file with a bad line is not loaded (unless --skip-bad): each one is told with its number. Control judges every line
again when it is its turn. Not worker-safe.
"""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.dial import AsJson, Config, tell, visible
from bridge.cli.identity import with_store
from bridge.control_outbound_requests import CAMPAIGN_CHANGES, load_campaign, new_campaign
from bridge.dialplan.load import load as load_plan
from bridge.errors import StoreError
from bridge.keys import decision_key
from bridge.outbound.job import FINAL
from bridge.outbound.rules import rules_of
from bridge.outbound.sheet import Sheet, read
from bridge.outbound.wish import WishError
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
    try:
        new = new_campaign(name, agent, route, "")
    except WishError as error:
        raise typer.BadParameter(str(error)) from None

    async def work(store: Store, settings: Settings, me: User) -> Sheet:
        plan = await asyncio.to_thread(load_plan, settings.dialplans)
        rules = await asyncio.to_thread(rules_of, plan)
        sheet = read(await asyncio.to_thread(file.read_bytes), rules)
        if sheet.rows and (skip_bad or not sheet.bad):
            key = decision_key(settings, os.environ)
            await load_campaign(OutboundStore(store), key, replace(new, asked_by=me.name[:64]), sheet.rows)
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
    _set(config, name, "pause")


@app.command()
def resume(name: Name, config: Config = None) -> None:
    """Go on after `pause`."""
    _set(config, name, "resume")


@app.command()
def cancel(name: Name, config: Config = None) -> None:
    """No more calls at all; those that are on go on."""
    _set(config, name, "cancel")


def _set(config: Path | None, name: str, word: str) -> None:
    before, state = CAMPAIGN_CHANGES[word]
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
