"""What one node asks another to do with a call that lives there, and the answer. Part of the Store.

    ask ─► row, NOTIFY ─► claim (once, and only before it expires) ─► answer, NOTIFY ─► answer_of

Times are the database's. A row that nobody claimed in time is never done: who asked has been told so by then.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.database import POSTGRESQL, notify, now
from bridge.store.store import Store
from bridge.store.tables import node_commands

COMMAND, ANSWER = "command", "answer"
KEEP_S = 3600.0
BATCH = 20


@dataclass(frozen=True, slots=True)
class Errand:
    """A command that was claimed. `left_s`: until nobody waits for it any more."""

    number: int
    origin: str
    call_id: str
    kind: str
    data: Mapping[str, Any]
    left_s: float


async def tell(store: Store, topic: str, words: Mapping[str, str]) -> None:
    """Say something to the other nodes that nobody keeps; what is longer than 8000 bytes is refused (StoreError)."""
    await store.transaction("cannot tell other nodes", lambda it: notify(it, topic, **words))


class CommandStore:
    """The commands in `store`. Every method raises StoreError when the database does not do it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ask(self, node: str, call_id: str, kind: str, data: Mapping[str, Any], wait_s: float) -> int:
        """Leave a command for a node; answers its number."""

        def work(connection: sa.Connection) -> int:
            at = now(connection)
            row = {"node": node, "origin": self._store.node, "call_id": call_id, "kind": kind}
            row |= {"data": json.dumps(dict(data)), "created_at": at, "expires_at": at + wait_s}  # type: ignore[dict-item]
            done = connection.execute(sa.insert(node_commands).values(**row))
            number = int(done.inserted_primary_key[0])  # type: ignore[index]  # one column, always there
            old = node_commands.c.created_at < at - KEEP_S
            connection.execute(sa.delete(node_commands).where(old))
            notify(connection, COMMAND, node=node)
            return number

        return await self._store.transaction("cannot ask another node", work)

    async def claim(self) -> list[Errand]:
        """Commands for this node that nobody has begun and somebody still waits for. Each is given out once."""

        def work(connection: sa.Connection) -> list[Errand]:
            at, row = now(connection), node_commands.c
            query = sa.select(node_commands).where(
                row.node == self._store.node, row.taken_at.is_(None), row.expires_at > at
            )
            query = query.order_by(row.id).limit(BATCH)
            if connection.dialect.name == POSTGRESQL:
                query = query.with_for_update(skip_locked=True)
            found = connection.execute(query).all()
            ids = [one.id for one in found]
            if ids:
                connection.execute(sa.update(node_commands).where(row.id.in_(ids)).values(taken_at=at))
            return [
                Errand(one.id, one.origin, one.call_id, one.kind, _object(one.data), one.expires_at - at)
                for one in found
            ]

        return await self._store.transaction("cannot read what other nodes ask", work)

    async def answer(self, number: int, answer: Mapping[str, Any]) -> None:
        """Say what became of it. What it said (words to the agent, the key of a seat) is kept no longer."""

        def work(connection: sa.Connection) -> None:
            mine = node_commands.c.id == number
            done = {"answer": json.dumps(dict(answer), default=str), "data": "{}"}
            connection.execute(sa.update(node_commands).where(mine).values(**done))
            notify(connection, ANSWER, id=number)

        await self._store.transaction("cannot answer another node", work)

    async def answer_of(self, number: int) -> tuple[bool, Mapping[str, Any] | None]:
        """Whether it was begun, and its answer when there is one."""
        query = sa.select(node_commands.c.taken_at, node_commands.c.answer).where(
            node_commands.c.id == number
        )

        def work(connection: sa.Connection) -> tuple[bool, Mapping[str, Any] | None]:
            row = connection.execute(query).first()
            if row is None:
                return False, None
            return row.taken_at is not None, None if row.answer is None else _object(row.answer)

        return await self._store.transaction("cannot read another node's answer", work)

    async def withdraw(self, number: int) -> bool:
        """Nobody waits any more. False: it was begun."""
        mine = (node_commands.c.id == number) & node_commands.c.taken_at.is_(None)
        gone = sa.delete(node_commands).where(mine)
        return bool(
            await self._store.transaction("cannot withdraw a command", lambda it: it.execute(gone).rowcount)
        )


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
