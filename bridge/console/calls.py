"""The pages of live calls: all of them, one of them, and an operator's hands on it.

    /console/calls          table, live        /console/calls/{id}          one call, live or just over
    /console/calls/events   its stream         /console/calls/{id}/events   its stream
    POST /console/calls/{id}/{whisper | transfer | hand_off | hand_back | recording | hang_up}

Buttons are plain forms and go the way of the API's commands (`act`). Who may not see personal data gets masked numbers
and no word. A page of a call that is over says so, and where its history is.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.console.callchannels import CallChannel, TableChannel, call_view, entry_view, row_view
from bridge.console.calltable import MAX_ROWS, SORTS, arranged
from bridge.console.callwatch import Ask, CallWatch, Watched
from bridge.console.feed import Feed
from bridge.console.hands import HANDS, SLACK_S, done_words
from bridge.console.livecalls import Boots, LiveCalls
from bridge.console.stream import Hub
from bridge.console.texts import text
from bridge.console.web import PageError, Visit, Web
from bridge.dialplan.plan import Plan
from bridge.errors import OrderError

MAX_WORDS_CHARS = 100
_ID = re.compile(r"[0-9A-Za-z._-]{1,100}")
Act = Callable[[str, str, Mapping[str, Any], str], Awaitable[Mapping[str, Any]]]
"""Have a call (id) do something (command, body), by a user's name. Raises OrderError."""
Panel = Callable[[Visit, str], Mapping[str, Any]]
"""What the seat on a call's page needs (audio.Audio.panel)."""


async def _nobody(_call_id: str, _kind: str, _body: Mapping[str, Any], _by: str) -> Mapping[str, Any]:
    raise OrderError(503, "nothing can be done with calls here")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A node: where its own console is ("": this one, or nobody knows); `deaf`: why nobody can listen from here."""

    console: str = ""
    deaf: str = ""


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What the pages of live calls need of control.

    `plan`: the one in force here; `boots`: workers that can be reached; `ask`: have a call's worker tell what is on its
    way for so many seconds; `elsewhere(node)`: what is different with a call of that node.
    """

    act: Act = _nobody
    plan: Callable[[], Plan | None] = lambda: None
    boots: Boots = frozenset
    ask: Ask = lambda _record, _seconds: None
    elsewhere: Callable[[str], Elsewhere] = lambda _node: Elsewhere()


@dataclass(frozen=True, slots=True)
class CallsDeps:
    """What the pages are made of."""

    web: Web
    feed: Feed
    hub: Hub
    calls: LiveCalls
    watch: CallWatch
    live: LiveParts


def no_seat(_visit: Visit, _call_id: str) -> Mapping[str, Any]:
    """Nobody can listen in here."""
    return {"seat_may": False}


class Calls:
    """The pages. `seat`: what seat.html needs."""

    def __init__(self, deps: CallsDeps, seat: Panel) -> None:
        self._deps = deps
        self._seat = seat
        self._web = deps.web

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        hands = [
            self._web.post(f"/calls/{{id}}/{name}", self._acting(name), "calls", hand.longest_s + SLACK_S)
            for name, hand in HANDS.items()
        ]
        return [
            self._web.get("/calls", self._all),
            self._web.get("/calls/events", self._all_events),
            self._web.get("/calls/{id}", self._one, microphone=True),
            self._web.get("/calls/{id}/events", self._one_events),
            *hands,
        ]

    # ---- all of them -----------------------------------------------------------------------------------------

    async def _all(self, visit: Visit) -> Response:
        table, query = await self._deps.calls.look(), visit.request.query_params
        words, sort = query.get("q", "")[:MAX_WORDS_CHARS], query.get("sort", "")
        sort = sort if sort.removeprefix("-") in SORTS else ""
        personal = visit.may("personal")
        rows = arranged(table.rows, sort, words, personal=personal)
        values = {
            "rows": [row_view(visit, row) for row in rows],
            "table": table,
            "most": MAX_ROWS,
            "words": words,
            "sort": sort,
            "sorts": SORTS,
            "now": self._deps.feed.snapshot,
            "here": "calls",
        }
        # A hundred rows take some milliseconds, which the links to the workers must not wait for.
        return await asyncio.to_thread(self._web.page, "calls.html", visit, values)

    async def _all_events(self, visit: Visit) -> Response:
        self._deps.hub.check(visit)
        await self._deps.calls.look()
        channel = TableChannel(self._web, self._deps.calls, self._deps.feed, visit, _shown(visit))
        return self._deps.hub.serve(visit, channel)

    # ---- one of them -----------------------------------------------------------------------------------------

    async def _one(self, visit: Visit) -> Response:
        return await self._page(visit, await self._call(visit), "", 200)

    async def _one_events(self, visit: Visit) -> Response:
        self._deps.hub.check(visit)
        watched = await self._call(visit)
        channel = CallChannel(self._web, self._deps.watch, self._deps.feed, visit, watched, _shown(visit))
        return self._deps.hub.serve(visit, channel)

    async def _call(self, visit: Visit) -> Watched:
        wanted = str(visit.request.path_params["id"])
        watched = await self._deps.watch.look(wanted) if _ID.fullmatch(wanted) else None
        if watched is None:
            raise PageError(404, text("error.not_found"))
        return watched

    def _values(self, visit: Visit, watched: Watched, said: str, *, problem: bool) -> dict[str, Any]:
        plan = self._deps.live.plan()
        agents = {agent.name: agent.hand_off_to for agent in plan.agents} if plan else {}
        connected = watched.record.boot in self._deps.live.boots()
        return {
            "call": call_view(visit, watched, connected=connected),
            "entries": [entry_view(visit, entry) for entry in watched.story.entries.values()],
            "targets": sorted(plan.transfers) if plan else [],
            "agents": sorted(agents.get(watched.story.now.agent, ())),
            "said": said,
            "problem": problem,
            "far": self._deps.live.elsewhere(watched.record.node),
            "now": self._deps.feed.snapshot,
            "here": "call",
        }

    async def _page(self, visit: Visit, watched: Watched, said: str, status: int) -> Response:
        values = self._values(visit, watched, said, problem=status != 200)
        live = watched.story.now.ended is None
        values |= (self._seat if live else no_seat)(visit, watched.record.call_id)
        return await asyncio.to_thread(self._web.page, "call.html", visit, values, status)

    def _acting(self, name: str) -> Callable[[Visit], Awaitable[Response]]:
        hand = HANDS[name]

        async def act(visit: Visit) -> Response:
            watched = await self._call(visit)
            kind, body = hand.order(visit.form)
            try:
                answer = await self._deps.live.act(watched.record.call_id, kind, body, visit.who.name)
                said, status = done_words(answer), 200
            except OrderError as error:
                said, status = text("done.not", why=str(error)), 409
            watched = await self._call(visit)
            if visit.by_script:
                values = self._values(visit, watched, said, problem=status != 200)
                return self._web.page("call_hands.html", visit, values, status)
            return await self._page(visit, watched, said, status)

        return act


def _shown(visit: Visit) -> str:
    return visit.request.headers.get("last-event-id") or visit.request.query_params.get("shows", "")
