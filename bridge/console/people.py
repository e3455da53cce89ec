"""The users, for admins: who there is, what they may do, and ways in that are given once. All of it is audited."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from bridge.approval.request import ROLES
from bridge.console.again import Again
from bridge.console.deeds import Deeds
from bridge.console.factors import Factors
from bridge.console.roster import Roster
from bridge.console.texts import text
from bridge.console.web import ROOT, PageError, Visit, Web
from bridge.errors import StoreError
from bridge.store.sessionstore import LinkStore, link_of
from bridge.store.userstore import User, UserStore

HERE = f"{ROOT}/users"
LINK_S = 24 * 3600.0
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_GROUP = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NUMBER = re.compile(r"\+?[0-9]{2,20}")
MAX_EACH = 50


@dataclass(frozen=True, slots=True)
class PeopleDeps:
    """What the pages work with. `url`: console.url; "": links say the host by which the page was asked."""

    users: UserStore
    roster: Roster
    links: LinkStore
    factors: Factors
    again: Again
    deeds: Deeds
    url: str = ""
    local: bool = True


class People:
    """The pages and their forms."""

    def __init__(self, web: Web, deps: PeopleDeps) -> None:
        self._web = web
        self._deps = deps

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        posts: dict[str, Callable[[Visit], Awaitable[Response]]] = {
            "/users": self._add,
            "/users/{name}": self._change,
            "/users/{name}/link": self._link,
            "/users/{name}/factors": self._reset,
            "/users/{name}/sessions": self._end,
            "/users/{name}/tokens": self._revoke,
            "/users/{name}/remove": self._remove,
        }
        forms = [
            self._web.post(path, self._guarded(handler), "administer") for path, handler in posts.items()
        ]
        pages = [self._web.get("/users", self._all, "administer")]
        return [*pages, self._web.get("/users/{name}", self._one, "administer"), *forms]

    def _guarded(
        self, handler: Callable[[Visit], Awaitable[Response]]
    ) -> Callable[[Visit], Awaitable[Response]]:
        """What makes or changes users wants a second factor where decisions do: else it would be a way round it."""

        async def guarded(visit: Visit) -> Response:
            if asked := await self._deps.again.administer(visit):
                return self._deps.again.page(visit, asked)
            return await handler(visit)

        return guarded

    # ---- pages -------------------------------------------------------------------------------------------------------

    async def _all(self, visit: Visit) -> Response:
        return await self._list(visit)

    async def _list(self, visit: Visit, problem: str = "", status: int = 200) -> Response:
        users = await self._deps.users.users()
        values = {"users": users, "problem": problem, "form": visit.form, "roles": ROLES, "here": "users"}
        return self._web.page("users.html", visit, values, status)

    async def _one(self, visit: Visit) -> Response:
        return await self._card(visit, await self._whose(visit))

    async def _card(self, visit: Visit, user: User, problem: str = "", status: int = 200) -> Response:
        values = {
            "it": user,
            "problem": problem,
            "done": visit.request.query_params.get("done") == "1",
            "roles": ROLES,
            "factors": await self._deps.factors.of(user.name),
            "sessions": await self._web.sessions.of(user.name, time.time()),
            "tokens": [one for one in await self._deps.users.tokens() if one.user == user.name],
            "local": self._deps.local,
            "here": "users",
        }
        return self._web.page("user.html", visit, values, status)

    async def _whose(self, visit: Visit) -> User:
        name = str(visit.request.path_params["name"])
        found = await self._deps.roster.one(name)
        if found is None:
            raise PageError(404, text("users.nobody"))
        return found

    # ---- forms -------------------------------------------------------------------------------------------------------

    async def _add(self, visit: Visit) -> Response:
        name = visit.form.get("name", "").strip()
        if not NAME.fullmatch(name):
            return await self._list(visit, text("link.bad_name"), 400)
        try:
            user = wanted(User(name, frozenset(), frozenset()), visit.form)
            await self._deps.roster.add(user, visit.who.name)
        except (StoreError, ValueError) as error:
            return await self._list(visit, str(error), 400)
        return self._back(name)

    async def _change(self, visit: Visit) -> Response:
        user = await self._whose(visit)
        try:
            await self._deps.roster.change(wanted(user, visit.form), visit.who.name)
        except (StoreError, ValueError) as error:
            return await self._card(visit, user, str(error), 400)
        return self._back(user.name)

    async def _link(self, visit: Visit) -> Response:
        user = await self._whose(visit)
        if not self._deps.local or user.subject or user.disabled:
            return await self._card(visit, user, text("users.no_link"), 400)
        secret = await self._deps.links.give(user.name, time.time(), LINK_S)
        await self._deeds("link_given", visit, user)
        base = self._deps.url or f"http://{visit.request.headers.get('host', '')}"
        values = {"title": text("users.link"), "words": text("users.link_words", name=user.name, hours=24)}
        shown = {"secrets": [link_of(base, secret)], "back": f"{HERE}/{user.name}", "here": "users"}
        return self._web.page("once.html", visit, {**values, **shown})

    async def _reset(self, visit: Visit) -> Response:
        user = await self._whose(visit)
        await self._deps.factors.reset(user.name)
        await self._web.sessions.end_of(user.name)
        await self._deeds("factors_reset", visit, user)
        return self._back(user.name)

    async def _end(self, visit: Visit) -> Response:
        user = await self._whose(visit)
        await self._web.sessions.end_of(user.name, keep=visit.secret if user.name == visit.who.name else "")
        await self._deeds("sessions_ended", visit, user)
        return self._back(user.name)

    async def _revoke(self, visit: Visit) -> Response:
        user = await self._whose(visit)
        for token in [one for one in await self._deps.users.tokens() if one.user == user.name]:
            await self._deps.users.revoke(token.token_id)
        await self._deeds("tokens_revoked", visit, user)
        return self._back(user.name)

    async def _remove(self, visit: Visit) -> Response:
        user = await self._whose(visit)
        if visit.form.get("sure") != user.name:
            return await self._card(visit, user, text("users.not_sure", name=user.name), 400)
        try:
            await self._deps.roster.remove(user.name, visit.who.name)
        except StoreError as error:
            return await self._card(visit, user, str(error), 400)
        return RedirectResponse(HERE, 303)

    async def _deeds(self, what: str, visit: Visit, user: User, **facts: Any) -> None:
        await self._deps.deeds.note(what, visit.who.name, whose=user.name, **facts)

    def _back(self, name: str) -> Response:
        return RedirectResponse(f"{HERE}/{name}?done=1", 303)


def wanted(user: User, form: Mapping[str, str]) -> User:
    """The user as a form has them. ValueError: a sentence. What a provider says of roles and groups stays."""
    found = replace(user, numbers=_many(form, "numbers", _NUMBER), disabled=form.get("disabled") == "1")
    if user.subject:
        return found
    roles = frozenset(role for role in ROLES if form.get(f"role.{role}"))
    return replace(found, roles=roles, groups=_many(form, "groups", _GROUP))


def _many(form: Mapping[str, str], field: str, kind: re.Pattern[str]) -> frozenset[str]:
    names = form.get(field, "").replace(",", " ").split()
    wrong = next((name for name in names if not kind.fullmatch(name)), None)
    if wrong is not None:
        raise ValueError(text(f"users.bad_{field}", name=wrong[:70]))
    if len(names) > MAX_EACH:
        raise ValueError(text("users.too_many", count=MAX_EACH))
    return frozenset(names)
