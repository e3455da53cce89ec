"""Users, what they may do, and what proves them. Part of the Store, on its one thread.

Passwords are kept as argon2id hashes (argon2-cffi's defaults, RFC 9106), API tokens as SHA-256 of 256 random bits:
those need no slow hash. A token is `sbt_ID_SECRET`; it is shown once. Used by control and the CLI.
A password is hashed on a thread: it takes tens of milliseconds and 64 MB, and control's loop has callers on the line.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bridge.approval.request import ROLES, Actor
from bridge.errors import StoreError
from bridge.store.database import few_lengths
from bridge.store.store import Store
from bridge.store.tables import api_tokens, console_factors, console_links, console_sessions, users
from bridge.store.tables_history import console_shares

PREFIX = "sbt"
MIN_PASSWORD_CHARS, MAX_PASSWORD_CHARS = 12, 1000


@dataclass(frozen=True, slots=True)
class User:
    """One user. `numbers`: their telephones, from which they cannot approve their own call.

    `subject`: who they are to the provider that signs them in (OpenID Connect); "": they sign in here.
    """

    name: str
    roles: frozenset[str]
    groups: frozenset[str]
    numbers: frozenset[str] = frozenset()
    disabled: bool = False
    has_password: bool = False
    created_at: float = 0.0
    subject: str = ""

    def actor(self) -> Actor:
        """As the gate sees them."""
        return Actor(self.name, roles=self.roles, groups=self.groups, numbers=self.numbers)


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret. `roles`: of its user's, those that it has; None: all."""

    token_id: str
    user: str
    label: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    roles: frozenset[str] | None = None


class UserStore:
    """The users' tables in `store`. Every method raises StoreError when the database does not do it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._hasher = PasswordHasher()

    async def users(self) -> list[User]:
        """All of them, by name."""
        return [user_of(row) for row in await self._rows(sa.select(users).order_by(users.c.name))]

    async def user(self, name: str) -> User | None:
        """One, if they exist and are not disabled."""
        rows = await self._rows(sa.select(users).where(users.c.name == name, users.c.disabled == 0))
        return user_of(rows[0]) if rows else None

    async def put(self, user: User) -> None:
        """Add a user, or change one; a password stays. StoreError: a role that does not exist."""
        unknown = sorted(user.roles - {*ROLES})
        if unknown:
            raise StoreError(f"there is no role {unknown[0]}: roles are {', '.join(ROLES)}")
        values: dict[str, Any] = {
            "roles": _text(user.roles),
            "groups": _text(user.groups),
            "numbers": _text(user.numbers),
            "disabled": int(user.disabled),
        }

        def work(connection: sa.Connection) -> None:
            mine = users.c.name == user.name
            if not connection.execute(sa.update(users).where(mine).values(values)).rowcount:
                new = {**values, "name": user.name, "created_at": time.time()}
                connection.execute(sa.insert(users).values(new))

        await self._store.transaction("cannot keep a user", work)

    async def remove(self, name: str) -> bool:
        """Forget a user, their tokens and sessions; False: there is none of this name."""

        def work(connection: sa.Connection) -> bool:
            connection.execute(sa.delete(console_links).where(console_links.c.user == name))
            connection.execute(sa.delete(console_sessions).where(console_sessions.c.user == name))
            connection.execute(sa.delete(api_tokens).where(api_tokens.c.user == name))
            connection.execute(sa.delete(console_factors).where(console_factors.c.user == name))
            connection.execute(sa.delete(console_shares).where(console_shares.c.user == name))
            return bool(connection.execute(sa.delete(users).where(users.c.name == name)).rowcount)

        return await self._store.transaction("cannot remove a user", work)

    async def hashed(self, password: str) -> str:
        """A new password as it is kept. StoreError: too short, or too long to be one."""
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise StoreError(
                f"a password needs at least {MIN_PASSWORD_CHARS} characters, {MAX_PASSWORD_CHARS} at most"
            )
        return await asyncio.to_thread(self._hasher.hash, password)

    async def set_password(self, name: str, password: str) -> None:
        """Who was signed in with the old one is not any more. StoreError: no good password, or no such user."""
        kept = await self.hashed(password)
        await self._store.transaction("cannot set a password", lambda it: keep_password(it, name, kept))

    async def by_password(self, name: str, password: str) -> User | None:
        """The user, when the password is theirs. Takes as long for a name that does not exist."""
        rows = await self._rows(sa.select(users).where(users.c.name == name, users.c.disabled == 0))
        kept = rows[0].password if rows else None
        right = await asyncio.to_thread(self._right, kept, password[:MAX_PASSWORD_CHARS])
        return user_of(rows[0]) if right else None

    def _right(self, kept: str | None, password: str) -> bool:
        try:
            self._hasher.verify(kept or _nobody(), password)
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    async def give_token(
        self, name: str, label: str, expires_at: float | None, roles: Iterable[str] | None = None
    ) -> str:
        """A new token, the only time it is seen. `roles`: those of the user's that it has. StoreError: no such user."""
        if await self.user(name) is None:
            raise StoreError(f"there is no user {name}")
        token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        row: dict[str, Any] = {
            "token_id": token_id,
            "user": name,
            "label": label[:100],
            "hash": _hash(secret),
        }
        row |= {"created_at": time.time(), "expires_at": expires_at}
        row["roles"] = None if roles is None else _text(roles)
        new = sa.insert(api_tokens).values(row)
        await self._store.transaction("cannot keep a token", lambda it: it.execute(new))
        return f"{PREFIX}_{token_id}_{secret}"

    async def tokens(self) -> list[Token]:
        """All of them, oldest first."""
        rows = await self._rows(sa.select(api_tokens).order_by(api_tokens.c.created_at))
        return [
            Token(
                *(row.token_id, row.user, row.label, row.created_at, row.expires_at, row.used_at),
                _roles(row.roles),
            )
            for row in rows
        ]

    async def revoke(self, token_id: str) -> bool:
        """Take a token back; False: there is none."""
        gone = sa.delete(api_tokens).where(api_tokens.c.token_id == token_id)
        return bool(
            await self._store.transaction("cannot revoke a token", lambda it: it.execute(gone).rowcount)
        )

    async def by_token(self, token: str, now: float) -> User | None:
        """The user whose token this is, unless it has expired."""
        prefix, _, rest = token.partition("_")
        token_id, _, secret = rest.partition("_")
        rows = await self._rows(sa.select(api_tokens).where(api_tokens.c.token_id == token_id))
        if prefix != PREFIX or not rows or not hmac.compare_digest(rows[0].hash, _hash(secret)):
            return None
        if rows[0].expires_at is not None and now >= rows[0].expires_at:
            return None
        used = sa.update(api_tokens).where(api_tokens.c.token_id == token_id).values(used_at=now)
        await self._store.transaction("cannot note a token's use", lambda it: it.execute(used))
        return (await self.holders([token_id], now)).get(token_id)

    async def holders(self, token_ids: Collection[str], now: float) -> dict[str, User]:
        """Whose tokens these are, by id, with the roles that each has; those that are none any more are not in it."""
        row = api_tokens.c
        query = sa.select(users, row.token_id, row.roles.label("its_roles")).select_from(
            api_tokens.join(users, users.c.name == row.user)
        )
        here = row.expires_at.is_(None) | (row.expires_at > now)
        found = await self._rows(
            query.where(row.token_id.in_(few_lengths(token_ids)), here, users.c.disabled == 0)
        )
        return {one.token_id: _as_far_as(user_of(one), _roles(one.its_roles)) for one in found}

    async def _rows(self, query: sa.Executable) -> list[sa.Row[Any]]:
        return await self._store.transaction(
            "cannot read the users", lambda it: list(it.execute(query).all())
        )


def keep_password(connection: sa.Connection, name: str, hashed: str) -> None:
    """Part of a transaction: also ends the user's sessions and links. StoreError: no such user."""
    done = connection.execute(sa.update(users).where(users.c.name == name).values(password=hashed))
    if not done.rowcount:
        raise StoreError(f"there is no user {name}")
    connection.execute(sa.delete(console_links).where(console_links.c.user == name))
    connection.execute(sa.delete(console_sessions).where(console_sessions.c.user == name))


@cache
def _nobody() -> str:
    return PasswordHasher().hash("nobody has this password")


def token_id_of(token: str) -> str:
    """The id in a token's text; it names the token and opens nothing."""
    return token.partition("_")[2].partition("_")[0]


def _as_far_as(user: User, roles: frozenset[str] | None) -> User:
    return user if roles is None else replace(user, roles=user.roles & roles)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(names: Iterable[str]) -> str:
    return json.dumps(sorted(names))


def _roles(kept: str | None) -> frozenset[str] | None:
    return None if kept is None else frozenset(json.loads(kept))


def user_of(row: sa.Row[Any]) -> User:
    """A row of the table `users`."""
    kept = row._mapping  # noqa: SLF001  # SQLAlchemy's public name
    names = {key: frozenset(json.loads(kept[key])) for key in ("roles", "groups", "numbers")}
    disabled, has_password = bool(kept["disabled"]), kept["password"] is not None
    return User(
        kept["name"],
        **names,
        disabled=disabled,
        has_password=has_password,
        created_at=kept["created_at"],
        subject=kept["subject"] or "",
    )
