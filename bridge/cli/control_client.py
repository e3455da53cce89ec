"""Commands that ask the running control process, over its Unix socket (bridge/control_api.py)."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import typer

from bridge.cli.identity import TOKEN
from bridge.errors import BridgeError
from bridge.secretsource import Secrets
from bridge.settings import load

SOCKET = "api.sock"
ANSWER_S = 40.0
"""Control gives itself 30, unless a route says otherwise (control_api_calls.py)."""


def ask(
    config: Path | None,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    answer_s: float = ANSWER_S,
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer. BridgeError: control is not running, or we may not open its socket."""
    path_of_socket = load(config, os.environ).state_dir / SOCKET
    _knock(path_of_socket)
    token = Secrets(os.environ).get(TOKEN)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path_of_socket)), timeout=answer_s) as client:
        try:
            answer = client.request(method, f"http://control{path}", json=body, headers=headers)
        except httpx.TimeoutException as error:
            raise BridgeError(f"control did not answer within {answer_s:g} s") from error
        except httpx.TransportError as error:
            raise BridgeError(f"control gave no answer: {error}") from error
    try:
        data = answer.json()
    except ValueError as error:
        raise BridgeError(f"control answered {answer.status_code} without JSON") from error
    if answer.status_code in {401, 403, 503, 504}:
        raise BridgeError(str(data.get("error")))
    return answer.status_code, data


def _knock(path: Path) -> None:
    """Whether somebody is there at all."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except PermissionError:
            sentence = f"{path} is not for this account: run it as the bridge's own user, or as root"
            raise BridgeError(sentence) from None
        except OSError:
            sentence = f"the bridge is not running (nobody answers at {path}); sipbridge serve starts it"
            raise BridgeError(sentence) from None


def refuse(data: Mapping[str, Any]) -> typer.Exit:
    """Say what was refused and why; raise what it returns."""
    for problem in data.get("problems", ()):
        typer.echo(problem["text"])
    typer.echo(data.get("error", "refused"))
    return typer.Exit(1)
