"""How each node is, as it said it last, for the health pages of the others. Part of the Store.

    every ten seconds: tell ─► a row a node          somebody looks: told ─► every node's row, with its age

A table of its own: the rows of `nodes` are written and read once a second, and this is longer. Ages are by the
database's clock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.database import now
from bridge.store.store import Store
from bridge.store.tables import node_health

MAX_CHARS = 64_000


@dataclass(frozen=True, slots=True)
class Told:
    """What a node said of itself, `age_s` ago. Nothing of `facts` is checked."""

    name: str
    age_s: float
    facts: Mapping[str, Any]


class HealthStore:
    """The table in `store`. Every method raises StoreError when the database does not do it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tell(self, name: str, facts: Mapping[str, Any]) -> bool:
        """Keep what a node says of itself in place of what it said before. False: it is too long, nothing was kept."""
        text = json.dumps(dict(facts), separators=(",", ":"), default=str)
        if len(text) > MAX_CHARS:
            return False

        def work(connection: sa.Connection) -> None:
            values = {"told_at": now(connection), "facts": text}
            mine = node_health.c.name == name
            if not connection.execute(sa.update(node_health).where(mine).values(values)).rowcount:
                connection.execute(sa.insert(node_health).values(name=name, **values))

        await self._store.transaction("cannot say how this node is", work)
        return True

    async def told(self) -> list[Told]:
        """Of every node that ever said something, by name."""

        def work(connection: sa.Connection) -> list[Told]:
            at = now(connection)
            rows = connection.execute(sa.select(node_health).order_by(node_health.c.name)).all()
            return [Told(row.name, max(at - row.told_at, 0.0), _object(row.facts)) for row in rows]

        return await self._store.transaction("cannot read how the nodes are", work)


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
