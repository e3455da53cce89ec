"""What a running tool has its phone call do: hang up, transfer, collect digits. Control's side.

    tool ─► ToolCall ─► Commands ──CallCommand──► worker ─► Call
                            ◄────── call.done ────────┘

The tool waits for the answer, so that its outcome is what really happened to the call. A call that ends first answers
too. Runs on control's loop.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bridge.errors import ToolError, ToolLostError
from bridge.link.messages import CallCommand

MAX_WAITING = 1000
OVER = "the call is over"


class Commands:
    """Commands that wait for their answer."""

    def __init__(self, tell: Callable[[CallCommand], None]) -> None:
        self._tell = tell
        self._numbers = itertools.count(1)
        self._waiting: dict[tuple[str, str], asyncio.Future[Mapping[str, Any]]] = {}

    async def run(self, call_id: str, kind: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have the call do it. Raises ToolError: it did not. The caller of this sets the deadline."""
        if len(self._waiting) >= MAX_WAITING:
            raise ToolError("too many commands wait for an answer")
        key = call_id, f"c{next(self._numbers)}"
        waiting: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        try:
            self._tell(CallCommand(call_id, key[1], kind, dict(data)))
            answer = await waiting
        finally:
            self._waiting.pop(key, None)
        if answer.get("ok") is not True:
            raise ToolError(str(answer.get("error") or "the call did not do it")[:300])
        return answer

    def done(self, data: Mapping[str, Any]) -> None:
        """A worker's answer."""
        waiting = self._waiting.get((str(data.get("call_id")), str(data.get("command_id"))))
        if waiting is not None and not waiting.done():
            waiting.set_result(data)

    def calls_ended(self, call_ids: Iterable[str]) -> None:
        """These calls answer no more."""
        ended = {*call_ids}
        for (call_id, _), waiting in self._waiting.items():
            if call_id in ended and not waiting.done():
                waiting.set_exception(ToolLostError(OVER))


class ToolCall:
    """The call of one request, as its tool sees it (spec.CallControl)."""

    def __init__(self, commands: Commands, call_id: str) -> None:
        self._commands = commands
        self._call_id = call_id

    async def hang_up(self, reason: str) -> None:
        """End the call, after what the agent is saying."""
        await self._commands.run(self._call_id, "hang_up", {"reason": reason[:80]})

    async def transfer(self, target: str) -> None:
        """Hand the caller to a target of the dialplan."""
        await self._commands.run(self._call_id, "transfer", {"target": target})

    async def collect(self, digits: int, terminator: str, timeout_s: float) -> str:
        """What the caller types."""
        wanted = {"digits": digits, "terminator": terminator, "timeout_s": timeout_s}
        return str((await self._commands.run(self._call_id, "collect", wanted)).get("digits", ""))

    async def hand_off(self, agent: str, note: str) -> None:
        """Hand the caller to another agent."""
        await self._commands.run(self._call_id, "hand_off", {"agent": agent, "note": note[:2000]})

    async def recording(self, action: str) -> Mapping[str, Any]:
        """Pause or resume the recording."""
        answer = await self._commands.run(self._call_id, "recording", {"action": action})
        return {key: answer.get(key) for key in ("recording", "paused", "changed")}
