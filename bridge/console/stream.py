"""Server-sent events: what is new on a page that is open, as pieces of HTML that htmx puts where they belong.

    event: news   data: <article hx-swap-oob=…>   id: what the page shows now (it comes back as Last-Event-ID)
    event: bye    the session is over; the page says so and does not ask again

Each page is told what it does not show yet (snapshot.py); one that reads slowly misses steps in between, not the last.
The sessions of all pages are looked at together every other second (standing.py). An open page is use: a session idles
only when no page is open.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from bridge.console.approvals import view
from bridge.console.feed import Feed
from bridge.console.snapshot import Changes, Seen, Snapshot
from bridge.console.standing import LOOK_EVERY_S, Standing
from bridge.console.texts import text
from bridge.console.web import PageError, Visit, Web

RETRY_MS = 2000


@dataclass(frozen=True, slots=True)
class Streams:
    """`most` at a time: half of the connections that the door takes, so that health, metrics and API get through.

    `of_one`: of these by one person, so that nobody's windows keep the others from theirs. `look_s`: how often it is
    looked whether they still may; twice that is how long a stream outlives its session.
    """

    most: int = 100
    of_one: int = 20
    heartbeat_s: float = 15.0
    look_s: float = LOOK_EVERY_S


class Channel(Protocol):
    """What one open page is told. `over`: nothing more comes."""

    @property
    def over(self) -> bool:
        """After the frames that are there now the stream ends."""

    def watched(self) -> AbstractAsyncContextManager[None]:
        """Inside of it what the page shows is kept up to date."""

    def frames(self) -> AsyncIterator[str]:
        """Events for what the page does not show yet; from then on it is seen."""

    async def news(self, within_s: float) -> bool:
        """Wait until there may be frames. False: there were none in time."""


class Hub:
    """Every open stream of the console; each page has one at most."""

    def __init__(self, web: Web, limits: Streams) -> None:
        self._limits = limits
        self._web = web
        self._open: Counter[str] = Counter()
        self._standing = Standing(web.sessions.users, limits.look_s)

    def check(self, visit: Visit) -> None:
        """Raises PageError: too many are open."""
        full = self._open.total() >= self._limits.most
        if full or self._open[visit.who.name] >= self._limits.of_one:
            raise PageError(503, text("sign_in.busy"))

    def serve(self, visit: Visit, channel: Channel) -> Response:
        """The stream of a page that is open."""
        self.check(visit)
        headers = {"x-accel-buffering": "no"}  # nginx would keep events back
        return StreamingResponse(self._tell(visit, channel), media_type="text/event-stream", headers=headers)

    async def _tell(self, visit: Visit, channel: Channel) -> AsyncIterator[str]:
        self._open[visit.who.name] += 1
        try:
            with self._standing.open(visit.secret, visit.who):
                async with channel.watched():
                    yield f"retry: {RETRY_MS}\n\n"
                    async for event in self._news(visit, channel):
                        yield event
        finally:
            self._open[visit.who.name] -= 1
            self._open += Counter()  # forgets who has none

    async def _news(self, visit: Visit, channel: Channel) -> AsyncIterator[str]:
        """What is there, and then what is new; now and then what came without news."""
        limits, quiet_since, look = self._limits, time.monotonic(), True
        while True:
            if look:
                async for frame in channel.frames():
                    yield frame
                    quiet_since = time.monotonic()
            if channel.over:
                return
            look = await channel.news(min(limits.look_s, limits.heartbeat_s))
            if not await self._standing.still(visit.secret, visit.who):
                yield framed("news", self._web.piece("signed_out.html", visit, {}))
                yield BYE
                return
            if time.monotonic() - quiet_since >= limits.heartbeat_s:
                quiet_since, look = time.monotonic(), True
                yield ": still here\n\n"


class Stream:
    """The events of the overview and of the approvals page."""

    def __init__(self, web: Web, feed: Feed, hub: Hub) -> None:
        self._web = web
        self._feed = feed
        self._hub = hub

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [self._web.get("/events", self._events)]

    async def _events(self, visit: Visit) -> Response:
        self._hub.check(visit)
        await self._feed.look()
        query = visit.request.query_params
        cards = query.get("cards") == "1"
        shown = visit.request.headers.get("last-event-id") or query.get("shows", "")
        channel = Cards(self._web, self._feed, visit, Wish(shown, cards, query.get("only", "")))
        return self._hub.serve(visit, channel)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a page asks for. `shown`: the digest of what it shows; `only`: the request whose page it is."""

    shown: str
    cards: bool
    only: str


class Cards:
    """The requests that wait, one of them, or only how many: a Channel."""

    def __init__(self, web: Web, feed: Feed, visit: Visit, wish: Wish) -> None:
        self._web = web
        self._feed = feed
        self._visit = visit
        self._wish = wish
        self._seen = Seen(wish.shown)
        self._now = feed.snapshot

    @property
    def over(self) -> bool:
        """Control ends."""
        return self._feed.closed

    def watched(self) -> AbstractAsyncContextManager[None]:
        """As long as the page is open."""
        return self._feed.watched()

    async def frames(self) -> AsyncIterator[str]:
        """At most one."""
        self._now, only = self._feed.snapshot, self._wish.only
        shown = self._now.only(only) if only else self._now
        if changes := self._seen.compare(shown):
            yield await asyncio.to_thread(self._event, shown, changes)

    async def news(self, within_s: float) -> bool:
        """Another snapshot."""
        return await self._feed.news(self._now, within_s) is not self._now

    def _event(self, now: Snapshot, changes: Changes) -> str:
        visit, cards = self._visit, self._wish.cards
        if self._wish.only and changes.whole:  # there is one card, and its place
            changes = Changes(changed=changes.added, counts=changes.counts)
        parts = {
            name: [view(visit, card) for card in getattr(changes, name)] if cards else []
            for name in ("added", "changed", "spoken")
        }
        values = {**parts, "now": now, "whole": changes.whole and cards, "tiles": not cards}
        return framed("news", self._web.piece("news.html", visit, values), now.digest)


def framed(name: str, data: str, digest: str = "") -> str:
    """One event as the HTML standard has it (section 9.2)."""
    lines = [f"event: {name}", *(f"data: {line}" for line in data.splitlines())]
    return "\n".join([*lines, *([f"id: {digest}"] if digest else [])]) + "\n\n"


BYE = framed("bye", "bye")
