"""The overview: what waits, what goes on, how today went, the last calls and decisions.

    /console/            the page; what waits and the live calls come by the stream (stream.py)
    /console/overview    the rest of it, asked for again every ten seconds

Today begins at midnight of this machine. Read once for everybody, at most FRESH_S old. Who may not see personal data
sees masked numbers and no words.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.console.feed import Feed
from bridge.console.historyrow import row_of
from bridge.console.web import Visit, Web
from bridge.localday import midnight
from bridge.records.cdr import CallRecord
from bridge.store.daystore import DayStore, Today
from bridge.store.gaterows import StoredRequest
from bridge.store.gatestore import GateStore
from bridge.store.store import Store

FRESH_S = 5.0
CALLS, REQUESTS = 10, 8


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, of calls that this control has seen; None: there was none. `since`: unix seconds."""

    since: float
    greeting_p50: float | None = None
    greeting_p95: float | None = None
    response_p50: float | None = None
    response_p95: float | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """What the page shows besides what waits."""

    today: Today
    calls: Sequence[CallRecord]
    requests: Sequence[StoredRequest]


class Overview:
    """The page. `pace`: how quick calls have been; None: nobody knows."""

    def __init__(self, web: Web, feed: Feed, store: Store, pace: Callable[[], Pace] | None) -> None:
        self._web = web
        self._feed = feed
        self._store = store
        self._days, self._gates = DayStore(store), GateStore(store)
        self._pace = pace
        self._reading = asyncio.Lock()
        self._day: tuple[float, Day] | None = None

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [self._web.get("/", self._page), self._web.get("/overview", self._piece)]

    async def _page(self, visit: Visit) -> Response:
        values = {"now": await self._feed.look(), "here": "start", **await self._values(visit)}
        return self._web.page("start.html", visit, values)

    async def _piece(self, visit: Visit) -> Response:
        return self._web.page("overview.html", visit, await self._values(visit))

    async def _values(self, visit: Visit) -> dict[str, Any]:
        day, personal = await self._read(), visit.may("personal")
        return {
            "today": day.today,
            "calls": [row_of(one, 0, personal=personal) for one in day.calls],
            "requests": day.requests,
            "personal": personal,
            "pace": self._pace() if self._pace else None,
        }

    async def _read(self) -> Day:
        """Raises StoreError."""
        async with self._reading:
            now = time.monotonic()
            if self._day is None or now - self._day[0] > FRESH_S:
                today = await self._days.today(midnight(time.time()))
                calls, requests = await self._store.recent(CALLS), await self._gates.requests((), REQUESTS)
                self._day = now, Day(today, calls, requests)
            return self._day[1]
