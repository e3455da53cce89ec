"""Users and tokens over the API (control_api.py), for admins: the same as `sipbridge users`.

    GET    /api/v1/users                    everybody: roles, groups, telephones; no secret
    POST   /api/v1/users                    {"name", "roles", "groups", "numbers", "disabled"}: add one, or change one
    DELETE /api/v1/users/{name}             and their tokens and sessions
    GET    /api/v1/tokens                   what there is, without the secrets
    POST   /api/v1/users/{name}/tokens      {"label", "days"} → 201 {"token"}: the only time it is seen; not by a token
    DELETE /api/v1/tokens/{id}

The rules are the console's (console/roster.py): there is always an admin, and the audit says who did what. A token
makes none, and gives its own user no more than they have: who stole one would have others when it is taken back. So
tokens are made by people, who have signed in to the console or to the machine. Where some decisions need a second
factor, a token gives nobody who is there already more than they have.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bridge.approval.request import ROLES
from bridge.console.roster import Roster
from bridge.control_api import ApiError, ApiRoute, Call, Terms, delete, get, post
from bridge.control_api_docs import (
    AT,
    FLAG,
    TEXT,
    Doc,
    exactly,
    list_of,
    maybe,
    one_of,
    string,
    thing,
)
from bridge.errors import StoreRefusedError
from bridge.store.userstore import Token, User, UserStore

USERS, TOKENS = "/api/v1/users", "/api/v1/tokens"
MAX_DAYS = 3650
MAX_NAMES = 64
DAY_S = 86_400.0
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_GROUP = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_NUMBER = re.compile(r"\+?[0-9]{1,20}")
USER = thing(
    {
        "name": TEXT,
        "roles": list_of(one_of(*ROLES)),
        "groups": list_of(TEXT),
        "numbers": list_of(TEXT),
        "disabled": FLAG,
        "has_password": FLAG,
        "created_at": AT,
    }
)
_NAMES = {"type": "array", "maxItems": MAX_NAMES}
DOCS = {
    "users": Doc("Everybody who may look, decide or administer.", thing({"users": list_of(USER)})),
    "put": Doc(
        "Add a user, or change one; a password stays.",
        USER,
        exactly(
            {"name": string(64, 1, f"^{_NAME.pattern}$"), "roles": {**_NAMES, "items": one_of(*ROLES)}},
            groups={**_NAMES, "items": string(64, 1, f"^{_GROUP.pattern}$")},
            numbers={**_NAMES, "items": string(21, 1, r"^\+?[0-9]{1,20}$")},
            disabled=FLAG,
        ),
        refuses=(403, 409),
    ),
    "remove": Doc(
        "Forget a user, their tokens and sessions.",
        thing({"name": TEXT, "removed": FLAG}),
        refuses=(404, 409),
    ),
    "tokens": Doc("Every token, without its secret.", thing({"tokens": list_of(Token)})),
    "give": Doc(
        "Make a token for a user; it is seen this once.",
        thing({"token": TEXT, "user": TEXT, "expires_at": maybe(AT)}),
        exactly({}, label=string(100), days={"type": "integer", "minimum": 1, "maximum": MAX_DAYS}),
        refuses=(403, 404),
        details="Only over the machine's own socket: a token makes no token (403 `token`). People make their own in "
        "the console.",
    ),
    "revoke": Doc("Take a token back.", thing({"token_id": TEXT, "revoked": FLAG}), refuses=(404,)),
}


class UsersApi:
    """The handlers: `users` are read, the `roster` changes them. `step_up`: some decisions need a second factor."""

    def __init__(self, users: UserStore, roster: Roster, *, step_up: bool = False) -> None:
        self._users = users
        self._roster = roster
        self._step_up = step_up

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        made = Terms(status=201)
        return [
            get(USERS, "administer", self._list, DOCS["users"]),
            post(USERS, "administer", self._put, DOCS["put"]),
            delete(f"{USERS}/{{name}}", "administer", self._remove, DOCS["remove"]),
            get(TOKENS, "administer", self._tokens, DOCS["tokens"]),
            post(f"{USERS}/{{name}}/tokens", "administer", self._give, DOCS["give"], made),
            delete(f"{TOKENS}/{{id}}", "administer", self._revoke, DOCS["revoke"]),
        ]

    async def _list(self, _call: Call) -> Mapping[str, Any]:
        return {"users": [plain(user) for user in await self._users.users()]}

    async def _put(self, call: Call) -> Mapping[str, Any]:
        user = wished(call.body)
        known = await self._roster.one(user.name)
        if known is not None and known.subject and (known.roles, known.groups) != (user.roles, user.groups):
            raise ApiError(409, f"the roles and groups of {user.name} are what their provider says")
        if known is not None and _widened(known, user):
            self._not_more(call, known)
        put = self._roster.change if known is not None else self._roster.add
        try:
            await put(user, call.user.name)
        except StoreRefusedError as error:
            raise ApiError(409, str(error)) from None
        return plain(await self._known(user.name))

    def _not_more(self, call: Call, known: User) -> None:
        """ApiError 403: who asks may give this user no more than they have."""
        if call.token and known.name == call.user.name:  # the token would have more with them
            raise ApiError(403, "a token gives its own user nothing: do it in the console", code="token")
        if self._step_up and call.how == "API":
            # Who can sign in as them would set up a factor, and decide what no token may.
            raise ApiError(403, "this takes a second factor: give more in the console", code="step_up")

    async def _remove(self, call: Call) -> Mapping[str, Any]:
        user = await self._known(call.path["name"])
        try:
            await self._roster.remove(user.name, call.user.name)
        except StoreRefusedError as error:
            raise ApiError(409, str(error)) from None
        return {"name": user.name, "removed": True}

    async def _known(self, name: str) -> User:
        user = await self._roster.one(name)
        if user is None:
            raise ApiError(404, f"there is no user {name[:64]!r}")
        return user

    async def _tokens(self, _call: Call) -> Mapping[str, Any]:
        return {"tokens": [asdict(token) for token in await self._users.tokens()]}

    async def _give(self, call: Call) -> Mapping[str, Any]:
        if call.token:
            raise ApiError(
                403, "a token makes no token: sign in to the console, or sipbridge users token", code="token"
            )
        name, body = call.path["name"], call.body
        _only(body, ("label", "days"))
        label, days = body.get("label", ""), body.get("days")
        if not isinstance(label, str) or len(label) > 100:
            raise ApiError(400, "label must be a text of at most 100 characters")
        if days is not None and (
            isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS
        ):
            raise ApiError(400, f"days must be 1 to {MAX_DAYS}")
        if await self._users.user(name) is None:
            raise ApiError(404, f"there is no user {name[:64]!r} who may sign in")
        expires_at = None if days is None else time.time() + days * DAY_S
        token = await self._roster.give_token(name, label, expires_at, call.user.name)
        return {"token": token, "user": name, "expires_at": expires_at}

    async def _revoke(self, call: Call) -> Mapping[str, Any]:
        token_id = call.path["id"]
        if not await self._roster.revoke(token_id, call.user.name):
            raise ApiError(404, f"there is no token {token_id[:16]!r}")
        return {"token_id": token_id, "revoked": True}


def wished(body: Mapping[str, Any]) -> User:
    """The user of a body. ApiError 400: what is wrong with it."""
    _only(body, ("name", "roles", "groups", "numbers", "disabled"))
    name, disabled = body.get("name"), body.get("disabled", False)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ApiError(400, "name must be 1 to 64 of A-Z, a-z, 0-9 and . _ @ -")
    if not isinstance(disabled, bool):
        raise ApiError(400, "disabled must be true or false")
    if "roles" not in body:
        raise ApiError(400, f"roles is missing: any of {', '.join(ROLES)}")
    roles = _names(body, "roles", re.compile("|".join(ROLES)))
    groups, numbers = _names(body, "groups", _GROUP), _names(body, "numbers", _NUMBER)
    return User(name, roles, groups, numbers, disabled)


def _widened(before: User, after: User) -> bool:
    """Whether they may do more than before; a telephone less means calls more that they may decide about."""
    more = after.roles - before.roles or after.groups - before.groups or before.numbers - after.numbers
    return bool(more) or (before.disabled and not after.disabled)


def plain(user: User) -> dict[str, Any]:
    """For programs."""
    names = {key: sorted(getattr(user, key)) for key in ("roles", "groups", "numbers")}
    rest = {key: getattr(user, key) for key in ("disabled", "has_password", "created_at")}
    return {"name": user.name, **names, **rest}


def _only(body: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = next((key for key in body if key not in known), None)
    if unknown is not None:
        raise ApiError(400, f"unknown key {unknown[:40]!r}: there are {', '.join(known)}")


def _names(body: Mapping[str, Any], key: str, each: re.Pattern[str]) -> frozenset[str]:
    given = body.get(key, [])
    fits = isinstance(given, list) and len(given) <= MAX_NAMES
    if not fits or not all(isinstance(one, str) and each.fullmatch(one) for one in given):
        raise ApiError(
            400, f"{key} must be a list of at most {MAX_NAMES} texts, each of the form {each.pattern}"
        )
    return frozenset(given)
