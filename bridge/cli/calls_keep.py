"""`sipbridge calls hold|release|erase`: keep a call whatever retention says, or forget it altogether.

Both are in the audit, with who did it. They work beside a running bridge or without one. Not worker-safe.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.identity import gates_of, with_store
from bridge.console.deeds import Deeds
from bridge.console.keeping import Keeping
from bridge.control_retention import remove_inside
from bridge.errors import StoreError
from bridge.settings import Settings
from bridge.store.keepstore import KeepStore
from bridge.store.store import Store
from bridge.store.userstore import User

Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Id = Annotated[str, typer.Argument(help="The call's id, or its beginning.")]


def hold(
    call: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why: a case number, who asked.")],
    config: Config = None,
) -> None:
    """Keep everything of a call, whatever the settings of retention say, until it is released."""

    async def work(store: Store, settings: Settings, me: User) -> str:
        call_id = await _one(store, call)
        if not await (await _keeping(store, settings)).hold(call_id, reason, me.name, "cli"):
            return f"{call_id} is held already"
        return f"{call_id} is held"

    typer.echo(with_store(config, "administer", work))


def release(call: Id, config: Config = None) -> None:
    """Let retention have a held call again."""

    async def work(store: Store, settings: Settings, me: User) -> str:
        call_id = await _one(store, call)
        if not await (await _keeping(store, settings)).release(call_id, me.name, "cli"):
            raise StoreError(f"{call_id} is not held")
        return f"{call_id} is released"

    typer.echo(with_store(config, "administer", work))


def erase(
    call: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Forget a call: record, timeline, transcript, recording, messages, and what is personal in the audit."""

    async def work(store: Store, settings: Settings, me: User) -> str:
        call_id = await _one(store, call)
        if not yes and not typer.confirm(f"Forget {call_id} for ever?"):
            return "nothing was erased"
        return await _erase(store, settings, call_id, me)

    typer.echo(with_store(config, "administer", work))


async def _erase(store: Store, settings: Settings, call_id: str, me: User) -> str:
    keep, folder = KeepStore(store), Path(str(settings.recording.folder))
    (record, *_) = await store.find(call_id)
    if record.ended_at is None:
        raise StoreError(f"call {call_id} goes on: hang it up first (sipbridge calls hangup)")
    if any(one.call_id == call_id for one in await keep.holds()):
        raise StoreError(f"call {call_id} is held: sipbridge calls release {call_id} first")
    gates = await gates_of(store, settings)
    payloads = await gates.erase(call_id, me.name, time.time())
    messages = await keep.messages_of(call_id)
    named = [Path(path) for path in (record.recording_path, *(one.path for one in messages)) if path]
    files = [path for path in named if remove_inside(path, folder)]
    gone = await keep.erase(call_id)
    counts: dict[str, Any] = {
        "events": gone.events,
        "messages": gone.voicemails,
        "files": len(files),
        "outbound": gone.outbound,
    }
    await Deeds(gates, logged=False).note("call_erased", me.name, call_id=call_id, via="cli", **counts)
    lines = [
        f"{call_id} is erased: {gone.events} events, {len(files)} files, {payloads} payloads of the audit"
    ]
    lines += [f"not on this machine, delete it where it is: {path}" for path in named if path not in files]
    return "\n".join(lines)


async def _one(store: Store, call: str) -> str:
    found = await store.find(call) if call.strip() else []
    if len(found) != 1:
        ids = ": " + ", ".join(record.call_id for record in found) if found else ""
        raise StoreError(f"{len(found) or 'no'} calls have an id that begins with {call!r}{ids}")
    return found[0].call_id


async def deeds_of(store: Store, settings: Settings) -> Deeds:
    """What a command did, for the audit. StoreError: this machine cannot sign it."""
    return Deeds(await gates_of(store, settings), logged=False)


async def _keeping(store: Store, settings: Settings) -> Keeping:
    return Keeping(KeepStore(store), await deeds_of(store, settings))


def add_to(app: typer.Typer) -> None:
    """Under `sipbridge calls`."""
    for command in (hold, release, erase):
        app.command()(command)
