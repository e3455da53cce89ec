"""Sign-in, sign-out, and the one-time link by which somebody chooses a password.

Wrong passwords are counted in the store, by the rule of lockout.py. Hashing one takes tens of milliseconds of a core
and 64 MB, so only a few are looked at at a time, and who comes beyond that is told to try again, not made to wait.
"""

import re
import time
from dataclasses import dataclass

import structlog
from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.console.lockout import of_address, of_name, wait_s
from bridge.console.texts import text
from bridge.console.web import ROOT, PageError, Visit, Web, own_path
from bridge.errors import StoreError
from bridge.store.sessionstore import FIRST, LinkStore
from bridge.store.trystore import TryStore
from bridge.store.userstore import MIN_PASSWORD_CHARS, User, UserStore

log = structlog.get_logger(__name__)

MAX_AT_ONCE = 4
"""Passwords that are hashed at a time."""
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@dataclass(frozen=True, slots=True)
class SignInDeps:
    """What signing in works with. `provider`: as the button of console.oidc says; `local`: whether passwords count."""

    users: UserStore
    links: LinkStore
    tries: TryStore
    provider: str = ""
    local: bool = True


class SignIn:
    """The pages before anybody has signed in, and the one button after."""

    def __init__(self, web: Web, deps: SignInDeps) -> None:
        self._web = web
        self._deps = deps
        self._hashing = 0

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            self._web.open("/sign-in", self._sign_in),
            self._web.open("/link/{secret}", self._link),
            self._web.post("/sign-out", self._sign_out, "look"),
        ]

    async def _sign_in(self, visit: Visit) -> Response:
        to = own_path(visit.form.get("next", visit.request.query_params.get("next", "")))
        if visit.request.method == "GET":
            return self._form(visit, to)
        if not self._deps.local:
            raise PageError(403, text("sign_in.not_here"))
        name, password = visit.form.get("name", "").strip(), visit.form.get("password", "")
        if self._hashing >= MAX_AT_ONCE:
            return self._form(visit, to, 503, text("sign_in.busy"))
        self._hashing += 1  # before anything is waited for: who comes meanwhile is counted with it
        try:
            return await self._try(visit, to, name, password)
        finally:
            self._hashing -= 1

    async def _try(self, visit: Visit, to: str, name: str, password: str) -> Response:
        address = visit.address
        kept = [of_name(name), of_address(address)]
        if waits := await self._deps.tries.begin(kept, wait_s, time.time()):
            return self._form(visit, to, 429, text("sign_in.locked", seconds=int(waits) + 1))
        user = await self._deps.users.by_password(name, password)
        if user is None or user.subject:  # whom a provider signs in is not ours to say
            log.warning("console.sign_in_failed", pii_name=name[:64], address=address)
            return self._form(visit, to, 403, text("sign_in.wrong"))
        await self._deps.tries.right(kept[:1], kept[1:])
        log.info("console.signed_in", by=user.name, address=address, how="password")
        return await self._web.signed_in(visit, user, to, "password")

    def _form(self, visit: Visit, to: str, status: int = 200, problem: str = "") -> Response:
        deps = self._deps
        values = {"next": to, "problem": problem, "provider": deps.provider, "local": deps.local}
        values["name"] = visit.form.get("name", "")
        return self._web.page("sign_in.html", visit, values, status)

    async def _sign_out(self, visit: Visit) -> Response:
        log.info("console.signed_out", by=visit.who.name)
        return await self._web.signed_out(visit)

    async def _link(self, visit: Visit) -> Response:
        """Looking at the link does not use it up: chat programs look at what is sent by them."""
        secret = str(visit.request.path_params["secret"])
        whose = await self._deps.links.whose(secret, time.time())
        if whose is None or not self._deps.local:
            raise PageError(410, text("link.gone"))
        name = whose or visit.form.get("name", "").strip()
        values = {"first": whose == FIRST, "name": name, "chars": MIN_PASSWORD_CHARS, "problem": ""}
        if visit.request.method == "GET":
            return self._web.page("link.html", visit, values)
        if problem := self._unfit(visit, name):
            return self._web.page("link.html", visit, {**values, "problem": problem}, 400)
        if self._hashing >= MAX_AT_ONCE:
            return self._web.page("link.html", visit, {**values, "problem": text("sign_in.busy")}, 503)
        user = await self._use(secret, name, visit.form["password"])
        if user is None:
            raise PageError(410, text("link.gone"))
        log.info("console.link_used", by=user.name, first=whose == FIRST)
        return await self._web.signed_in(visit, user, f"{ROOT}/", "link")

    def _unfit(self, visit: Visit, name: str) -> str:
        password, again = visit.form.get("password", ""), visit.form.get("again", "")
        if not _NAME.fullmatch(name):
            return text("link.bad_name")
        if password != again:
            return text("link.differ")
        return (
            "" if len(password) >= MIN_PASSWORD_CHARS else text("link.new_password", chars=MIN_PASSWORD_CHARS)
        )

    async def _use(self, secret: str, name: str, password: str) -> User | None:
        self._hashing += 1
        try:
            hashed = await self._deps.users.hashed(password)
        except StoreError as error:  # too long
            raise PageError(400, str(error)) from None
        finally:
            self._hashing -= 1
        return await self._deps.links.use(secret, name, hashed, time.time())
