"""Users and tokens as admins change them, by the console and by the API: the store's rules, and the deed in the audit.

People (pages), UsersApi ──► Roster ──► PeopleStore (there is always an admin), UserStore
└─────► Deeds (who did it, to whom, before and after; no telephone number)
"""

from collections.abc import Sequence
from typing import Any

from bridge.console.deeds import Deeds
from bridge.store.peoplestore import PeopleStore
from bridge.store.userstore import User, UserStore


class Roster:
    """Every method raises StoreRefusedError (a rule forbids it) or another StoreError (not done, or not audited)."""

    def __init__(self, users: UserStore, people: PeopleStore, deeds: Deeds) -> None:
        self._users = users
        self._people = people
        self._deeds = deeds

    async def all(self) -> Sequence[User]:
        """By name, also who is disabled."""
        return await self._users.users()

    async def one(self, name: str) -> User | None:
        """Also who is disabled."""
        return next((user for user in await self._users.users() if user.name == name), None)

    async def add(self, user: User, by: str) -> None:
        """A new one."""
        await self._people.add(user)
        await self._deeds.note("user_added", by, whose=user.name, **_told(user))

    async def change(self, user: User, by: str) -> None:
        """Roles, groups, numbers and whether they are disabled."""
        before = await self._people.change(user)
        was = {f"was_{key}": value for key, value in _told(before).items()}
        await self._deeds.note("user_changed", by, whose=user.name, **_told(user), **was)

    async def remove(self, name: str, by: str) -> None:
        """And their tokens, sessions, factors and links."""
        await self._people.remove(name)
        await self._deeds.note("user_removed", by, whose=name)

    async def give_token(self, name: str, label: str, expires_at: float | None, by: str) -> str:
        """For somebody else's programs; the only time that it is seen."""
        made = await self._users.give_token(name, label, expires_at)
        await self._deeds.note("token_given", by, whose=name, token=made.split("_")[1], expires_at=expires_at)
        return made

    async def revoke(self, token_id: str, by: str) -> bool:
        """Take a token back; False: there is none."""
        known = next((one for one in await self._users.tokens() if one.token_id == token_id), None)
        if known is None or not await self._users.revoke(token_id):
            return False
        await self._deeds.note("token_revoked", by, whose=known.user, token=token_id)
        return True


def _told(user: User) -> dict[str, Any]:
    """What the audit says of a user: no telephone number."""
    return {"roles": sorted(user.roles), "groups": sorted(user.groups), "disabled": user.disabled}
