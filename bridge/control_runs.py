"""Tools that run now: each in a task of its own, its outcome kept until the store has taken it. Runs on control's loop.

Execute ─► start ─► ToolRunner ─► outcome ─► take (store, tell)     verified: what a tool proved of a call's caller
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Container, Mapping
from pathlib import Path
from typing import Any, TypeVar

import structlog

from bridge.approval.actions import Action, State
from bridge.approval.gate import Gate
from bridge.approval.request import Refused
from bridge.control_commands import Commands, ToolCall
from bridge.control_gates import Gates
from bridge.errors import StoreError
from bridge.toolbox.run import ToolResult, ToolRunner
from bridge.toolbox.spec import ToolContext, ToolSpec

log = structlog.get_logger(__name__)

STORE_AGAIN_S = (0.2, 5.0)  # an outcome that the store did not take is tried again, less and less often
Take = Callable[[Gate, list[Action] | Refused], Awaitable[bool]]
FindOut = Callable[[Gate], Awaitable[None]]
T = TypeVar("T")


class Runs:
    """The executions of this process. `take` does a gate's actions; `over`: calls that have ended.

    `find_out`: whether the store has kept a change all the same.
    """

    def __init__(
        self,
        gates: Gates,
        commands: Commands,
        folder: Path,
        take: Take,
        find_out: FindOut,
        over: Container[str],
    ) -> None:
        self.verified: dict[str, str] = {}
        self._callers: dict[str, tuple[int, float]] = {}
        self._gates = gates
        self._commands = commands
        self._folder = folder
        self._take = take
        self._find_out = find_out
        self._over = over
        self._runner = ToolRunner()
        self._running: set[str] = set()

    def __contains__(self, gate: Gate) -> bool:
        return gate.request.request_id in self._running

    def close(self) -> None:
        """No more of them."""
        self._runner.close()

    async def execute(self, gate: Gate, spec: ToolSpec, key: str, arguments: Mapping[str, Any]) -> None:
        """Run it, and bring the outcome home. `begun` was called before."""
        request, caller = gate.request, gate.request.caller
        call = ToolCall(self._commands, request.call_id)
        context = ToolContext(request.call_id, caller.number, key, self._folder, caller.verified, call)
        try:
            result = await self._runner.run(spec, arguments, context)
        except Exception:
            log.exception("tool.run_failed", request_id=request.request_id)
            result = ToolResult(ok=False, output={}, unknown=True)
        facts = {"request_id": request.request_id, "tool": request.tool}
        log.info("tool.ran", **facts, ok=result.ok, unknown=result.unknown)
        verified = spec.options.verifies and result.ok and result.output.get("verified") is True
        _, since = self._callers.get(request.call_id, (0, 0.0))
        if verified and request.call_id not in self._over and request.requested_at >= since:
            self.verified[request.call_id] = request.tool
        await self._settle(gate, result)

    def on_the_line(self, call_id: str, callers: int, now: float) -> bool:
        """Whether the caller who asks at unix second `now` is still there; `callers` were before (RFC 3891).

        What was proved of one caller is not true of the next.
        """
        known, _ = self._callers.get(call_id, (0, 0.0))
        if callers > known and call_id not in self._over:  # nothing would take it out again
            self._callers[call_id] = callers, now
            self.verified.pop(call_id, None)
        return callers >= known

    def call_over(self, call_id: str) -> None:
        """Nobody is on the line."""
        self.verified.pop(call_id, None)
        self._callers.pop(call_id, None)

    def begun(self, gate: Gate) -> None:
        """It is being executed here from now on."""
        self._running.add(gate.request.request_id)

    async def _settle(self, gate: Gate, result: ToolResult) -> None:
        """Until the store has taken it: it cannot be found out again."""
        pause_s, most_s = STORE_AGAIN_S
        key = gate.request.request_id
        while True:
            try:
                async with self._gates.lock(gate):
                    self._running.discard(key)  # a second try begins anew, in here
                    try:
                        if not (_stored(gate, result) or await self._take(gate, _outcome(gate, result))):
                            await self._gates.told_late(gate, ok=result.ok)
                    except StoreError:
                        self._running.add(key)
                        await self._find_out(gate)
                        raise
            except StoreError as error:
                log.error("tool.outcome_not_stored", request_id=key, reason=str(error))  # noqa: TRY400
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, most_s)
            except Exception:  # then it is `unknown`: being executed, and nobody does it
                log.exception("tool.outcome_lost", request_id=key)
                return
            else:
                return


async def fulfil(answered: asyncio.Future[T], work: Awaitable[T]) -> None:
    """Do a work to its end and answer with it, whoever still listens."""
    try:
        answer = await work
    except asyncio.CancelledError:
        answered.cancel()
        raise
    except Exception as error:  # noqa: BLE001  # it is the one's who asked
        if not answered.done():
            answered.set_exception(error)
    else:
        if not answered.done():
            answered.set_result(answer)


def _stored(gate: Gate, result: ToolResult) -> bool:
    """Whether this is its outcome already: the store had taken it and could not say so."""
    state = State.SUCCEEDED if result.ok else State.FAILED
    return not result.unknown and gate.state is state and gate.outcome == dict(result.output)


def _outcome(gate: Gate, result: ToolResult) -> list[Action] | Refused:
    if result.unknown:
        return gate.crashed(time.time(), "its outcome was not told")
    return gate.finished(result.output, ok=result.ok)
