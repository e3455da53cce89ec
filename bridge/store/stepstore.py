"""What a sign-in that takes several requests has to know again: challenges, states. Part of the Store; each taken once.

In the store because the next request may come to another node. Found only by who has what names it: `KIND secret`.
"""

import json
from collections.abc import Mapping

import sqlalchemy as sa

from bridge.store.sessionstore import hashed
from bridge.store.store import Store
from bridge.store.tables import console_steps

MAX_STEPS = 2000
"""Of one kind; the oldest go first. Anybody can begin to sign in, which must not take the challenges of who has."""


class StepStore:
    """Times are unix seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, name: str, data: Mapping[str, str], now: float, valid_s: float) -> None:
        """Until it is taken, or too old. One of the same name is replaced."""
        row, kind, key = console_steps.c, *_named(name)

        def work(connection: sa.Connection) -> None:
            gone = (row.expires_at <= now) | (row.hash == key)
            connection.execute(sa.delete(console_steps).where(gone))
            alike = row.hash.startswith(f"{kind}:", autoescape=True)
            newest = sa.select(row.hash).where(alike).order_by(row.expires_at.desc()).offset(MAX_STEPS - 1)
            too_many = connection.execute(newest).scalars().all()
            connection.execute(sa.delete(console_steps).where(row.hash.in_(too_many)))
            new = {"hash": key, "data": json.dumps(dict(data)), "expires_at": now + valid_s}
            connection.execute(sa.insert(console_steps).values(new))

        await self._store.transaction("cannot keep a step of signing in", work)

    async def take(self, name: str, now: float) -> Mapping[str, str] | None:
        """What was kept, once; None: it was taken, is too old, or never was."""
        row = console_steps.c
        mine = row.hash == _named(name)[1]

        def work(connection: sa.Connection) -> Mapping[str, str] | None:
            found = connection.execute(sa.select(row.data, row.expires_at).where(mine)).first()
            gone = connection.execute(sa.delete(console_steps).where(mine)).rowcount
            if found is None or not gone or found.expires_at <= now:
                return None
            data: Mapping[str, str] = json.loads(found.data)
            return data

        return await self._store.transaction("cannot read a step of signing in", work)


def _named(name: str) -> tuple[str, str]:
    """The kind of a step, and what names it in the table: 64 characters at most."""
    kind = name.partition(" ")[0][:7] if " " in name else ""
    return kind, f"{kind}:{hashed(name)[:56]}"
