"""Who is signed in to the console, and one-time links that let somebody choose a password. Part of the Store.

A session and a link are 256 random bits that only the browser has; the tables have their SHA-256, so who reads the
database is nobody. They are in the store because control may be replaced, and a browser may come to another node.
Every look at a session reads its user anew: who was disabled, removed or given another password is out at once.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.errors import StoreError
from bridge.store.database import few_lengths, lock
from bridge.store.store import Store
from bridge.store.tables import console_links, console_sessions, users
from bridge.store.userstore import User, keep_password, user_of

FIRST = ""
"""Whose link it is while there is no user: the first admin's."""
FIRST_ADMIN = "first admin"
MAX_SESSIONS = 20
"""Of one user; the oldest ends when there is one more."""
SHOWN_ID = 16
"""Characters of a session's hash that name it where it is shown."""
MAX_LINKS = 100
NOTED_EVERY_S = 60.0
"""A session's use is noted so often: a page in use asks several times a second."""


@dataclass(frozen=True, slots=True)
class Began:
    """How a session began: `by` password, link or oidc; from where; `agent`: what the browser says it is."""

    by: str = ""
    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One session. `session_id`: names it and opens nothing. `factor_at`: when a second factor was proved last."""

    session_id: str
    user: str
    began_at: float
    seen_at: float
    factor_at: float | None
    began: Began


class SessionStore:
    """Sessions end `idle_s` after their last use, and `longest_s` after they began. Times are unix seconds."""

    def __init__(self, store: Store, idle_s: float, longest_s: float) -> None:
        self._store = store
        self._idle_s = idle_s
        self._longest_s = longest_s

    async def begin(self, user: str, now: float, began: Began = Began()) -> str:  # frozen
        """A new session, never one that a browser brought: what names it. What has expired is forgotten."""
        secret, row = secrets.token_urlsafe(32), console_sessions.c

        def work(connection: sa.Connection) -> None:
            old = (row.seen_at <= now - self._idle_s) | (row.created_at <= now - self._longest_s)
            connection.execute(sa.delete(console_sessions).where(old))
            mine = sa.select(row.hash).where(row.user == user).order_by(row.created_at.desc())
            too_many = connection.execute(mine.offset(MAX_SESSIONS - 1)).scalars().all()
            connection.execute(sa.delete(console_sessions).where(row.hash.in_(too_many)))
            new = {"hash": hashed(secret), "user": user, "created_at": now, "seen_at": now}
            how = {"began_by": began.by, "address": began.address[:64], "agent": began.agent[:200]}
            connection.execute(sa.insert(console_sessions).values({**new, **how}))

        await self._store.transaction("cannot begin a session", work)
        return secret

    async def user(self, secret: str, now: float) -> User | None:
        """Whose session it is; None: it is over, or there never was one."""
        return (await self.users([secret], now)).get(secret)

    async def users(self, secrets: Collection[str], now: float) -> dict[str, User]:
        """Whose sessions these are, by secret; those that are over are not in it. For all of them this is use."""
        row, by_hash = console_sessions.c, {hashed(secret): secret for secret in secrets}
        here = (row.seen_at > now - self._idle_s) & (row.created_at > now - self._longest_s)
        query = sa.select(users, row.hash, row.seen_at).select_from(
            console_sessions.join(users, users.c.name == row.user)
        )
        query = query.where(row.hash.in_(few_lengths(by_hash)), here, users.c.disabled == 0)

        def work(connection: sa.Connection) -> dict[str, User]:
            found = connection.execute(query).all()
            late = [one.hash for one in found if now - one.seen_at >= NOTED_EVERY_S]
            if late:
                noted = sa.update(console_sessions).where(row.hash.in_(few_lengths(late)))
                connection.execute(noted.values(seen_at=now))
            return {by_hash[one.hash]: user_of(one) for one in found}

        return await self._store.transaction("cannot read sessions", work)

    async def session(self, secret: str, now: float) -> Session | None:
        """The session itself; None: it is over."""
        found = await self._found(console_sessions.c.hash == hashed(secret), now)
        return found[0] if found else None

    async def of(self, user: str, now: float) -> list[Session]:
        """All that a user has, the newest first."""
        return await self._found(console_sessions.c.user == user, now)

    async def proved(self, secret: str, now: float) -> None:
        """A second factor was proved in this session."""
        mine = sa.update(console_sessions).where(console_sessions.c.hash == hashed(secret))
        await self._store.transaction(
            "cannot keep a proof", lambda it: it.execute(mine.values(factor_at=now))
        )

    async def end_of(self, user: str, session_id: str = "", keep: str = "") -> int:
        """End one session of a user, or all but the one whose secret is `keep`; how many that were."""
        row = console_sessions.c
        mine = row.user == user
        if session_id:
            mine &= sa.func.substr(row.hash, 1, SHOWN_ID) == session_id
        if keep:
            mine &= row.hash != hashed(keep)
        gone = sa.delete(console_sessions).where(mine)
        return await self._store.transaction("cannot end sessions", lambda it: it.execute(gone).rowcount)

    async def _found(self, which: sa.ColumnElement[bool], now: float) -> list[Session]:
        row = console_sessions.c
        here = (row.seen_at > now - self._idle_s) & (row.created_at > now - self._longest_s)
        query = sa.select(console_sessions).where(which, here).order_by(row.created_at.desc())
        rows = await self._store.transaction("cannot read sessions", lambda it: it.execute(query).all())
        return [
            Session(
                one.hash[:SHOWN_ID], one.user, one.created_at, one.seen_at, one.factor_at,
                Began(one.began_by, one.address, one.agent),
            )
            for one in rows
        ]  # fmt: skip

    async def end(self, secret: str) -> None:
        """Sign out."""
        mine = sa.delete(console_sessions).where(console_sessions.c.hash == hashed(secret))
        await self._store.transaction("cannot end a session", lambda it: it.execute(mine))


class LinkStore:
    """One-time links."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def give(self, user: str, now: float, valid_s: float) -> str:
        """What a new link of `user` ends in; FIRST: for the first admin. StoreError: no such user, or not the first."""
        secret = secrets.token_urlsafe(32)

        def work(connection: sa.Connection) -> None:
            if user == FIRST:
                _nobody_yet(connection)
            else:
                _signs_in_here(connection, user)
            row = console_links.c
            connection.execute(sa.delete(console_links).where(row.expires_at <= now))
            newest = sa.select(row.hash).order_by(row.expires_at.desc()).offset(MAX_LINKS - 1)
            too_many = connection.execute(newest).scalars().all()
            connection.execute(sa.delete(console_links).where(row.hash.in_(too_many)))
            new = {"hash": hashed(secret), "user": user, "expires_at": now + valid_s}
            connection.execute(sa.insert(console_links).values(new))

        await self._store.transaction("cannot make a link", work)
        return secret

    async def whose(self, secret: str, now: float) -> str | None:
        """The user it is for, FIRST for the first admin; None: it is used up, expired, or none."""
        return await self._store.transaction("cannot read a link", lambda it: _whose(it, secret, now))

    async def use(self, secret: str, name: str, password: str, now: float) -> User | None:
        """Set the password (UserStore.hashed) and use the link up; None: it is none any more.

        `name`: of the first admin; anybody else's is known.
        """

        def work(connection: sa.Connection) -> User | None:
            lock(connection, FIRST_ADMIN)
            user = _whose(connection, secret, now)
            if user is None:
                return None
            if user == FIRST:
                new: dict[str, Any] = {"name": name, "roles": '["admin"]', "groups": "[]", "numbers": "[]"}
                connection.execute(sa.insert(users).values({**new, "disabled": 0, "created_at": now}))
            whose = user or name
            keep_password(connection, whose, password)
            mine = console_links.c.user == user
            connection.execute(sa.delete(console_links).where(mine))
            return user_of(connection.execute(sa.select(users).where(users.c.name == whose)).one())

        return await self._store.transaction("cannot use a link", work)


def link_of(base: str, secret: str) -> str:
    """A link as it is sent to somebody. `base`: where people reach the console."""
    return f"{base}/console/link/{secret}"


def hashed(secret: str) -> str:
    """As a table has it. Of random bits: it needs no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _signs_in_here(connection: sa.Connection, user: str) -> None:
    found = connection.execute(sa.select(users.c.subject).where(users.c.name == user)).first()
    if found is None:
        raise StoreError(f"there is no user {user}")
    if found.subject:
        raise StoreError(f"{user} is signed in by console.oidc and has no password here")


def _nobody_yet(connection: sa.Connection) -> None:
    if connection.execute(sa.select(users.c.name).limit(1)).first():
        raise StoreError("there are users already: sipbridge users link NAME")


def _whose(connection: sa.Connection, secret: str, now: float) -> str | None:
    """A disabled user's link is none, nor one of who a provider signs in, nor the first admin's later on."""
    row = console_links.c
    query = sa.select(row.user).where(row.hash == hashed(secret), row.expires_at > now)
    user: str | None = connection.execute(query).scalar_one_or_none()
    if user is None:
        return None
    there = sa.select(users.c.disabled, users.c.subject)
    found = connection.execute(there.where(users.c.name == user) if user else there.limit(1)).first()
    fits = found is None if user == FIRST else found is not None and not found.disabled and not found.subject
    return user if fits else None
