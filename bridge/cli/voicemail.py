"""`sipbridge voicemail list|show|play-path|done|delete`: the messages that callers left.

Reads and marks the store directly, so it works while the bridge runs and when it is down. To listen:
`aplay "$(sipbridge voicemail play-path 7)"`. Not worker-safe.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.identity import with_store
from bridge.errors import StoreError
from bridge.media.messagefile import is_message
from bridge.settings import Settings, worker_config
from bridge.store.keepstore import KeepStore
from bridge.store.store import Store
from bridge.store.userstore import User
from bridge.store.voicemailstore import Delivery, Voicemail, VoicemailStore

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Messages that callers left.",
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Number = Annotated[int, typer.Argument(help="As `list` shows it.")]
LISTEN = "audit"
"""What somebody may who listens to messages: as calls and their records (admin, operator)."""


@app.command("list")
def list_(
    as_json: AsJson = False,
    mailbox: Annotated[str, typer.Option("--mailbox", help="Only this one.")] = "",
    done: Annotated[bool, typer.Option("--all", help="Those that are done as well.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest so many.")] = 50,
    config: Config = None,
) -> None:
    """The newest messages first."""
    found = with_store(
        config,
        LISTEN,
        lambda store, _settings, _me: VoicemailStore(store).messages(mailbox=mailbox, done=done, limit=limit),
    )
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        words = f"{one.seconds:5.1f} s  {one.mailbox:16} from {one.from_uri or '-'} to {one.called or '-'}"
        typer.echo(_clean(f"{one.voicemail_id:6}  {_when(one.at)}  {one.state:4}  {words}"))
    if not found:
        typer.echo("no messages" if done else "no new messages")


@app.command()
def show(number: Number, as_json: AsJson = False, config: Config = None) -> None:
    """One message, and how far it is with each of its channels."""
    message, deliveries = _one(config, number)
    if as_json:
        body = {"message": asdict(message), "deliveries": [asdict(one) for one in deliveries]}
        typer.echo(json.dumps(body, indent=2))
        return
    rows: dict[str, Any] = asdict(message) | {"at": _when(message.at)}
    for name, value in rows.items():
        if value not in (None, ""):
            typer.echo(f"{name.removesuffix('_uri').replace('_', ' '):13} {_clean(value)}")
    for one in deliveries:
        again = f", again at {_when(one.next_at)}" if one.state == "pending" and one.tries else ""
        error = f": {one.error}" if one.error else ""
        typer.echo(_clean(f"to {one.channel:10} {one.state} after {one.tries} tries{again}{error}"))


@app.command("play-path")
def play_path(number: Number, config: Config = None) -> None:
    """The path of its WAV file, for a player."""
    typer.echo(_one(config, number)[0].path)


@app.command()
def done(number: Number, config: Config = None) -> None:
    """Mark it as dealt with."""
    if not with_store(
        config, LISTEN, lambda store, _settings, _me: VoicemailStore(store).set_state(number, "done")
    ):
        raise _none(number)
    typer.echo(f"{number}: done")


@app.command()
def delete(number: Number, config: Config = None) -> None:
    """Remove it for good: the file, and what the store knows of it but that the call left one."""
    message, _ = _one(config, number)

    async def remove(store: Store, settings: Settings, _me: User) -> None:
        for held in await KeepStore(store).holds():
            if held.call_id == message.call_id:
                call = f"call {held.call_id}, which is held ({held.reason})"
                raise StoreError(f"message {number} is of {call}: sipbridge calls release first")
        path = Path(message.path)
        if await asyncio.to_thread(is_message, path, worker_config(settings, 0).recording.folder):
            await asyncio.to_thread(path.unlink, missing_ok=True)
        await VoicemailStore(store).forget(number)

    with_store(config, LISTEN, remove)
    typer.echo(f"{number}: deleted")


def _one(config: Path | None, number: int) -> tuple[Voicemail, Sequence[Delivery]]:
    async def read(messages: VoicemailStore) -> tuple[Voicemail, Sequence[Delivery]]:
        message = await messages.message(number)
        if message is None:
            raise _none(number)
        return message, await messages.deliveries(number)

    return with_store(config, LISTEN, lambda store, _settings, _me: read(VoicemailStore(store)))


def _none(number: int) -> StoreError:
    return StoreError(f"there is no message {number}: sipbridge voicemail list --all shows them")


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _clean(value: Any) -> str:
    """What a stranger sent must not steer the terminal."""
    return "".join(char if char.isprintable() else "�" for char in str(value))
