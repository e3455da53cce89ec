"""The way to the provider that signs people in, and the way back.

    /console/oidc ─► 303 provider ─► /console/oidc/callback ─► session ─► a page of ours ─► where they wanted to go

The browser comes back from another site, so it brings no SameSite=Strict cookie: the way back is known by a cookie of
its own, SameSite=Lax, which is no session and opens nothing. The new session's cookie is Strict as ever; the page that
carries it asks for the next one itself, so that the browser sends it (a redirect would count as the other site's).
"""

import secrets
import time
from dataclasses import dataclass

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from bridge.console.oidc import Flow, OidcError, Provider, told
from bridge.console.texts import text
from bridge.console.web import ROOT, Visit, Web, own_path
from bridge.errors import StoreError
from bridge.store.peoplestore import PeopleStore
from bridge.store.sessionstore import hashed
from bridge.store.stepstore import StepStore

log = structlog.get_logger(__name__)

BACK = f"{ROOT}/oidc/callback"
FLOW_S = 600
MAX_AT_ONCE = 8
MAX_CHARS = 4096


@dataclass(frozen=True, slots=True)
class OidcDeps:
    """What the pages work with. `url`: console.url; "": by Host. `local`: whether passwords count too."""

    provider: Provider
    people: PeopleStore
    steps: StepStore
    url: str = ""
    local: bool = True


class OidcPages:
    """The two addresses."""

    def __init__(self, web: Web, deps: OidcDeps) -> None:
        self._web = web
        self._deps = deps
        self._asking = 0

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [self._web.open("/oidc", self._there), self._web.open("/oidc/callback", self._back)]

    async def _there(self, visit: Visit) -> Response:
        to = own_path(visit.request.query_params.get("next", ""))
        browser = self._web.flow_of(visit) or secrets.token_urlsafe(32)
        base = self._deps.url or f"http://{visit.request.headers.get('host', '')}"
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        flow = Flow(state, nonce, secrets.token_urlsafe(48), base + BACK)
        try:
            way = await self._deps.provider.way(flow)
        except OidcError as error:
            return self._failed(visit, error, to)
        data = {"nonce": flow.nonce, "verifier": flow.verifier, "back": flow.back, "next": to}
        kept = {**data, "browser": hashed(browser)}
        await self._deps.steps.keep(f"oidc {flow.state}", kept, time.time(), FLOW_S)
        answer = RedirectResponse(way, 303)
        self._web.give_flow(answer, browser, FLOW_S)
        return answer

    async def _back(self, visit: Visit) -> Response:
        if self._asking >= MAX_AT_ONCE:
            return self._failed(visit, OidcError("away", "too many come back at this moment"), f"{ROOT}/")
        self._asking += 1
        try:
            return await self._came_back(visit)
        except OidcError as error:
            return self._failed(visit, error, f"{ROOT}/")
        finally:
            self._asking -= 1

    async def _came_back(self, visit: Visit) -> Response:
        query, provider = visit.request.query_params, self._deps.provider
        state, code = query.get("state", "")[:MAX_CHARS], query.get("code", "")[:MAX_CHARS]
        step = await self._deps.steps.take(f"oidc {state}", time.time())
        browser = self._web.flow_of(visit)
        if step is None or not browser or step["browser"] != hashed(browser):
            raise OidcError("gone", "no sign-in with this state was begun in this browser")
        if query.get("iss", provider.settings.issuer) != provider.settings.issuer:
            raise OidcError("not_right", "the answer is another provider's (RFC 9207)")
        if not code:
            raise OidcError("said_no", f"error {query.get('error', '')[:100]!r}")
        flow = Flow(state, step["nonce"], step["verifier"], step["back"])
        who = told(provider.settings, await provider.claims(code, flow))
        try:
            user = await self._deps.people.from_provider(who)
        except StoreError as error:
            if "another user" in str(error):
                raise OidcError("other", str(error)) from None
            raise
        if user is None:
            log.warning("console.sign_in_failed", pii_name=who.name, address=visit.address, how="oidc")
            raise OidcError("no_role", "none of their values is in console.oidc.roles, or they are disabled")
        log.info("console.signed_in", by=user.name, address=visit.address, how="oidc")
        to = own_path(step["next"])
        page = self._web.page("moment.html", None, {"again": to})
        self._web.take_flow(page)
        return await self._web.signed_in(visit, user, to, "oidc", page)

    def _failed(self, visit: Visit, error: OidcError, to: str) -> Response:
        log.warning("console.oidc_failed", why=error.word, reason=str(error), address=visit.address)
        problem = text("oidc.failed", why=text(f"oidc.{error.word}"))
        values = {"next": to, "problem": problem, "name": "", "local": self._deps.local}
        values["provider"] = self._deps.provider.settings.label
        return self._web.page("sign_in.html", visit, values, 503 if error.word == "away" else 403)
