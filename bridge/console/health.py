"""The health page: nodes, workers, trunks, edge, providers, MCP servers, store, disks; and what an admin may do there.

    /console/health            everything, live by asking again        POST …/workers/SLOT/drain|undrain   administer
    /console/health/doctor     `sipbridge doctor`, on request          POST …/nodes/NAME/drain|undrain     administer
    /console/notices           the banners of every page               POST …/mcp/accept|forget            accept_tools

Watch looks once for everybody: facts are at most FRESH_S old, banners as of its last round. What an MCP server says of
its tools is hostile text: it is shown as text only, and what is accepted is exactly what was shown (its hash).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from bridge.console.banners import Banner, Worries, banners
from bridge.console.healthfacts import Chain, Facts
from bridge.console.healthview import panels
from bridge.console.texts import text
from bridge.console.web import ROOT, PageError, Visit, Web
from bridge.errors import BridgeError

log = structlog.get_logger(__name__)

FRESH_S = 2.0
ROUND_S = 5.0
IDLE_ROUND_S = 60.0
WATCHED_S = 90.0
"""So long after a page was made somebody is taken to look at it."""
ROUND_DEADLINE_S = 20.0
ORDERS = ("drain", "undrain")


class Health(Protocol):
    """What control knows of the installation, and does to it. A BridgeError's sentence is for who asked."""

    async def facts(self) -> Facts:
        """As it is now. Never raises for what is broken: that is a fact."""

    async def worries(self) -> Worries:
        """What the banners need besides."""

    async def worker(self, slot: int, order: str, by: str) -> None:
        """drain, undrain a worker of this node."""

    async def node(self, name: str, order: str, by: str) -> None:
        """drain, undrain a node."""

    async def accept(self, server: str, tool: str, shown: str, by: str) -> None:
        """Accept the definition whose hash is `shown`; another one meanwhile is refused."""

    async def forget(self, server: str, tool: str, by: str) -> None:
        """Take back what was accepted."""

    async def doctor(self) -> Sequence[Mapping[str, Any]]:
        """The findings of `sipbridge doctor`: section, level, text, do."""


class Watch:
    """Facts and banners for all who look. `banners`, and `chain` of the audit: as of the last round."""

    def __init__(self, health: Health) -> None:
        self.health = health
        self.banners: tuple[Banner, ...] = ()
        self.chain = Chain()
        self._facts = Facts(0.0)
        self._looked_at = float("-inf")
        self._asked_at = float("-inf")
        self._looking = asyncio.Lock()
        self._asked = asyncio.Event()

    def shown(self) -> tuple[Banner, ...]:
        """The banners; somebody looks at a page."""
        self._asked_at = time.monotonic()
        self._asked.set()
        return self.banners

    async def facts(self) -> Facts:
        """At most FRESH_S old."""
        async with self._looking:
            if time.monotonic() - self._looked_at > FRESH_S:
                self._facts = await self.health.facts()
                self._looked_at = time.monotonic()
            return self._facts

    async def run(self) -> None:
        """Until cancelled: often while somebody looks at a page, seldom else. No mistake in here may end control."""
        while True:
            try:
                async with asyncio.timeout(ROUND_DEADLINE_S):
                    facts, worries = await self.facts(), await self.health.worries()
                    self.banners, self.chain = banners(facts, worries), worries.audit
            except TimeoutError:
                log.warning("console.health_late", deadline_s=ROUND_DEADLINE_S)
            except Exception:
                log.exception("console.health_failed")
            await self._rest()

    async def _rest(self) -> None:
        await asyncio.sleep(ROUND_S)
        if time.monotonic() - self._asked_at < WATCHED_S:
            return
        self._asked.clear()
        try:
            async with asyncio.timeout(IDLE_ROUND_S - ROUND_S):
                await self._asked.wait()
        except TimeoutError:
            pass


class HealthPages:
    """The pages over a Watch."""

    def __init__(self, web: Web, watch: Watch) -> None:
        self._web = web
        self._watch = watch
        self._health = watch.health
        self._doctor = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        get, post = self._web.get, self._web.post
        return [
            get("/health", self._page),
            get("/health/panels", self._panels),
            get("/health/doctor", self._ask_doctor, "administer"),
            get("/notices", self._notices),
            post("/health/doctor", self._run_doctor, "administer"),
            post("/health/workers/{name}/{order}", self._worker, "administer"),
            post("/health/nodes/{name}/{order}", self._node, "administer"),
            post("/health/mcp/{order}", self._mcp, "accept_tools"),
        ]

    async def _page(self, visit: Visit) -> Response:
        said = visit.request.query_params.get("said", "")
        return await self._shown(visit, text(f"health.said.{said}") if said in _SAID else "", 200)

    async def _shown(self, visit: Visit, said: str, status: int) -> Response:
        facts = await self._watch.facts()
        values = {"facts": facts, "panels": panels(facts), "said": said, "here": "health"}
        return self._web.page("health.html", visit, {**values, "wrong": status >= 400}, status)

    async def _panels(self, visit: Visit) -> Response:
        facts = await self._watch.facts()
        return self._web.page("panels.html", visit, {"facts": facts, "panels": panels(facts)})

    async def _notices(self, visit: Visit) -> Response:
        return self._web.page("notices.html", visit, {})

    async def _worker(self, visit: Visit) -> Response:
        slot, order = visit.request.path_params["name"], _order(visit)
        if not (slot.isascii() and slot.isdigit() and len(slot) < 6):
            raise PageError(404, text("error.not_found"))
        return await self._done(visit, order, self._health.worker(int(slot), order, visit.who.name))

    async def _node(self, visit: Visit) -> Response:
        order = _order(visit)
        name = str(visit.request.path_params["name"])[:64]
        return await self._done(visit, order, self._health.node(name, order, visit.who.name))

    async def _mcp(self, visit: Visit) -> Response:
        form, by = visit.form, visit.who.name
        server, tool = form.get("server", "")[:100], form.get("tool", "")[:100]
        order = str(visit.request.path_params["order"])
        if order == "accept":
            return await self._done(
                visit, order, self._health.accept(server, tool, form.get("hash", "")[:200], by)
            )
        if order == "forget":
            return await self._done(visit, order, self._health.forget(server, tool, by))
        raise PageError(404, text("error.not_found"))

    async def _done(self, visit: Visit, said: str, work: Any) -> Response:
        try:
            await work
        except BridgeError as error:
            return await self._shown(visit, str(error), 409)
        return RedirectResponse(f"{ROOT}/health?said={said}", 303)

    async def _ask_doctor(self, visit: Visit) -> Response:
        return self._web.page("doctor.html", visit, {"findings": None, "here": "health"})

    async def _run_doctor(self, visit: Visit) -> Response:
        if self._doctor.locked():
            raise PageError(409, text("doctor.busy"))
        async with self._doctor:
            found = await self._health.doctor()
        sections: dict[str, list[Mapping[str, Any]]] = {}
        for one in found:
            sections.setdefault(str(one.get("section", "")), []).append(one)
        return self._web.page("doctor.html", visit, {"findings": sections, "here": "health"})


_SAID = frozenset({*ORDERS, "accept", "forget"})


def _order(visit: Visit) -> str:
    order = str(visit.request.path_params["order"])
    if order not in ORDERS:
        raise PageError(404, text("error.not_found"))
    return order
