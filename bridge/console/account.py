"""The page of who is signed in: password, second factors, sessions, API tokens. What is secret is shown once.

What makes a way in (factor, recovery codes, token, password) or takes a factor away wants a proof first (again.py);
sessions and tokens are ended without: that is always right.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute

from bridge.approval.request import ROLES
from bridge.console import qr, totp
from bridge.console.again import Again
from bridge.console.deeds import Deeds
from bridge.console.factors import Factors, Setup, WaitError
from bridge.console.texts import text
from bridge.console.web import ROOT, PageError, Visit, Web
from bridge.errors import StoreError
from bridge.store.userstore import MIN_PASSWORD_CHARS, UserStore

HERE = f"{ROOT}/account"
DAY_S = 86_400
TOKEN_DAYS = (1, 7, 30, 90, 365)
MAX_TOKENS = 50
"""Of one user."""


@dataclass(frozen=True, slots=True)
class AccountDeps:
    """What the page works with."""

    users: UserStore
    factors: Factors
    again: Again
    deeds: Deeds


class Account:
    """The page and its forms."""

    def __init__(self, web: Web, deps: AccountDeps) -> None:
        self._web = web
        self._users, self._factors = deps.users, deps.factors
        self._again, self._deeds = deps.again, deps.deeds

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        posts: dict[str, Callable[[Visit], Awaitable[Response]]] = {
            "password": self._password,
            "totp": self._totp,
            "totp/confirm": self._confirm,
            "passkey": self._passkey,
            "passkey/add": self._add_passkey,
            "passkey/ask": self._ask_passkey,
            "codes": self._codes,
            "factors/{id}/remove": self._remove,
            "sessions/{id}/end": self._end_session,
            "sessions/end": self._end_others,
            "tokens": self._token,
            "tokens/{id}/revoke": self._revoke,
        }
        forms = [self._web.post(f"/account/{path}", handler, "look") for path, handler in posts.items()]
        return [self._web.get("/account", self._page), *forms]

    async def _page(self, visit: Visit) -> Response:
        return await self._show(visit)

    async def _show(self, visit: Visit, status: int = 200, **more: Any) -> Response:
        name, now = visit.who.name, time.time()
        mine = await self._web.sessions.session(visit.secret, now)
        values = {
            "here": "account",
            "factors": await self._factors.of(name),
            "codes_left": await self._factors.codes_left(name),
            "sessions": await self._web.sessions.of(name, now),
            "mine": mine.session_id if mine else "",
            "tokens": [one for one in await self._users.tokens() if one.user == name],
            "passkeys": self._again.party(visit) is not None,
            "rules": self._again.rules,
            "days": TOKEN_DAYS,
            "roles": [role for role in ROLES if role in visit.who.roles],
            "chars": MIN_PASSWORD_CHARS,
            "at": now,
            "problem": "",
            "done": visit.request.query_params.get("done") == "1",
        } | more
        return self._web.page("account.html", visit, values, status)

    def _back(self) -> Response:
        return RedirectResponse(f"{HERE}?done=1", 303)

    # ---- the password ----------------------------------------------------------------------------------------

    async def _password(self, visit: Visit) -> Response:
        if visit.who.subject:
            raise PageError(403, text("account.no_password"))
        form, name = visit.form, visit.who.name
        if form.get("password", "") != form.get("again", ""):
            return await self._show(visit, 400, problem=text("link.differ"))
        if len(form.get("password", "")) < MIN_PASSWORD_CHARS:
            return await self._show(visit, 400, problem=text("link.new_password", chars=MIN_PASSWORD_CHARS))
        if asked := await self._again.password(visit):
            return await self._show(visit, 403, problem=asked.problem or text("again.wrong_password"))
        try:
            await self._users.set_password(name, form["password"])
        except StoreError as error:  # too long
            return await self._show(visit, 400, problem=str(error))
        await self._deeds.note("password_changed", name)
        user = await self._users.user(name)
        if user is None:
            raise PageError(401, text("sign_in"))
        return await self._web.signed_in(visit, user, f"{HERE}?done=1", "password")

    # ---- second factors --------------------------------------------------------------------------------------

    async def _totp(self, visit: Visit) -> Response:
        if asked := await self._again.presence(visit):
            return self._again.page(visit, asked)
        setup = await self._factors.begin_totp(visit.who.name, visit.form.get("label", ""))
        return self._setup_page(visit, setup)

    def _setup_page(self, visit: Visit, setup: Setup, problem: str = "", status: int = 200) -> Response:
        party = self._again.party(visit)
        address = totp.uri(setup.secret, visit.who.name, party.host if party else "")
        try:
            rows = qr.modules(address)
        except ValueError:  # a very long name: it is typed then
            rows = []
        values = {"secret": totp.grouped(setup.secret), "address": address, "problem": problem}
        values["setup"] = setup.factor_id
        picture = {"path": qr.svg_path(rows), "side": len(rows) + 2 * qr.QUIET}
        return self._web.page("totp.html", visit, {**values, **picture, "here": "account"}, status)

    async def _confirm(self, visit: Visit) -> Response:
        name = visit.who.name
        setup = await self._factors.setup(name)
        if setup is None or setup.factor_id != visit.form.get("setup"):  # the secret is for who saw that page
            return await self._show(visit, 410, problem=text("factor.late"))
        try:
            right = await self._factors.confirm_totp(name, visit.form.get("code", ""))
        except WaitError as error:
            wait = text("sign_in.locked", seconds=int(error.seconds) + 1)
            return self._setup_page(visit, setup, wait, 429)
        if not right:
            return self._setup_page(visit, setup, text("again.wrong"), 400)
        return await self._added(visit, "totp")

    async def _passkey(self, visit: Visit) -> Response:
        """Asked for by script; the page that comes without one says what to do."""
        party = self._again.party(visit)
        if party is None:
            return await self._show(visit, 400, problem=text("factor.no_name"))
        if asked := await self._again.presence(visit):
            return self._again.page(visit, asked)
        label = visit.form.get("label", "")
        options = await self._factors.begin_passkey(visit.who.name, visit.secret, party, label)
        return self._web.page("passkey.html", visit, {"options": options, "here": "account"})

    async def _add_passkey(self, visit: Visit) -> Response:
        party, answer = self._again.party(visit), visit.form.get("attestation", "")
        if party is None or not await self._factors.add_passkey(visit.who.name, visit.secret, party, answer):
            return await self._show(visit, 400, problem=text("factor.wrong"))
        return await self._added(visit, "passkey")

    async def _added(self, visit: Visit, kind: str) -> Response:
        name = visit.who.name
        await self._web.sessions.proved(visit.secret, time.time())
        await self._deeds.note("factor_added", name, kind=kind)
        if await self._factors.codes_left(name):
            return self._back()
        return self._once(visit, "codes.title", "codes.words", await self._factors.new_codes(name))

    async def _ask_passkey(self, visit: Visit) -> Response:
        party = self._again.party(visit)
        if party is None:
            raise PageError(400, text("factor.no_name"))
        options = await self._factors.question(visit.who.name, visit.secret, party)
        return JSONResponse({"options": options})

    async def _codes(self, visit: Visit) -> Response:
        if not await self._factors.has(visit.who.name):
            return await self._show(visit, 400, problem=text("codes.first"))
        if asked := await self._again.presence(visit):
            return self._again.page(visit, asked)
        codes = await self._factors.new_codes(visit.who.name)
        await self._deeds.note("recovery_codes", visit.who.name)
        return self._once(visit, "codes.title", "codes.words", codes)

    async def _remove(self, visit: Visit) -> Response:
        if asked := await self._again.presence(visit):
            return self._again.page(visit, asked)
        gone = await self._factors.remove(visit.who.name, str(visit.request.path_params["id"]))
        if gone is None:
            raise PageError(404, text("error.not_found"))
        await self._deeds.note("factor_removed", visit.who.name, kind=gone.kind)
        return self._back()

    # ---- sessions and tokens ---------------------------------------------------------------------------------

    async def _end_session(self, visit: Visit) -> Response:
        await self._web.sessions.end_of(visit.who.name, str(visit.request.path_params["id"]))
        await self._deeds.note("sessions_ended", visit.who.name, whose=visit.who.name, sessions="one")
        return self._back()

    async def _end_others(self, visit: Visit) -> Response:
        await self._web.sessions.end_of(visit.who.name, keep=visit.secret)
        await self._deeds.note("sessions_ended", visit.who.name, whose=visit.who.name, sessions="others")
        return self._back()

    async def _token(self, visit: Visit) -> Response:
        form, name = visit.form, visit.who.name
        label, days = form.get("label", "").strip(), form.get("days", "")
        roles = [role for role in ROLES if form.get(f"role.{role}") and role in visit.who.roles]
        if not label or not roles or days not in {str(one) for one in TOKEN_DAYS}:
            return await self._show(visit, 400, problem=text("token.incomplete"))
        if sum(one.user == name for one in await self._users.tokens()) >= MAX_TOKENS:
            return await self._show(visit, 400, problem=text("token.too_many", count=MAX_TOKENS))
        if asked := await self._again.presence(visit):
            return self._again.page(visit, asked)
        made = await self._users.give_token(name, label, time.time() + int(days) * DAY_S, roles)
        await self._deeds.note("token_given", name, token=made.split("_")[1], roles=roles, days=int(days))
        return self._once(visit, "token.title", "token.words", [made])

    async def _revoke(self, visit: Visit) -> Response:
        wanted = str(visit.request.path_params["id"])
        mine = {one.token_id for one in await self._users.tokens() if one.user == visit.who.name}
        if wanted not in mine or not await self._users.revoke(wanted):
            raise PageError(404, text("error.not_found"))
        await self._deeds.note("token_revoked", visit.who.name, token=wanted)
        return self._back()

    def _once(self, visit: Visit, title: str, words: str, secrets: list[str]) -> Response:
        values = {"title": text(title), "words": text(words), "secrets": secrets, "back": HERE}
        return self._web.page("once.html", visit, {**values, "here": "account"})
