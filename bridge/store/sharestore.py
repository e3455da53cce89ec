"""Links by which somebody without an account sees one call: made by a user, until a time, revocable. Part of the Store.

A link is 256 random bits; the table has their SHA-256, so who reads the database has none. What it shows is decided
when it is looked at: the call as it is then, and only while its maker is still a user who may see personal data.
"""

import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.approval.request import MAY
from bridge.errors import StoreRefusedError
from bridge.store.database import lock
from bridge.store.sessionstore import hashed
from bridge.store.store import Store
from bridge.store.tables import calls, users
from bridge.store.tables_history import console_shares
from bridge.store.userstore import user_of

MOST_S = 30 * 86_400.0
MAX_OPEN = 500
"""Links at a time, of all users."""
MAX_AN_HOUR = 20
"""New ones of one user."""
_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Share:
    """A link without its secret. Times are unix seconds."""

    share_id: str
    call_id: str
    user: str
    created_at: float
    expires_at: float


class ShareStore:
    """The table. Every method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def give(self, call_id: str, user: str, now: float, valid_s: float) -> str | None:
        """What a new link ends in; None: too many, of this user in an hour or altogether, or no such call.

        StoreRefusedError: nobody who may see calls, so that the link would show nothing.
        """
        secret, row = secrets.token_urlsafe(32), console_shares.c
        new = {
            "hash": hashed(secret),
            "share_id": secrets.token_hex(_ID_BYTES),
            "call_id": call_id,
            "user": user,
            "created_at": now,
            "expires_at": now + min(max(valid_s, 60.0), MOST_S),
        }

        def work(connection: sa.Connection) -> bool:
            maker = connection.execute(
                sa.select(users).where(users.c.name == user, users.c.disabled == 0)
            ).first()
            if maker is None or not MAY["personal"] & user_of(maker).roles:
                raise StoreRefusedError(
                    f"{user} is no user of the bridge who may see calls: such a link would show nothing"
                )
            lock(connection, "shares")
            gone = (row.expires_at <= now) & (
                row.created_at <= now - 3600
            )  # those of the last hour still count
            connection.execute(sa.delete(console_shares).where(gone))
            count = sa.select(sa.func.count()).select_from(console_shares)
            mine = count.where(row.user == user, row.created_at > now - 3600)
            there = connection.execute(sa.select(calls.c.call_id).where(calls.c.call_id == call_id)).first()
            if (
                there is None
                or connection.execute(mine).scalar_one() >= MAX_AN_HOUR
                or connection.execute(count).scalar_one() >= MAX_OPEN
            ):
                return False
            connection.execute(sa.insert(console_shares).values(new))
            return True

        return secret if await self._store.transaction("cannot share a call", work) else None

    async def find(self, secret: str, now: float) -> Share | None:
        """What a link shows; None: it has expired or was revoked, never was, or its maker may not share any more."""
        row = console_shares.c
        joined = console_shares.join(users, users.c.name == row.user)
        names = [row[name] for name in Share.__dataclass_fields__]
        query = sa.select(users, *(one.label(f"share_{one.name}") for one in names)).select_from(joined)
        query = query.where(row.hash == hashed(secret), row.expires_at > now, users.c.disabled == 0)

        def work(connection: sa.Connection) -> Share | None:
            found = connection.execute(query).first()
            if found is None or not MAY["personal"] & user_of(found).roles:
                return None
            return Share(*(getattr(found, f"share_{one.name}") for one in names))

        return await self._store.transaction("cannot read a shared call", work)

    async def of_call(self, call_id: str, now: float) -> list[Share]:
        """The links of a call that are open, the newest first."""
        row = console_shares.c
        query = sa.select(console_shares).where(row.call_id == call_id, row.expires_at > now)
        query = query.order_by(row.created_at.desc()).limit(50)

        def work(connection: sa.Connection) -> list[Share]:
            names = Share.__dataclass_fields__
            return [Share(*(getattr(one, name) for name in names)) for one in connection.execute(query)]

        return await self._store.transaction("cannot read who shared a call", work)

    async def revoke(self, call_id: str, share_id: str) -> bool:
        """From now on the link shows nothing. False: there is none like it. It still counts for the hour's limit."""
        row = console_shares.c
        mine = sa.update(console_shares).where(
            row.call_id == call_id, row.share_id == share_id, row.expires_at > 0
        )
        return bool(
            await self._store.transaction(
                "cannot revoke a link", lambda it: it.execute(mine.values(expires_at=0.0)).rowcount
            )
        )
