"""`sipbridge queues`: who waits now, in which queue, for whom; and which calls are parked.

Asks the running control (GET /api/v1/queues on its Unix socket), because nobody else knows. Changes nothing. Not
worker-safe.
"""

import json
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.control_client import ask
from bridge.errors import BridgeError


def queues(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")
    ] = None,
) -> None:
    """Callers who wait in queues, the members' states, and parked calls, at this moment."""
    status, state = ask(config, "GET", "/api/v1/queues")
    if status != HTTPStatus.OK:
        raise BridgeError(f"control answered {status}: {state.get('error')}")
    if as_json:
        typer.echo(json.dumps(state, indent=2))
        return
    lines = [_queue_line(one) for one in state["queues"]]
    lines += [
        f"parked on {one['slot']}{_at(one)}: call {one['call_id'][:8]} for {one['waiting_s']:.0f} s"
        for one in state["parked"]
    ]
    typer.echo("\n".join(lines) or "nobody has waited since the bridge was started")


def _queue_line(queue: Mapping[str, Any]) -> str:
    states = Counter(member["state"] for member in queue["members"])
    members = ", ".join(f"{member['name']} {member['state']}" for member in queue["members"])
    wait = f", the longest for {queue['longest_wait_s']:.0f} s" if queue["waiting"] else ""
    return f"{queue['name']}{_at(queue)}: {queue['waiting']} waiting{wait}; {states['free']} free ({members})"


def _at(one: Mapping[str, Any]) -> str:
    """On which node; there is only one when none is named."""
    return f" on {one['node']}" if one.get("node") else ""
