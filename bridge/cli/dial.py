"""`sipbridge dial NUMBER`, `sipbridge dial list|cancel`: calls that the bridge places.

Leaves the wish in the store, sealed; control judges it by the dialplan's `outbound` rules and answers. Who asks:
identity.py. Not worker-safe.
"""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from bridge.cli.identity import with_store
from bridge.control_outbound_requests import request_call, shown
from bridge.errors import StoreError
from bridge.keys import decision_key
from bridge.outbound.job import FINAL, Job
from bridge.outbound.wish import WishError
from bridge.settings import Settings
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store
from bridge.store.userstore import User

WATCH_S = 0.2
WIDE = 150  # columns where the output is no terminal
SHOWN_ID = 8
ENDS_WELL = ("done", "queued")
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


class DialGroup(TyperGroup):
    """`dial +4930…` is short for `dial to +4930…`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The sub-command of the first word, which may be a number."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["to", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=DialGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Calls that the bridge places: dial NUMBER, dial list, dial cancel.",
)


@app.command()
def to(  # noqa: PLR0913, PLR0917  # one option each
    number: Annotated[str, typer.Argument(help="+493012345678, or as one dials in outbound.region.")],
    agent: Annotated[str, typer.Option("--agent", help="Who talks, instead of outbound.do.")] = "",
    route: Annotated[str, typer.Option("--route", help="Whose steps run, instead of outbound.do.")] = "",
    var: Annotated[
        list[str] | None, typer.Option("--var", help="NAME=TEXT for the agent: vars.NAME.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until the call is over; status 1 if nobody answered.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Call a number."""
    body = {"number": number, "agent": agent, "route": route, "variables": _variables(var or [])}

    async def work(store: Store, settings: Settings, me: User) -> Job:
        jobs = OutboundStore(store)
        key = decision_key(settings, os.environ)
        ruling = await request_call(jobs, key, me.name, "cli", body)
        (job,) = await jobs.find(ruling["job_id"])
        if not as_json:
            _say(job)
        return await _follow(jobs, job, quiet=as_json) if wait else job

    job = with_store(config, "dial", work)
    if as_json:
        typer.echo(json.dumps(shown(job), indent=2))
    if job.state not in ENDS_WELL and (wait or job.state in FINAL):
        raise typer.Exit(1)


@app.command("list")
def list_(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    config: Config = None,
) -> None:
    """Calls that wait or are on, newest first."""
    states = () if everything else ("asked", "queued", "dialling", "ringing", "answered", "human", "machine")
    found = with_store(config, "look", lambda store, _settings, _me: OutboundStore(store).jobs(states))
    tell(found, as_json=as_json)


@app.command()
def cancel(
    which: Annotated[str, typer.Argument(help="Beginning of the id that `dial list` shows.")],
    config: Config = None,
) -> None:
    """Do not call, or end the call."""

    async def work(store: Store, _settings: Settings, _me: User) -> Job:
        jobs = OutboundStore(store)
        found = await jobs.find(which)
        if len(found) != 1:
            raise StoreError(f"{len(found) or 'no'} calls begin with {which!r}")
        if found[0].state in FINAL:
            raise StoreError(f"it is over: {found[0].state} {found[0].reason}")
        await jobs.cancel(found[0].job_id)
        return found[0]

    typer.echo(f"{with_store(config, 'dial', work).job_id}: will be cancelled")


async def _follow(jobs: OutboundStore, job: Job, *, quiet: bool) -> Job:
    while job.state not in FINAL:
        await asyncio.sleep(WATCH_S)
        (now,) = await jobs.find(job.job_id)
        if not quiet and (now.state, now.reason) != (job.state, job.reason):
            _say(now)
        job = now
    return job


def _say(job: Job) -> None:
    heard = f" ({job.heard})" if job.heard else ""
    typer.echo(
        f"{job.job_id[:SHOWN_ID]}  {job.number or job.wish.number}: {job.state}{heard} {job.reason}".rstrip()
    )


def _variables(words: Sequence[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise WishError(f"--var {word[:40]}: write NAME=TEXT")
        found[name] = value
    return found


def tell(jobs: Sequence[Job], *, as_json: bool) -> None:
    """Print jobs as a table, or as JSON."""
    if as_json:
        typer.echo(json.dumps([shown(job) for job in jobs], indent=2))
        return
    if not jobs:
        typer.echo("no calls")
        return
    table = Table(box=None)
    for column in ("call", "number", "state", "heard", "tries", "due", "asked by", "campaign", "why"):
        table.add_column(column, no_wrap=column != "why")
    for job in jobs:
        due = time.strftime("%H:%M:%S", time.localtime(job.due_at)) if job.state == "queued" else ""
        number = job.number or job.wish.number
        cells = (job.job_id[:SHOWN_ID], number, job.state, job.heard, str(job.attempts), due)
        texts = (*cells, job.wish.asked_by, job.wish.campaign, job.reason)
        table.add_row(*(Text(visible(cell)) for cell in texts))
    console = Console()
    (console if console.is_terminal else Console(width=WIDE)).print(table)


def visible(text: str) -> str:
    """What somebody wrote must not move the cursor of who looks at it."""
    return "".join(char if char.isprintable() else "�" for char in text)
