"""`sipbridge calls live`, and the commands that lay hands on a running call.

They ask control over its Unix socket (bridge/control_api_calls.py) and wait for what the call did. Exit code 1: it did
not, nobody knows the call, or the bridge is not running. Who asks is in the call's record.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.control_client import ask
from bridge.cli.dial import visible
from bridge.errors import BridgeError

BASE = "/api/v1/calls"
ANSWER_S = 110.0
"""Longer than control gives any call (control_hands.KINDS)."""
WIDE = 150
SHOWN_ID = 8
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Id = Annotated[str, typer.Argument(help="The call's id as `calls live` shows it, or its beginning.")]
Target = Annotated[str, typer.Argument(help="A name of the dialplan's `transfers`.")]


def live(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False, config: Config = None
) -> None:
    """Calls that are going on now, the newest first."""
    data = _asked(config, "GET", BASE)
    if as_json:
        typer.echo(json.dumps(data["calls"], indent=2))
        return
    if not data["calls"]:
        typer.echo("no live calls")
        return
    table = Table(box=None)
    for column in ("id", "from", "to", "route", "agent", "since", "worker", "state"):
        table.add_column(column, overflow="fold")
    for one in data["calls"]:
        since = time.strftime("%H:%M:%S", time.localtime(one["since"]))
        state = one["state"] if one["connected"] else f"{one['state']}, worker away"
        cells = (one["id"][:SHOWN_ID], one["from"], one["to"], one["route"], one["agent"], since)
        table.add_row(*(Text(visible(str(cell or ""))) for cell in (*cells, one["worker"], state)))
    console = Console()
    (console if console.is_terminal else Console(width=WIDE)).print(table)


def hangup(
    call: Id,
    reason: Annotated[str, typer.Option("--reason", help="For the record and the Reason header.")] = "",
    config: Config = None,
) -> None:
    """End a call now."""
    _act(config, call, "hang_up", {"reason": reason} if reason else {}, "hung up")


def transfer(call: Id, target: Target, config: Config = None) -> None:
    """Hand the caller on (REFER); the call stays with the agent until the target has answered."""
    _act(config, call, "transfer", {"target": target}, f"transferred to {target}")


def warm_transfer(
    call: Id,
    target: Target,
    summary: Annotated[str, typer.Option("--summary", help="What the target is told first.")] = "",
    config: Config = None,
) -> None:
    """Ask the target first, and connect the caller when they accept."""
    body = {"target": target} | ({"summary": summary} if summary else {})
    _act(config, call, "warm_transfer", body, f"connected with {target}")


def supervise(
    call: Id,
    target: Target,
    mode: Annotated[str, typer.Option("--mode", help="listen, whisper (to the agent) or join.")] = "listen",
    stop: Annotated[bool, typer.Option("--stop", help="Let the supervisor go.")] = False,
    config: Config = None,
) -> None:
    """Call somebody and let them hear the call; a second time with another --mode changes it."""
    if stop:
        _act(config, call, "supervise", {"target": target, "stop": True}, f"{target} supervises no more")
    else:
        _act(config, call, "supervise", {"target": target, "mode": mode}, f"{target} is there: {mode}")


def take_over(call: Id, target: Target, config: Config = None) -> None:
    """End the agent's session: caller and target talk alone."""
    _act(config, call, "take_over", {"target": target}, f"{target} has the caller")


def hand_back(
    call: Id,
    note: Annotated[str, typer.Option("--note", help="What the agent is told.")] = "",
    config: Config = None,
) -> None:
    """After a take-over: the agent has the caller again, and who took over leaves."""
    _act(config, call, "hand_back", {"note": note} if note else {}, "the agent has the caller again")


def whisper(
    call: Id,
    text: Annotated[str, typer.Argument(help="For the agent alone; the caller does not hear it.")],
    now: Annotated[bool, typer.Option("--now", help="Have the agent speak at once.")] = False,
    config: Config = None,
) -> None:
    """Tell the agent something; it follows it from its next words on."""
    _act(config, call, "whisper", {"text": text} | ({"now": True} if now else {}), "the agent was told")


def record(
    call: Id,
    action: Annotated[str, typer.Argument(help="pause or resume.")],
    config: Config = None,
) -> None:
    """Pause or resume the recording."""
    data = _asked(config, "POST", _path(call, "recording"), {"action": action})
    state = "no recording runs" if not data["recording"] else "paused" if data["paused"] else "recording"
    unchanged = {"pause": "it was paused already", "resume": "no operator had paused it"}[action]
    typer.echo(f"{data['call_id'][:SHOWN_ID]}: {state}" + ("" if data["changed"] else f" ({unchanged})"))


def hand_off(
    call: Id,
    agent: Annotated[str, typer.Argument(help="One of the agent's `hand_off_to`.")],
    note: Annotated[str, typer.Option("--note", help="What the next agent is told.")] = "",
    config: Config = None,
) -> None:
    """Hand the caller to another agent, who knows what was said."""
    _act(
        config,
        call,
        "hand_off",
        {"agent": agent} | ({"note": note} if note else {}),
        f"{agent} has the caller",
    )


def add_to(app: typer.Typer) -> None:
    """Join them to `sipbridge calls`."""
    hands = (hangup, transfer, warm_transfer, supervise, take_over, hand_back, whisper, record, hand_off)
    for command in (live, *hands):
        app.command(command.__name__.replace("_", "-"))(command)


def _act(config: Path | None, call: str, kind: str, body: Mapping[str, Any], done: str) -> None:
    data = _asked(config, "POST", _path(call, kind), body)
    typer.echo(f"{data['call_id'][:SHOWN_ID]}: {done}")


def _path(call: str, kind: str) -> str:
    if not (call.isascii() and call.isalnum()):
        raise BridgeError(f"{visible(call[:40])!r} is no call's id: `calls live` shows them")
    return f"{BASE}/{call}/{kind}"


def _asked(
    config: Path | None, method: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The answer. Raises BridgeError: control is away, or its words."""
    status, data = ask(config, method, path, body, answer_s=ANSWER_S)
    if status != 200:
        raise BridgeError(visible(str(data.get("error") or f"control answered {status}")))
    return data
