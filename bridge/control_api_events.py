"""Events of calls and approvals as they happen, over the API (control_api.py): server-sent events for programs.

    GET /api/v1/events   ?events=call.started,call.ended   Last-Event-ID (or ?after=): go on from there

    id: c120a7           event: call.started           data: {"type", "timestamp", "data"}, as webhooks have it
    event: reset         too much was missed: look at GET /api/v1/calls and go on from here

What was missed while a client was away comes first, up to MAX_BEHIND events. Every so often a stream ends by itself and
the client comes again (EventSource does by itself); that of a token that was taken back, or of a user who may no more,
ends within seconds (console/standing.py). Runs on control's loop; each stream reads its own pages, once one look for
all of them says that there is something.
"""

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response, StreamingResponse

from bridge.console.standing import LOOK_EVERY_S, Standing
from bridge.control_api import ApiError, ApiRoute, Call, get
from bridge.control_api_docs import Doc, string
from bridge.control_events import EventWatch
from bridge.errors import StoreError
from bridge.records.announce import CALL, EVENTS, Told, payload, wanted
from bridge.store.eventstore import Position
from bridge.store.userstore import UserStore

PATH = "/api/v1/events"
RETRY_MS = 2000
PAGE = 100
_ID = re.compile(r"c(\d{1,18})a(\d{1,18})")
DOC = Doc(
    "Events of calls and approvals as they happen, as server-sent events.",
    {"type": "string"},
    query={
        "events": string(400),
        "after": string(40),
    },
    refuses=(400,),
    details=f"`events`: names, separated by commas: {', '.join(EVENTS)}; all when left out. `after`, or the header "
    "Last-Event-ID: go on after this id; an event `reset` says that too much was missed. transcript only for who may "
    "see personal data.",
    media="text/event-stream",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """`most` streams at a time, of the door's connections. `behind`: events that a client may have missed."""

    most: int = 40
    heartbeat_s: float = 15.0
    look_s: float = LOOK_EVERY_S
    longest_s: float = 900.0
    behind: int = 20_000


class EventsApi:
    """The stream."""

    def __init__(self, watch: EventWatch, users: UserStore, limits: Limits | None = None) -> None:
        self._watch = watch
        self._limits = limits or Limits()
        self._standing = Standing(users.holders, self._limits.look_s)
        self._open = 0

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        return [get(PATH, "look", self._events, DOC)]

    async def _events(self, call: Call) -> Response:
        names = frozenset(name for name in call.query.get("events", "").split(",") if name)
        unknown = sorted(names - {*EVENTS})
        if unknown:
            raise ApiError(400, f"there is no event {unknown[0][:40]!r}; there are: {', '.join(EVENTS)}")
        given = call.last_event_id or call.query.get("after", "")
        found = _ID.fullmatch(given)
        if given and found is None:
            raise ApiError(400, "this is no id of an event: such as c120a7")
        if self._open >= self._limits.most:
            raise ApiError(429, f"{self._limits.most} streams are open already")
        after = Position(int(found[1]), int(found[2])) if found else None
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        events = self._tell(call, names, after)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _tell(self, call: Call, names: frozenset[str], after: Position | None) -> AsyncIterator[str]:
        if self._open >= self._limits.most:  # others began meanwhile
            return
        self._open += 1
        try:
            with self._standing.open(call.token, call.user):
                async with self._watch.watched():
                    yield f"retry: {RETRY_MS}\n\n"
                    async for piece in self._pages(call, names, after):
                        yield piece
        finally:
            self._open -= 1

    async def _pages(self, call: Call, names: frozenset[str], after: Position | None) -> AsyncIterator[str]:
        limits, began = self._limits, time.monotonic()
        place, fresh = await self._begin(after)
        if not fresh:
            yield _framed("reset", {"missed": True}, place)
        known, quiet_since = None, began
        while not self._watch.closed and time.monotonic() - began < limits.longest_s:
            now = await self._watch.news(known, min(limits.look_s, limits.heartbeat_s))
            if not await self._still(call):
                return
            if now is not None and now != known:
                known = now
                async for piece, reached in self._up_to(now, place, call, names):
                    place = reached
                    if piece:
                        yield piece
                        quiet_since = time.monotonic()
                if _behind(place, now):  # the client comes again, with the id it has
                    return
            if time.monotonic() - quiet_since >= limits.heartbeat_s:
                quiet_since = time.monotonic()
                yield ": still here\n\n"

    async def _up_to(
        self, now: Position, place: Position, call: Call, names: frozenset[str]
    ) -> AsyncIterator[tuple[str, Position]]:
        """Pieces, each with the place behind it. It ends before `now` where the store is away, or they may no more."""
        personal = call.may("personal")
        while _behind(place, now) and await self._still(call):  # much was missed, or it is read slowly
            try:
                told, reached = await self._watch.store.between(place, now, PAGE)
            except StoreError:
                return
            for one in sorted(told, key=lambda one: (one.source != CALL, one.number)):
                place = _beyond(place, reached, one)
                if wanted(one, names, personal=personal):
                    yield _framed_told(one, place, personal=personal), place
            place = reached
            yield "", place

    async def _begin(self, after: Position | None) -> tuple[Position, bool]:
        """Where to begin, and whether nothing was missed before it."""
        head = await self._watch.store.head()
        if after is None:
            return head, True
        ahead = after.calls > head.calls or after.audit > head.audit
        behind = max(head.calls - after.calls, head.audit - after.audit)
        return (after, True) if not ahead and behind <= self._limits.behind else (head, False)

    async def _still(self, call: Call) -> bool:
        """Whether it is still somebody who may see what this stream shows; by the socket comes only who owns it."""
        return not call.token or await self._standing.still(call.token, call.user)


def _behind(place: Position, now: Position) -> bool:
    return place.calls < now.calls or place.audit < now.audit


def _beyond(place: Position, reached: Position, told: Told) -> Position:
    """The place behind this event: calls come first on a page, then the audit."""
    if told.source == CALL:
        return Position(told.number, place.audit)
    return Position(reached.calls, told.number)


def _framed_told(told: Told, place: Position, *, personal: bool) -> str:
    body = payload(told, personal=personal)
    return _framed(str(body["type"]), body, place)


def _framed(name: str, data: Mapping[str, Any], place: Position) -> str:
    """One event as the HTML standard has it (section 9.2); JSON has no line ends in it."""
    return f"id: {place}\nevent: {name}\ndata: {json.dumps(data, default=str)}\n\n"
