"""Server-sent events: what is new on a page that is open, as pieces of HTML that htmx puts where they belong.

    event: news   data: <article hx-swap-oob=…>   id: what the page shows now (it comes back as Last-Event-ID)
    event: bye    the session is over; the page says so and does not ask again

Each page is told what it does not show yet (snapshot.py); one that reads slowly misses steps in between, not the last.
The session is looked at again every few seconds. An open page is use: the session idles only when no page is open.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from bridge.console.approvals import view
from bridge.console.feed import Feed
from bridge.console.snapshot import Changes, Seen, Snapshot
from bridge.console.texts import text
from bridge.console.web import PageError, Visit, Web
from bridge.errors import StoreError

RETRY_MS = 2000


@dataclass(frozen=True, slots=True)
class Streams:
    """`most` at a time: half of the connections that the door takes, so that health, metrics and API get through."""

    most: int = 100
    heartbeat_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a page asks for. `shown`: the digest of what it shows; `only`: the request whose page it is."""

    shown: str
    cards: bool
    only: str


class Stream:
    """The live pages' events."""

    def __init__(self, web: Web, feed: Feed, limits: Streams) -> None:
        self._limits = limits
        self._web = web
        self._feed = feed
        self._open = 0

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [self._web.get("/events", self._events)]

    async def _events(self, visit: Visit) -> Response:
        if self._open >= self._limits.most:
            raise PageError(503, text("sign_in.busy"))
        await self._feed.look()
        query = visit.request.query_params
        cards = query.get("cards") == "1"
        shown = visit.request.headers.get("last-event-id") or query.get("shows", "")
        wish = Wish(shown, cards, query.get("only", ""))
        headers = {"x-accel-buffering": "no"}  # nginx would keep events back
        return StreamingResponse(self._tell(visit, wish), media_type="text/event-stream", headers=headers)

    async def _tell(self, visit: Visit, wish: Wish) -> AsyncIterator[str]:
        self._open += 1
        try:
            async with self._feed.watched():
                yield f"retry: {RETRY_MS}\n\n"
                async for event in self._news(visit, wish):
                    yield event
        finally:
            self._open -= 1

    async def _news(self, visit: Visit, wish: Wish) -> AsyncIterator[str]:
        now, checked_at, seen = self._feed.snapshot, time.monotonic(), Seen(wish.shown)
        while not self._feed.closed:
            shown = now.only(wish.only) if wish.only else now
            if changes := seen.compare(shown):
                yield await asyncio.to_thread(self._event, visit, shown, changes, wish)
            before, now = now, await self._feed.news(now, self._limits.heartbeat_s)
            if now is before:
                yield ": still here\n\n"
            if time.monotonic() - checked_at >= self._limits.heartbeat_s:
                checked_at = time.monotonic()
                if not await self._signed_in(visit):
                    yield _framed("news", self._web.piece("signed_out.html", visit, {}))
                    yield _framed("bye", "bye")
                    return

    async def _signed_in(self, visit: Visit) -> bool:
        """As somebody who may still see what this page shows."""
        try:
            user = await self._web.sessions.user(visit.secret, time.time())
        except StoreError:  # then it is looked at the next time
            return True
        return user == visit.user

    def _event(self, visit: Visit, now: Snapshot, changes: Changes, wish: Wish) -> str:
        cards = wish.cards
        if wish.only and changes.whole:  # there is one card, and its place
            changes = Changes(changed=changes.added, counts=changes.counts)
        parts = {
            name: [view(visit, card) for card in getattr(changes, name)] if cards else []
            for name in ("added", "changed", "spoken")
        }
        values = {**parts, "now": now, "whole": changes.whole and cards, "tiles": not cards}
        return _framed("news", self._web.piece("news.html", visit, values), now.digest)


def _framed(name: str, data: str, digest: str = "") -> str:
    """One event as the HTML standard has it (section 9.2)."""
    lines = [f"event: {name}", *(f"data: {line}" for line in data.splitlines())]
    return "\n".join([*lines, *([f"id: {digest}"] if digest else [])]) + "\n\n"
