"""Second factors: what a user has besides the password. Part of the Store.

    totp      the shared secret, closed (approval/vault.py); `counter`: the last time step whose code was taken
    passkey   credential id and public key, closed; `counter`: its signature counter (WebAuthn, section 6.1.1)
    recovery  a hash of one code, under a key; used up by deleting the row

A code counts once on all nodes, because taking it is one UPDATE or DELETE that says whether it did anything.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from bridge.errors import StoreError
from bridge.store.database import lock
from bridge.store.store import Store
from bridge.store.tables import console_factors

Kind = Literal["totp", "passkey"]
RECOVERY = "recovery"
MAX_FACTORS = 10
"""Of one user."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor. `confirmed`: it has proved itself once; before that it counts for nothing. Times: unix seconds."""

    factor_id: str
    user: str
    kind: str
    label: str
    sealed: str
    confirmed: bool
    counter: int
    created_at: float
    used_at: float | None


class FactorStore:
    """Every method raises StoreError when the database does not do it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, user: str) -> list[Factor]:
        """TOTP and passkeys, the oldest first, with those that are not confirmed yet."""
        row = console_factors.c
        query = (
            sa.select(console_factors).where(row.user == user, row.kind != RECOVERY).order_by(row.created_at)
        )
        rows = await self._store.transaction("cannot read factors", lambda it: it.execute(query).all())
        return [_factor(one) for one in rows]

    async def add(self, factor: Factor) -> None:
        """A new one. Another that is not confirmed, of the same kind, goes. StoreError: there are too many."""
        row = console_factors.c

        def work(connection: sa.Connection) -> None:
            lock(connection, f"factors {factor.user}")
            mine = (row.user == factor.user) & (row.kind != RECOVERY)
            connection.execute(
                sa.delete(console_factors).where(mine, row.confirmed == 0, row.kind == factor.kind)
            )
            count = sa.select(sa.func.count()).select_from(console_factors).where(mine)
            if connection.execute(count).scalar_one() >= MAX_FACTORS:
                raise StoreError(f"{MAX_FACTORS} second factors are the most: remove one first")
            new = {name: getattr(factor, name) for name in Factor.__slots__}
            connection.execute(sa.insert(console_factors).values({**new, "confirmed": int(factor.confirmed)}))

        await self._store.transaction("cannot keep a factor", work)

    async def used(self, factor: Factor, counter: int, now: float) -> bool:
        """It was proved with this counter; False: that, or a later one, was taken before. It is confirmed by it."""
        row = console_factors.c
        newer = row.counter < counter
        if counter == 0 and factor.kind == "passkey":  # an authenticator without a counter always says 0
            newer = row.counter == 0
        mine = (row.factor_id == factor.factor_id) & (row.user == factor.user) & newer
        done = sa.update(console_factors).where(mine).values(counter=counter, used_at=now, confirmed=1)
        return bool(
            await self._store.transaction("cannot use a factor", lambda it: it.execute(done).rowcount)
        )

    async def remove(self, user: str, factor_id: str) -> Factor | None:
        """Take one away; with the last one its recovery codes go. None: there is none."""
        row = console_factors.c

        def work(connection: sa.Connection) -> Factor | None:
            lock(connection, f"factors {user}")
            mine = (row.user == user) & (row.factor_id == factor_id) & (row.kind != RECOVERY)
            found = connection.execute(sa.select(console_factors).where(mine)).first()
            connection.execute(sa.delete(console_factors).where(mine))
            left = sa.select(row.factor_id).where(row.user == user, row.kind != RECOVERY, row.confirmed == 1)
            if not connection.execute(left).first():
                connection.execute(sa.delete(console_factors).where(row.user == user, row.kind == RECOVERY))
            return _factor(found) if found else None

        return await self._store.transaction("cannot remove a factor", work)

    async def reset(self, user: str) -> int:
        """Take all away; how many rows that were."""
        gone = sa.delete(console_factors).where(console_factors.c.user == user)
        return await self._store.transaction("cannot reset factors", lambda it: it.execute(gone).rowcount)

    async def put_codes(self, user: str, hashes: Sequence[str], now: float) -> None:
        """New recovery codes; the old ones are none any more."""
        row = console_factors.c
        common = {
            "user": user,
            "kind": RECOVERY,
            "label": "",
            "confirmed": 1,
            "counter": 0,
            "created_at": now,
        }

        def work(connection: sa.Connection) -> None:
            lock(connection, f"factors {user}")
            connection.execute(sa.delete(console_factors).where(row.user == user, row.kind == RECOVERY))
            new = [{**common, "factor_id": secrets.token_hex(8), "sealed": one} for one in hashes]
            connection.execute(sa.insert(console_factors).values(new))

        await self._store.transaction("cannot keep recovery codes", work)

    async def use_code(self, user: str, hashed: str) -> bool:
        """Use a recovery code up; False: there is none."""
        row = console_factors.c
        gone = sa.delete(console_factors).where(row.user == user, row.kind == RECOVERY, row.sealed == hashed)
        return bool(await self._store.transaction("cannot use a code", lambda it: it.execute(gone).rowcount))

    async def codes_left(self, user: str) -> int:
        """How many recovery codes are not used up."""
        row = console_factors.c
        query = sa.select(sa.func.count()).where(row.user == user, row.kind == RECOVERY)
        return int(
            await self._store.transaction("cannot read factors", lambda it: it.execute(query).scalar_one())
        )


def new_id() -> str:
    """A name for a factor."""
    return secrets.token_hex(8)


def _factor(row: sa.Row[tuple[object, ...]]) -> Factor:
    kept = row._mapping  # noqa: SLF001  # SQLAlchemy's public name
    values = {name: kept[name] for name in Factor.__slots__}
    return Factor(**{**values, "confirmed": bool(kept["confirmed"])})
