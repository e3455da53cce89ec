"""The open requests in memory, and their twins in the store: never ahead of it, never taken from it unproved.

    keep(gate) ─► sealed JSON + version ─► store        adopt(row) ─► seal right? ─► Gate

A stored gate carries a seal of the decision key: who can write the database but not read the key can change a row, but
not make it count. What the store does not take is taken back in memory. Runs on control's loop.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import structlog

from bridge.approval.actions import Action, Audit
from bridge.approval.gate import Gate
from bridge.approval.signing import seal, sealed
from bridge.errors import StoreError
from bridge.store.gaterows import StoredRequest
from bridge.store.gatestore import GateStore, NewAudit

log = structlog.get_logger(__name__)

Moved = Callable[[str, str | None, str], None]


class Gates:
    """Gates by request id and by function call. `key` seals them. `moved(request id, before, state)`: it is stored."""

    def __init__(self, store: GateStore, key: bytes, moved: Moved = lambda *_facts: None) -> None:
        self._store = store
        self._moved = moved
        self._key = key
        self._gates: dict[str, Gate] = {}
        self._by_call: dict[tuple[str, str], str] = {}
        self._versions: dict[str, int] = {}
        self._kept: dict[str, Mapping[str, Any]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._seen: dict[str, tuple[float, int]] = {}
        self.doubtful: set[str] = set()
        """New ones that the store did not say it has kept."""

    def __iter__(self) -> Iterator[Gate]:
        """As they are now; the gates may change while somebody goes through them."""
        return iter(tuple(self._gates.values()))

    def get(self, request_id: str) -> Gate | None:
        """The gate, if it is open or its call goes on."""
        return self._gates.get(request_id)

    def of_call(self, call_id: str) -> list[Gate]:
        """Those of one phone call."""
        return [gate for gate in self if gate.request.call_id == call_id]

    def is_kept(self, gate: Gate) -> bool:
        """Whether the store has said that it has it."""
        return gate.request.request_id in self._kept

    async def known(self, call_id: str, function_call_id: str) -> Gate | None:
        """The gate of a function call, from memory or from the store."""
        key = self._by_call.get((call_id, function_call_id))
        if key is not None:
            return self._gates[key]
        return next(
            (
                gate
                for gate in await self.stored(call_id)
                if gate.request.function_call_id == function_call_id
            ),
            None,
        )

    async def stored(self, call_id: str) -> list[Gate]:
        """What the store has of a call; a row that is not ours does not count."""
        rows = await self._store.of_call(call_id)
        return [gate for gate in map(self._proved, rows) if gate is not None]

    def add(self, gate: Gate, seen: tuple[float, int] | None = None) -> None:
        """A new one, before it is kept. `seen`: what its ruling was based on (GateStore.save)."""
        request = gate.request
        if seen is not None:
            self._seen[request.request_id] = seen
        self._gates[request.request_id] = gate
        self._by_call[request.call_id, request.function_call_id] = request.request_id

    def adopt(self, row: StoredRequest, state: str | None) -> tuple[Gate, bool] | None:
        """What an earlier control left open, and whether it is proved ours; None: it cannot even be read.

        `state`: where the signed chain leaves the request. An old row, put back, is sealed too, but stands elsewhere.
        """
        gate = self._proved(row)
        proved = gate is not None and gate.state.value == state
        if gate is None:
            try:
                gate = Gate.from_json(row.gate)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                log.error("gate.unreadable", request_id=row.request_id, reason=str(error)[:200])  # noqa: TRY400
                return None
            log.error("gate.not_ours", request_id=row.request_id, state=row.state)
        self.add(gate)
        self._versions[gate.request.request_id] = row.version
        self._kept[gate.request.request_id] = row.gate
        return gate, proved

    async def refresh(self, gate: Gate) -> bool:
        """Take what the store has, when that is newer: a change whose success was not told. Whether it was."""
        key = gate.request.request_id
        for row in await self._store.find(key):
            newer = (
                self._proved(row)
                if row.request_id == key and row.version > self._versions.get(key, 0)
                else None
            )
            if newer is not None:
                vars(gate).update(vars(newer))
                self._versions[key], self._kept[key] = row.version, row.gate
                return True
        return False

    async def told_late(self, gate: Gate, *, ok: bool) -> None:
        """Another node took it for lost while it ran here: who reconciles it has to know what came of it."""
        key = gate.request.request_id
        log.warning("tool.told_late", request_id=key, ok=ok, state=gate.state.value)
        # Under no request's id: the newest entry of one says where it stands, and that is the other node's to say.
        await self._store.note(NewAudit("told_late", "system", {"request": key, "ok": ok}), "", time.time())

    def forget(self, gate: Gate) -> None:
        """It is over, and so is its call."""
        key = gate.request.request_id
        self._by_call.pop((gate.request.call_id, gate.request.function_call_id), None)
        for known in (self._gates, self._versions, self._kept, self._seen):
            known.pop(key, None)

    def lock(self, gate: Gate) -> asyncio.Lock:
        """Whoever changes a gate holds it. It lasts as long as somebody does, also of a gate that is forgotten."""
        return self._locks.setdefault(gate.request.request_id, asyncio.Lock())

    async def keep(self, gate: Gate, actions: Sequence[Action]) -> None:
        """Store the gate with the audit entries among `actions`. Raises StoreError: it is as it was before."""
        key, state = gate.request.request_id, {"state": gate.state.value}
        version = self._versions.get(key, 0)
        entries = [
            NewAudit(one.type, one.actor, {**one.facts, **state}, one.personal)
            for one in actions
            if isinstance(one, Audit)
        ]
        content: dict[str, Any] = json.loads(json.dumps(gate.to_json()))
        content["seal"] = seal(self._key, f"gate {key} {version + 1}", content)
        try:
            seen = self._seen.pop(key, None)
            self._versions[key] = await self._store.save(content, version, entries, time.time(), seen)
        except StoreError:
            before = self._kept.get(key)
            if before is None:
                self.doubtful.add(key)
                self.forget(gate)
            else:
                vars(gate).update(vars(Gate.from_json(before)))
            raise
        before = self._kept.get(key)
        self._kept[key] = content
        self._moved(key, None if before is None else str(before["state"]), gate.state.value)
        request = gate.request
        log.info("tool.state", call_id=request.call_id, request_id=key, tool=request.tool, **state)

    def _proved(self, row: StoredRequest) -> Gate | None:
        if not sealed(self._key, f"gate {row.request_id} {row.version}", row.gate):
            return None
        return Gate.from_json(row.gate)
