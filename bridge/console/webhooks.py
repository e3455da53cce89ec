"""The page of webhooks: how each endpoint fares, what waits or was parked; buttons to test, enable and try again."""

from collections.abc import Sequence
from typing import Protocol

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from bridge.console.texts import text
from bridge.console.web import ROOT, PageError, Visit, Web
from bridge.store.database import plain
from bridge.store.webhookstore import STATES, Delivery, EndpointView

log = structlog.get_logger(__name__)

SHOWN = 100
MAX_ID_CHARS = 18


class Webhooks(Protocol):
    """What the page needs of control (control_webhooks.WebhookDesk). Everything raises StoreError."""

    async def shown(self) -> list[EndpointView]:
        """Every endpoint of the settings."""

    async def deliveries(self, endpoint: str, state: str, limit: int) -> list[Delivery]:
        """The newest first; "": all."""

    async def test(self, name: str) -> bool:
        """Send an event that says nothing; False: there is no such endpoint."""

    async def enable(self, name: str) -> bool:
        """Let it be told again; False: there is no such endpoint."""

    async def again(self, delivery_id: int) -> bool:
        """Tell something once more; False: there is no such delivery that is over."""


class WebhookPages:
    """The page and its buttons."""

    def __init__(self, web: Web, webhooks: Webhooks | None) -> None:
        self._web = web
        self._webhooks = webhooks

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            self._web.get("/webhooks", self._page, "audit"),
            self._web.post("/webhooks/{name}/test", self._test, "administer"),
            self._web.post("/webhooks/{name}/enable", self._enable, "administer"),
            self._web.post("/webhooks/deliveries/{id}/redeliver", self._again, "administer"),
        ]

    async def _page(self, visit: Visit) -> Response:
        query = visit.request.query_params
        state = query.get("state", "")
        state = state if state in STATES else ""
        endpoint = plain(query.get("endpoint", "")[:64])
        endpoints: Sequence[EndpointView] = await self._desk.shown()
        found = await self._desk.deliveries(endpoint, state, SHOWN) if endpoints else []
        values: dict[str, object] = {
            "endpoints": endpoints,
            "deliveries": found,
            "states": STATES,
            "state": state,
        }
        values |= {"endpoint": endpoint, "most": SHOWN, "said": _said(query.get("done", ""))}
        return self._web.page("webhooks.html", visit, {**values, "here": "webhooks"})

    async def _test(self, visit: Visit) -> Response:
        name = str(visit.request.path_params["name"])
        return self._done(visit, "test", name, taken=await self._desk.test(name))

    async def _enable(self, visit: Visit) -> Response:
        name = str(visit.request.path_params["name"])
        return self._done(visit, "enable", name, taken=await self._desk.enable(name))

    async def _again(self, visit: Visit) -> Response:
        given = str(visit.request.path_params["id"])
        known = given.isascii() and given.isdigit() and len(given) < MAX_ID_CHARS
        return self._done(visit, "again", given, taken=known and await self._desk.again(int(given)))

    def _done(self, visit: Visit, what: str, which: str, *, taken: bool) -> Response:
        if not taken:
            raise PageError(404, text("error.not_found"))
        log.info("console.webhook", what=what, which=which, by=visit.who.name)
        return RedirectResponse(f"{ROOT}/webhooks?done={what}", 303)

    @property
    def _desk(self) -> Webhooks:
        if self._webhooks is None:
            raise PageError(404, text("error.not_found"))
        return self._webhooks


def _said(done: str) -> str:
    return {"test": text("hooks.tested"), "enable": text("hooks.enabled"), "again": text("hooks.again")}.get(
        done, ""
    )
