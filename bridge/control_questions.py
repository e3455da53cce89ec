"""An approver's question on its way to the caller, and what came of it: control's side.

    Gate.inquire ─► Inquire ─► Questions.put ─CallCommand ask_caller─► the agent says it ─► Gate.inquired ─► store

The decision about the request may come in the middle of it: nothing here holds it up. Runs on control's loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from bridge.approval import questions
from bridge.approval.actions import Action
from bridge.approval.gate import Gate
from bridge.control_commands import OVER, Commands
from bridge.control_gates import Gates
from bridge.errors import StoreError, ToolError
from bridge.store.gatestore import GateStore

log = structlog.get_logger(__name__)

PUT_S = 100.0
"""Longer than a call may take (call/inquiry.py), shorter than a question stays open (approval/questions.py)."""
SILENT = "the call has not said whether it was asked"
Do = Callable[[Gate, Sequence[Action]], Awaitable[None]]


class Questions:
    """`do`: a gate's actions. `over`: calls that have ended."""

    def __init__(
        self, gates: Gates, store: GateStore, commands: Commands, do: Do, over: Collection[str]
    ) -> None:
        self._gates = gates
        self._store = store
        self._commands = commands
        self._do = do
        self._over = over

    async def put(self, gate: Gate, number: int) -> None:
        """Have the call of this request ask question `number`. Whatever comes of it is kept with the request."""
        request = gate.request
        state, why = await self._outcome(gate, number)
        log.info(
            "tool.question", call_id=request.call_id, request_id=request.request_id, outcome=state, reason=why
        )
        try:
            async with self._gates.lock(gate):
                if (
                    self._gates.get(request.request_id) is gate
                ):  # else another node has it, or its call is over
                    await self._do(gate, gate.inquired(number, state, why))
        except StoreError as error:
            log.warning("tools.store", request_id=request.request_id, reason=str(error))

    async def _outcome(self, gate: Gate, number: int) -> tuple[str, str]:
        request, asked = gate.request, gate.questions[number - 1]
        data = {"function_call_id": request.function_call_id, "text": asked["text"], "by": asked["by"]}
        try:
            if request.call_id in self._over or await self._store.ended([request.call_id]):
                return questions.NOT_ASKED, OVER
            async with asyncio.timeout(PUT_S):
                answer = await self._commands.run(request.call_id, "ask_caller", data)
        except (ToolError, StoreError) as error:
            return questions.NOT_ASKED, str(error)
        except TimeoutError:
            return questions.NOT_ASKED, SILENT
        return (questions.INTERRUPTED if answer.get("interrupted") else questions.ASKED), ""
