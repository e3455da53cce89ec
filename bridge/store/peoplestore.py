"""Changes to users by people who are signed in, and by the provider that signs them in. Part of the Store.

There is always an admin who can sign in: what would take the last one away is refused, in the transaction that would
have done it. (On the machine, root and the bridge's account can always administer: bridge/cli/identity.py.)
"""

import json
import time
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from bridge.approval.request import ROLES
from bridge.errors import StoreRefusedError
from bridge.store.database import lock
from bridge.store.store import Store
from bridge.store.tables import api_tokens, console_factors, console_links, console_sessions, users
from bridge.store.tables_history import console_shares
from bridge.store.userstore import User, user_of

_LOCK = "people"
_OF_A_USER = (console_links, console_sessions, console_factors, console_shares, api_tokens)


class PeopleStore:
    """Every method raises StoreError when it is not done; StoreRefusedError when a rule says so."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, user: User) -> None:
        """A new one. StoreRefusedError: the name is taken, or a role does not exist."""
        _known(user.roles)

        def work(connection: sa.Connection) -> None:
            lock(connection, _LOCK)
            if connection.execute(sa.select(users.c.name).where(users.c.name == user.name)).first():
                raise StoreRefusedError(f"there is a user {user.name} already")
            new = {"name": user.name, "created_at": time.time(), "subject": user.subject or None}
            connection.execute(sa.insert(users).values({**_values(user), **new}))

        await self._store.transaction("cannot keep a user", work)

    async def change(self, user: User) -> User:
        """Roles, groups, numbers and whether they are disabled; who is disabled is signed out. Answers what was.

        StoreRefusedError: nobody of this name, or nobody could administer any more.
        """
        _known(user.roles)

        def work(connection: sa.Connection) -> User:
            lock(connection, _LOCK)
            mine = users.c.name == user.name
            row = connection.execute(sa.select(users).where(mine)).first()
            if row is None:
                raise StoreRefusedError(f"there is no user {user.name}")
            before = _admins(connection)
            connection.execute(sa.update(users).where(mine).values(_values(user)))
            _still_an_admin(connection, before)
            if user.disabled:
                connection.execute(sa.delete(console_sessions).where(console_sessions.c.user == user.name))
                connection.execute(sa.delete(console_links).where(console_links.c.user == user.name))
            return user_of(row)

        return await self._store.transaction("cannot change a user", work)

    async def remove(self, name: str) -> None:
        """Forget a user and what is theirs. StoreRefusedError: there is none, or nobody could administer any more."""

        def work(connection: sa.Connection) -> None:
            lock(connection, _LOCK)
            before = _admins(connection)
            if not connection.execute(sa.delete(users).where(users.c.name == name)).rowcount:
                raise StoreRefusedError(f"there is no user {name}")
            _still_an_admin(connection, before)
            for table in _OF_A_USER:
                connection.execute(sa.delete(table).where(table.c.user == name))

        await self._store.transaction("cannot remove a user", work)

    async def from_provider(self, told: User) -> User | None:
        """Who the provider says has signed in, with the roles and groups it says they have; made when they are new.

        None: they have no role, or are disabled; who had one is signed out and has none any more.
        StoreRefusedError: the name is another user's.
        """

        def work(connection: sa.Connection) -> User | None:
            lock(connection, _LOCK)
            row = connection.execute(sa.select(users).where(users.c.subject == told.subject)).first()
            if row is None:
                return _first_time(connection, told)
            known = user_of(row)
            mine = users.c.name == known.name
            new = {"roles": _text(told.roles), "groups": _text(told.groups)}
            connection.execute(sa.update(users).where(mine).values(new))
            if not told.roles:
                connection.execute(sa.delete(console_sessions).where(console_sessions.c.user == known.name))
            if known.disabled or not told.roles:
                return None
            return user_of(connection.execute(sa.select(users).where(mine)).one())

        return await self._store.transaction("cannot keep a user", work)


def _first_time(connection: sa.Connection, told: User) -> User | None:
    if not told.roles:
        return None
    if connection.execute(sa.select(users.c.name).where(users.c.name == told.name)).first():
        raise StoreRefusedError(f"there is another user {told.name} already, who does not sign in this way")
    new = {**_values(told), "name": told.name, "created_at": time.time(), "subject": told.subject}
    connection.execute(sa.insert(users).values(new))
    return user_of(connection.execute(sa.select(users).where(users.c.name == told.name)).one())


def _values(user: User) -> dict[str, Any]:
    kept: dict[str, Any] = {name: _text(getattr(user, name)) for name in ("roles", "groups", "numbers")}
    return {**kept, "disabled": int(user.disabled)}


def _known(roles: Iterable[str]) -> None:
    if unknown := sorted({*roles} - {*ROLES}):
        raise StoreRefusedError(f"there is no role {unknown[0]}: roles are {', '.join(ROLES)}")


def _admins(connection: sa.Connection) -> tuple[int, int]:
    """How many can sign in and administer, and how many may at all: a program with a token does not sign in."""
    row = users.c
    enabled = sa.select(row.roles, row.password, row.subject).where(row.disabled == 0)
    admins = [one for one in connection.execute(enabled) if "admin" in json.loads(one.roles)]
    return sum(bool(one.password or one.subject) for one in admins), len(admins)


def _still_an_admin(connection: sa.Connection, before: tuple[int, int]) -> None:
    after = _admins(connection)
    if before[0] and not after[0]:
        raise StoreRefusedError("that is the last admin who can sign in: make another one first")
    if before[1] and not after[1]:
        raise StoreRefusedError("that is the last admin: make another one first")


def _text(names: Iterable[str]) -> str:
    return json.dumps(sorted(names))
