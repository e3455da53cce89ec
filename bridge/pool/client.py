"""Asking the supervisor about its workers (bridge/pool/door.py is the other end). Blocks, at most `deadline_s`."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError

SOCKET = Path("run", "supervisor.sock")
"""Below the state folder."""
MAX_ANSWER_BYTES = 1024 * 1024


def ask(state_dir: Path, order: Mapping[str, Any], deadline_s: float = 5.0) -> dict[str, Any]:
    """The supervisor's answer. BridgeError: no bridge runs there, it does not answer, or it refuses (its sentence)."""
    path = state_dir / SOCKET
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(deadline_s)
            door.connect(str(path))
            door.sendall(json.dumps(dict(order)).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n") and len(data) < MAX_ANSWER_BYTES:
                some = door.recv(65536)
                if not some:
                    break
                data += some
    except (FileNotFoundError, ConnectionRefusedError):
        raise BridgeError(
            f"no bridge runs here ({path}): start it, or name its settings with --config"
        ) from None
    except OSError as error:
        raise BridgeError(f"the supervisor does not answer ({path}): {error}") from error
    try:
        answer: dict[str, Any] = json.loads(data)
    except ValueError:
        raise BridgeError(f"the supervisor broke off its answer ({path})") from None
    if not answer.get("ok"):
        raise BridgeError(str(answer.get("error") or "the supervisor refused without a reason"))
    return answer
