"""`sipbridge retention show|plan|run`: what is kept how long, what is due, and deleting it now.

The same code as control's job (bridge/control_retention.py), beside a running bridge or without one. Not worker-safe.
"""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.identity import with_store
from bridge.control_retention import Tally, retention_job
from bridge.settings import Settings
from bridge.settings_ops import DAYS
from bridge.store.keepstore import Hold, KeepStore
from bridge.store.store import Store
from bridge.store.userstore import User

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="What is kept how long.",
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
WORDS = {
    "calls": "call records",
    "events": "events of calls",
    "recordings": "recordings",
    "voicemails": "messages of callers",
    "voicemail_files": "files of messages",
    "audit_payloads": "payloads of the audit",
    "outbound": "outbound calls",
    "speech": "spoken texts",
    "logs": "log files",
    "bytes": "bytes of files",
}


@app.command()
def show(as_json: AsJson = False, config: Config = None) -> None:
    """The rules, and which calls are held."""

    async def work(store: Store, settings: Settings, _me: User) -> tuple[Settings, list[Hold]]:
        return settings, await KeepStore(store).holds()

    settings, holds = with_store(config, "administer", work)
    days = {name: getattr(settings.retention, name) for name in DAYS}
    if as_json:
        held = [{"call_id": one.call_id, "reason": one.reason, "by": one.by, "at": one.at} for one in holds]
        typer.echo(json.dumps({"rules": days, "holds": held}, indent=2))
        return
    for name, value in days.items():
        typer.echo(f"{name:<20} {'off (kept for ever)' if value is None else f'{value:g}'}")
    typer.echo(f"\n{len(holds)} calls are held" + (":" if holds else ""))
    for one in holds:
        typer.echo(f"{one.call_id}  by {one.by}  {one.reason}")


@app.command()
def plan(as_json: AsJson = False, config: Config = None) -> None:
    """What is due now. Deletes nothing."""
    _told(_run(config, dry_run=True), as_json=as_json, dry_run=True)


@app.command()
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Delete what is due now, instead of at the bridge's next round."""
    _told(_run(config, dry_run=dry_run), as_json=as_json, dry_run=dry_run)


def _run(config: Path | None, *, dry_run: bool) -> Tally:
    async def work(store: Store, settings: Settings, _me: User) -> Tally:
        return await retention_job(settings, store).once(time.time(), dry_run=dry_run)

    return with_store(config, "administer", work)


def _told(tally: Tally, *, as_json: bool, dry_run: bool) -> None:
    shown = tally.shown()
    if as_json:
        typer.echo(json.dumps({"deleted": not dry_run, "held": tally.held, **shown}))
        return
    typer.echo(f"{'would delete' if dry_run else 'deleted'}:" + (" nothing" if not shown else ""))
    for name, number in shown.items():
        typer.echo(f"  {number:>10}  {WORDS[name]}")
    if tally.held:
        typer.echo(f"{tally.held} calls are due, but held")
