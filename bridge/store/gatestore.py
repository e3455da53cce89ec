"""What the gate keeps: requests, what people decided, and the audit chain. Part of the Store, on its one thread.

A change of a request and its audit entries are one transaction, guarded by the request's version: two processes can
never both carry a request on. How the audit entries are chained, and what they hold: approval/chain.py.
"""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from bridge.approval.chain import GENESIS, entry_hash, payload_hash
from bridge.approval.tally import CALLER_S, Past
from bridge.errors import StoreError
from bridge.store.callrows import is_here
from bridge.store.database import lock, notify
from bridge.store.gaterows import (
    COLUMNS,
    StoredRequest,
    json_object,
    newest,
    nobody_else,
    past_of,
    recent,
    stored,
    without_person,
)
from bridge.store.store import Store
from bridge.store.tables import (
    HOLDS,
    OPEN_STATES,
    audit_entries,
    audit_payloads,
    call_holds,
    calls,
    tool_decisions,
    tool_requests,
)

MAX_HISTORY = 5000
DECISION = "decision"
"""Topic of the word that a decision waits."""


Payloads = dict[str, tuple[str, Mapping[str, Any] | None]]
"""By hash: the salt, and the content unless it was erased."""


@dataclass(frozen=True, slots=True)
class NewAudit:
    """An entry without its place in the chain. `personal` is kept apart."""

    type: str
    actor: str
    facts: Mapping[str, Any]
    personal: Mapping[str, Any] = field(default_factory=dict)


class Signs(Protocol):
    """The part of approval.signing.Signer that the chain needs."""

    key_id: str

    def sign(self, text: str) -> str:
        """The signature as hex."""


class GateStore:
    """The gate's tables in `store`. Every method raises StoreError when the database does not do it.

    `signer`: for control, which writes the chain; who only reads and decides needs none.
    """

    def __init__(self, store: Store, signer: Signs | None = None) -> None:
        self._store = store
        self._signer = signer

    @property
    def node(self) -> str:
        """The node whose requests these are; "" when there is only one, whatever it was called before."""
        return self._store.node if self._store.shared else ""

    async def save(
        self,
        gate: Mapping[str, Any],
        version: int,
        audit: Sequence[NewAudit],
        at: float,
        seen: tuple[float, int] | None = None,
    ) -> int:
        """Keep a gate whose stored version is `version` (0: it is new); answers the new version.

        StoreError when somebody else changed it meanwhile, or another node has it now; then nothing is kept. `seen`:
        the arguments and the answer of `recent`; StoreRaceError when more was asked of the tool since.
        """
        request = gate["request"]
        values = {"state": gate["state"], "version": version + 1, "gate": json.dumps(gate), "updated_at": at}

        def work(connection: sa.Connection) -> int:
            if version == 0:
                keys = {name: request[name] for name in ("request_id", "call_id", "function_call_id", "tool")}
                caller = str(request["caller"]["number"])[:100]
                new = {**keys, **values, "caller": caller, "created_at": at, "node": self._store.node}
                nobody_else(connection, request["tool"], seen)
                connection.execute(sa.insert(tool_requests).values(new))
            else:
                row = tool_requests.c
                mine = (row.request_id == request["request_id"]) & (row.version == version)
                mine &= self._store.mine(tool_requests)
                done = connection.execute(sa.update(tool_requests).where(mine).values(values))
                if done.rowcount != 1:
                    raise StoreError(f"request {request['request_id']} was changed by another process")
            for entry in audit:
                self._chain(connection, request, entry, at)
            return version + 1

        return await self._store.transaction("cannot keep a tool request", work)

    async def recent(self, tool: str, since: float) -> int:
        """How often a tool was asked for since unix second `since`, on all nodes."""
        return await self._store.transaction("cannot read what was asked", lambda it: recent(it, tool, since))

    async def mine(self, states: Sequence[str], limit: int = 100_000) -> list[StoredRequest]:
        """Requests of this node in these states, the newest first."""
        query = sa.select(*COLUMNS).where(tool_requests.c.state.in_(states), self._store.mine(tool_requests))
        return await self._requests(query.order_by(tool_requests.c.created_at.desc()).limit(limit))

    async def take_from(self, node: str) -> list[StoredRequest]:
        """Make the open requests of a lost node this one's. It can change them no more.

        Nothing is taken when it has come back meanwhile: then it carries them on.
        """
        row = tool_requests.c
        theirs = (row.node == node) & row.state.in_(OPEN_STATES)

        def work(connection: sa.Connection) -> list[StoredRequest]:
            if is_here(connection, node):
                return []
            rows = connection.execute(sa.select(*COLUMNS).where(theirs).with_for_update()).all()
            connection.execute(sa.update(tool_requests).where(theirs).values(node=self._store.node))
            return [stored(one) for one in rows]

        return await self._store.transaction("cannot take over a node's requests", work)

    async def requests(self, states: Sequence[str] = (), limit: int = 200) -> list[StoredRequest]:
        """The newest first; all states when none is named."""
        query = sa.select(*COLUMNS).order_by(tool_requests.c.created_at.desc()).limit(limit)
        if states:
            query = query.where(tool_requests.c.state.in_(states))
        return await self._requests(query)

    async def of_call(self, call_id: str) -> list[StoredRequest]:
        """Every request of one phone call."""
        return await self._requests(sa.select(*COLUMNS).where(tool_requests.c.call_id == call_id))

    async def past(
        self, request: Past, day_starts: float, but: str = ""
    ) -> tuple[list[Past], frozenset[str]]:
        """What was asked of this tool before: on this call, by this caller, today; and which of these is not whole.

        `but`: a request that does not count.
        """
        row = tool_requests.c
        scopes = {
            "call": row.call_id == request.call_id,
            "day": row.created_at >= day_starts,
            "caller": (row.caller == request.caller) & (row.created_at >= request.at - CALLER_S),
        }

        def work(connection: sa.Connection) -> tuple[list[Past], frozenset[str]]:
            found: dict[str, Past] = {}
            cut = set()
            for scope, where in scopes.items():
                if scope == "caller" and not request.caller:
                    continue
                query = sa.select(*COLUMNS).where(row.tool == request.tool, where)
                rows = connection.execute(query.order_by(row.created_at.desc()).limit(MAX_HISTORY + 1)).all()
                ones = [past for past in map(past_of, rows[:MAX_HISTORY]) if past is not None]
                if len(rows) > len(ones):  # too many, or some cannot be read: then nobody can tell
                    cut.add(scope)
                found |= dict(ones)
            found.pop(but, None)
            return list(found.values()), frozenset(cut)

        return await self._store.transaction("cannot read what was asked before", work, one_moment=True)

    async def ended(self, call_ids: Sequence[str]) -> set[str]:
        """Which of these calls are over."""
        over = calls.c.call_id.in_(call_ids) & calls.c.ended_at.is_not(None)
        return {row.call_id for row in await self._rows(sa.select(calls.c.call_id).where(over))}

    async def find(self, prefix: str) -> list[StoredRequest]:
        """Requests whose id begins with `prefix`."""
        starts = tool_requests.c.request_id.startswith(prefix, autoescape=True)
        return await self._requests(sa.select(*COLUMNS).where(starts).limit(10))

    async def decide(self, request_id: str, decision: Mapping[str, Any]) -> int:
        """Leave a decision for control; answers its number."""
        values = {"request_id": request_id, "decision": json.dumps(decision), "made_at": time.time()}

        def work(connection: sa.Connection) -> int:
            done = connection.execute(sa.insert(tool_decisions).values(**values, answer=None))
            notify(connection, DECISION)
            return int(done.inserted_primary_key[0])  # type: ignore[index]  # one column, always there

        return await self._store.transaction("cannot leave a decision", work)

    async def open_decisions(self) -> list[tuple[int, str, Mapping[str, Any]]]:
        """(number, request id, decision) of what control has not answered yet, oldest first.

        Those about requests of this node, and those about none: another node's are its own to judge.
        """
        row, of = tool_decisions.c, tool_requests.c
        query = sa.select(tool_decisions).where(row.answer.is_(None)).order_by(row.id)
        if self._store.shared:
            table = tool_decisions.outerjoin(tool_requests, of.request_id == row.request_id)
            mine = (of.node == self._store.node) | of.node.is_(None)
            query = query.select_from(table).where(mine)
        return [(row.id, row.request_id, json_object(row.decision)) for row in await self._rows(query)]

    async def answer(self, number: int, answer: str) -> None:
        """Say what became of a decision."""
        mine = sa.update(tool_decisions).where(tool_decisions.c.id == number).values(answer=answer)
        await self._store.transaction("cannot answer a decision", lambda it: it.execute(mine))

    async def answered(self, number: int) -> str | None:
        """What became of a decision; None: control has not looked yet."""
        query = sa.select(tool_decisions.c.answer).where(tool_decisions.c.id == number)
        rows = await self._rows(query)
        return rows[0].answer if rows else None

    async def audit(self, call_id: str = "") -> list[dict[str, Any]]:
        """The whole chain, or the entries of one call."""
        query = sa.select(audit_entries).order_by(audit_entries.c.seq)
        if call_id:
            query = query.where(audit_entries.c.call_id == call_id)
        rows = await self._rows(query)
        return [{**row._mapping, "facts": json_object(row.facts)} for row in rows]  # noqa: SLF001  # its public name

    async def evidence(self) -> tuple[list[dict[str, Any]], Payloads, dict[str, str]]:
        """Chain, payloads and the requests' states, all of one moment."""

        def work(connection: sa.Connection) -> tuple[list[dict[str, Any]], Payloads, dict[str, str]]:
            chain = connection.execute(sa.select(audit_entries).order_by(audit_entries.c.seq)).all()
            kept = connection.execute(sa.select(audit_payloads)).all()
            states = connection.execute(sa.select(tool_requests.c.request_id, tool_requests.c.state)).all()
            entries = [{**row._mapping, "facts": json_object(row.facts)} for row in chain]  # noqa: SLF001  # its public name
            payloads: Payloads = {
                row.hash: (row.salt, None if row.payload is None else json_object(row.payload))
                for row in kept
            }
            return entries, payloads, {row.request_id: row.state for row in states}

        return await self._store.transaction("cannot read the audit", work, one_moment=True)

    async def proved_states(self, request_ids: Sequence[str]) -> dict[str, str]:
        """The state each request is in by the chain's newest entry about it."""
        row = audit_entries.c
        mine = sa.select(row.request_id, row.facts).where(row.request_id.in_(request_ids)).order_by(row.seq)
        return {
            found.request_id: str(json_object(found.facts).get("state")) for found in await self._rows(mine)
        }

    async def bury(self, row: StoredRequest, at: float) -> None:
        """End a request that cannot even be read: it is not run."""
        mine = tool_requests.c.request_id == row.request_id

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.update(tool_requests).where(mine).values(state="cancelled", updated_at=at))
            owner = {"request_id": row.request_id, "call_id": row.call_id}
            self._chain(connection, owner, NewAudit("unreadable", "system", {"state": "cancelled"}), at)

        await self._store.transaction("cannot end a request", work)

    async def head(self) -> tuple[int, str]:
        """The newest entry's seq and hash."""
        rows = await self._rows(newest())
        return (rows[0].seq, rows[0].hash) if rows else (0, GENESIS)

    async def payloads(self) -> dict[str, tuple[str, Mapping[str, Any] | None]]:
        """By hash: the salt, and the content unless it was erased."""
        rows = await self._rows(sa.select(audit_payloads))
        return {
            row.hash: (row.salt, None if row.payload is None else json_object(row.payload)) for row in rows
        }

    async def states(self) -> dict[str, str]:
        """Every request's state."""
        columns = sa.select(tool_requests.c.request_id, tool_requests.c.state)
        return {row.request_id: row.state for row in await self._rows(columns)}

    async def note(self, entry: NewAudit, request_id: str, at: float, call_id: str = "") -> None:
        """An entry that belongs to no request. `call_id`: the call it is about, with which its words are erased."""
        owner = {"request_id": request_id, "call_id": call_id}
        await self._store.transaction(
            "cannot keep an audit entry", lambda it: self._chain(it, owner, entry, at)
        )

    async def erase(self, call_id: str, by: str, at: float) -> int:
        """Forget what is personal about a call's requests; answers how many payloads that were. The chain stays whole.

        StoreError while one of them is not over, or the call is held.
        """
        payload = audit_payloads.c
        mine = (payload.call_id == call_id) & payload.payload.is_not(None)

        def work(connection: sa.Connection) -> int:
            lock(connection, HOLDS)
            if connection.execute(sa.select(call_holds.c.at).where(call_holds.c.call_id == call_id)).first():
                raise StoreError(f"call {call_id} is held: sipbridge calls release {call_id} first")
            rows = connection.execute(sa.select(*COLUMNS).where(tool_requests.c.call_id == call_id)).all()
            still = [row.request_id for row in rows if row.state in OPEN_STATES]
            if still:
                raise StoreError(f"request {still[0]} is not over: it cannot be erased yet")
            for row in rows:
                kept = {"gate": json.dumps(without_person(json_object(row.gate))), "caller": ""}
                this = tool_requests.c.request_id == row.request_id
                connection.execute(sa.update(tool_requests).where(this).values(kept))
                decisions = tool_decisions.c.request_id == row.request_id
                connection.execute(sa.delete(tool_decisions).where(decisions))
            done = connection.execute(
                sa.update(audit_payloads).where(mine).values(payload=None, erased_at=at)
            )
            entry = NewAudit("erased", by, {"payloads": done.rowcount})
            self._chain(connection, {"request_id": "", "call_id": call_id}, entry, at)
            return done.rowcount

        return await self._store.transaction("cannot erase a call's payloads", work)

    def _chain(
        self, connection: sa.Connection, request: Mapping[str, Any], entry: NewAudit, at: float
    ) -> None:
        lock(connection, "audit")  # one chain over all nodes: who reads its head writes the next entry
        last = connection.execute(newest()).first()
        values: dict[str, Any] = {
            "seq": last.seq + 1 if last else 1,
            "at": at,
            "request_id": request["request_id"],
            "call_id": request["call_id"],
            "type": entry.type,
            "actor": entry.actor,
            "facts": dict(entry.facts),
            "prev_hash": last.hash if last else GENESIS,
        }
        if entry.personal:
            payload = {"salt": secrets.token_hex(16), "payload": json.dumps(dict(entry.personal))}
            digest = payload_hash(payload["salt"], json.loads(payload["payload"]))
            values["payload_hash"] = digest
            kept = {"hash": digest, "call_id": request["call_id"], **payload}
            connection.execute(sa.insert(audit_payloads).values(kept))
        if self._signer is not None:
            values["key_id"] = self._signer.key_id
        values["hash"] = entry_hash(values)
        if self._signer is not None:
            values["signature"] = self._signer.sign(values["hash"])
        connection.execute(sa.insert(audit_entries).values({**values, "facts": json.dumps(values["facts"])}))

    async def _requests(self, query: sa.Executable) -> list[StoredRequest]:
        def work(connection: sa.Connection) -> list[StoredRequest]:
            return [stored(row) for row in connection.execute(query).all()]

        return await self._store.transaction("cannot read the gate", work)

    async def _rows(self, query: sa.Executable) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        return await self._store.transaction("cannot read the gate", lambda it: list(it.execute(query).all()))
