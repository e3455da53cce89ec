"""Requests that somebody else left open: an earlier control of this node, or a node that is lost. And the other way.

    start      rows of this node    ─► proved ours? ─► Gate, where it was
    lost node  its rows, now ours   ─► the same; what was being executed there is `unknown`: it may still be done
    owed       rows of ours that nobody here knows: a takeover that was cut in half; a new one whose answer was lost
    let_go     rows that another node has taken meanwhile ─► the call is told, the gate forgotten

What waited goes on here by its rule, or is cancelled with its call. Runs on control's loop; part of the tool desk.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from bridge.approval.actions import Action, State
from bridge.approval.gate import Gate
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
        self._turn = asyncio.Lock()
        self._cut = False

    async def at_start(self) -> None:
        """What an earlier control left open. A store that is away or locked is waited for."""
        while True:
            try:
                async with self._turn:
                    ended = await self._adopt(await self._deps.store.mine(OPEN_STATES))
                break
            except StoreError as error:
                log.warning("tools.store", reason=str(error))
                await asyncio.sleep(AGAIN_S)
        await self._deps.ended(ended)

    async def from_node(self, node: str) -> int:
        """What a lost node left open; answers how many. Raises StoreError: what is not done yet is done by `owed`."""
        self._cut = True
        rows = await self._deps.store.take_from(node)
        await self.owed()
        return len(rows)

    async def owed(self) -> None:
        """Take up what the store has as ours and nobody here knows of. Raises StoreError: it is tried again."""
        gates = self._deps.gates
        if not self._cut and not gates.doubtful:
            return
        async with self._turn:
            self._cut, doubtful = False, frozenset(gates.doubtful)
            try:
                rows = await self._deps.store.mine(OPEN_STATES)
                rows = [row for row in rows if gates.get(row.request_id) is None]
                ended = await self._adopt(rows)
                for row in rows:
                    gate = gates.get(row.request_id)
                    if gate is not None:
                        await self._go_on(gate, known=row.request_id not in doubtful)
            except BaseException:
                self._cut = True
                raise
            gates.doubtful -= doubtful
        await self._deps.ended(ended)

    async def _go_on(self, gate: Gate, *, known: bool) -> None:
        """As it stands; but not what is executed elsewhere, and not what the call was told nobody has."""
        async with self._deps.gates.lock(gate):
            actions: list[Action] | Refused = []
            if not known:
                actions = gate.withdraw("the store did not say that it had kept it")
            elif gate.ran_on != self._deps.store.node:
                actions = self.lost(gate)
            if actions and not isinstance(actions, Refused):
                await self._deps.do(gate, actions)

    def lost(self, gate: Gate) -> list[Action] | Refused:
        """It is being executed, but not by this process. Only what this node began is tried again."""
        if here := gate.ran_on == self._deps.store.node:
            why = "control died while it ran"
        else:
            why = f"node {gate.ran_on or '(unnamed)'}, which ran it, is lost"
        return gate.crashed(time.time(), why, again=here)

    async def find_out(self, gate: Gate) -> None:
        """The store did not say that it has kept a change: when it has, that counts, and the call hears of it."""
        with contextlib.suppress(StoreError):
            if await self._deps.gates.refresh(gate):
                self._deps.push(gate)

    async def surely(self, gate: Gate, actions: Sequence[Action]) -> None:
        """Do a gate's actions. Raises StoreError: nothing was done, not even unsaid."""
        wanted = gate.to_json()
        try:
            await self._deps.do(gate, actions)
        except StoreError:
            await self.find_out(gate)
            if gate.to_json() != wanted:
                raise

    async def let_go(self) -> None:
        """Forget what another node has taken, and tell the calls where it stands. Raises StoreError."""
        known = [gate for gate in self._deps.gates if self._deps.gates.is_kept(gate)]
        ours = {row.request_id for row in await self._deps.store.mine(OPEN_STATES)}
        for gate in known:
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
