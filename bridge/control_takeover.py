"""Requests that somebody else left open: an earlier control of this node, or a node that is lost. And the other way.

    start      rows of this node    ─► proved ours? ─► Gate, where it was
    lost node  its rows, now ours   ─► the same; what was being executed there is `unknown`: it may still be done
    let_go     rows that another node has taken meanwhile ─► the call is told, the gate forgotten

What waited goes on here by its rule, or is cancelled with its call. Runs on control's loop; part of the tool desk.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from bridge.approval.gate import Action, Gate, State
from bridge.approval.request import Refused
from bridge.control_gates import Gates
from bridge.errors import StoreError, StoreRaceError
from bridge.store.gaterows import StoredRequest
from bridge.store.gatestore import GateStore
from bridge.store.tables import OPEN_STATES

log = structlog.get_logger(__name__)

AGAIN_S = 1.0
RACES = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TakeoverDeps:
    """`do`: a gate's actions; `ended`: these calls are over; `notify(kind, group, gate)`; `push`: tell the call."""

    store: GateStore
    gates: Gates
    do: Callable[[Gate, Sequence[Action]], Awaitable[None]]
    ended: Callable[[Iterable[str]], Awaitable[None]]
    notify: Callable[[str, str, Gate], None]
    push: Callable[[Gate], None]


class Takeover:
    """`at_start` once, `from_node` and `let_go` when the nodes say so."""

    def __init__(self, deps: TakeoverDeps) -> None:
        self._deps = deps

    async def at_start(self) -> None:
        """What an earlier control left open. A store that is away or locked is waited for."""
        while True:
            try:
                rows = await self._deps.store.mine(OPEN_STATES)
                ended = await self._adopt(rows)
                break
            except StoreError as error:
                log.warning("tools.store", reason=str(error))
                await asyncio.sleep(AGAIN_S)
        await self._deps.ended(ended)

    async def from_node(self, node: str) -> int:
        """What a lost node left open; answers how many. Raises StoreError: what is not done yet is done next time."""
        rows = await self._deps.store.take_from(node)
        ended = await self._adopt(rows)
        for row in rows:
            gate = self._deps.gates.get(row.request_id)
            if gate is not None and gate.state is State.EXECUTING:
                lost = gate.crashed(time.time(), f"node {node}, which ran it, is lost", again=False)
                if not isinstance(lost, Refused):
                    await self._deps.do(gate, lost)
        await self._deps.ended(ended)
        return len(rows)

    async def let_go(self) -> None:
        """Forget what another node has taken, and tell the calls where it stands. Raises StoreError."""
        ours = {row.request_id for row in await self._deps.store.mine(OPEN_STATES)}
        for gate in self._deps.gates:
            key = gate.request.request_id
            if gate.state.value in OPEN_STATES and key not in ours:
                async with self._deps.gates.lock(gate):
                    await self._deps.gates.refresh(gate)
                    log.warning("tool.let_go", request_id=key, state=gate.state.value)
                    self._deps.push(gate)
                    self._deps.gates.forget(gate)

    async def _adopt(self, rows: Sequence[StoredRequest]) -> set[str]:
        """Make gates of them; answers which of their calls are over."""
        states = await self._deps.store.proved_states([row.request_id for row in rows])
        ended = await self._deps.store.ended([row.call_id for row in rows])
        for row in rows:
            await self._one(row, states.get(row.request_id))
        return ended

    async def _one(self, row: StoredRequest, state: str | None) -> None:
        found = self._deps.gates.adopt(row, state)
        if found is None:
            await self._deps.store.bury(row, time.time())
            return
        gate, proved = found
        if not proved:
            await self._deps.do(gate, gate.distrusted("what the store gave back was changed"))
        elif gate.state is State.PENDING:
            self._deps.notify("asked", gate.reminded_group, gate)


async def raced(step: Callable[[], Awaitable[T]]) -> T:
    """A step that begins anew when another node was faster. Raises StoreRaceError when that happens again and again."""
    for _ in range(RACES - 1):
        try:
            return await step()
        except StoreRaceError as error:
            log.info("tools.raced", reason=str(error))
    return await step()
