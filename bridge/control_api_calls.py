"""Live calls over the API (control_api.py): who talks now, one call's record, and an operator's hands on it.

    GET  /api/v1/calls                     live calls, the newest first, and whether their workers are connected
    GET  /api/v1/calls/{id}                record, timeline, events; also of calls that are over
    POST /api/v1/calls/{id}/hang_up        {"reason"}
    POST /api/v1/calls/{id}/transfer       {"target"}                      blind, REFER
    POST /api/v1/calls/{id}/warm_transfer  {"target", "summary"}           the target is asked first
    POST /api/v1/calls/{id}/supervise      {"target", "mode": listen | whisper | join} or {"target", "stop": true}
    POST /api/v1/calls/{id}/take_over      {"target"}                      they talk alone
    POST /api/v1/calls/{id}/hand_back      {"note"}                        the agent has the caller again
    POST /api/v1/calls/{id}/whisper        {"text", "now"}                 to the agent alone
    POST /api/v1/calls/{id}/recording      {"action": pause | resume}
    POST /api/v1/calls/{id}/hand_off       {"agent", "note"}
    GET  /api/v1/queues                    who waits where, and who is parked

An id may be cut to its beginning (four characters at least). 200: the call did it; 400 the body; 404, 409 which call;
422 the call's own reason; 429 too much at once; 503 its worker is away; 504 no answer in time (control_hands.py).
Acting takes the right `calls`, numbers and words the right `personal`. The record has an event `command` with `by`.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bridge.control_api import ApiError, ApiRoute, Call, Handler, Terms, get, post
from bridge.control_api_call_docs import DOCS, WHICH
from bridge.control_api_docs import ANYTHING, TEXT, Doc, one_of, thing
from bridge.control_hands import KINDS, MAX_LIVE, Hands, Order, single
from bridge.errors import OrderError
from bridge.records.cdr import CallRecord
from bridge.records.public import bare, hidden, whole
from bridge.records.timeline import build
from bridge.store.store import Store

BASE = "/api/v1/calls"
MAX_COMMAND_BYTES = 8 * 1024
SLACK_S = 5.0
_ID = re.compile(r"[0-9a-f]{4,32}")
_ACTED = thing(
    {"call_id": TEXT, "done": one_of(*KINDS)}, recording=ANYTHING, paused=ANYTHING, changed=ANYTHING
)


@dataclass(frozen=True, slots=True)
class CallsDeps:
    """`queues`: who waits, on every node."""

    store: Store
    hands: Hands
    queues: Callable[[], Mapping[str, Any]]


class CallsApi:
    """The handlers."""

    def __init__(self, deps: CallsDeps) -> None:
        self._deps = deps

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        acting = [
            post(
                f"{BASE}/{{id}}/{kind}",
                "calls",
                self._acting(kind),
                Doc(one.summary, _ACTED, one.body, refuses=(*WHICH, 422), details=one.details),
                Terms(max_body=MAX_COMMAND_BYTES, deadline_s=one.deadline_s + SLACK_S),
            )
            for kind, one in KINDS.items()
        ]
        return [
            get(BASE, "look", self._live, DOCS["live"]),
            get(f"{BASE}/{{id}}", "look", self._one, DOCS["one"]),
            *acting,
            get("/api/v1/queues", "look", self._queues, DOCS["queues"]),
        ]

    async def _live(self, call: Call) -> Mapping[str, Any]:
        records, boots = await self._deps.store.live(MAX_LIVE), self._deps.hands.connected()
        return {
            "calls": [line(one, one.boot in boots, personal=call.may("personal")) for one in records],
            "complete": len(records) < MAX_LIVE,
        }

    async def _one(self, call: Call) -> Mapping[str, Any]:
        prefix = _id(call)
        try:
            record = single(prefix, await self._deps.store.find(prefix))
        except OrderError as error:
            raise _told(error) from None
        events = await self._deps.store.events(record.call_id)
        timeline = await asyncio.to_thread(build, events)
        if not call.may("personal"):
            return {"record": hidden(record), "timeline": bare(timeline)}
        return {"record": whole(record), "timeline": asdict(timeline), "events": [asdict(e) for e in events]}

    async def _queues(self, _call: Call) -> Mapping[str, Any]:
        return self._deps.queues()

    def _acting(self, kind: str) -> Handler:
        async def act(call: Call) -> Mapping[str, Any]:
            try:
                return await self._deps.hands.do(Order(_id(call), kind, call.body, call.user.name, call.how))
            except OrderError as error:
                raise _told(error) from None

        return act


def _told(error: OrderError) -> ApiError:
    return ApiError(error.status, str(error), **({"calls": list(error.calls)} if error.calls else {}))


def line(record: CallRecord, connected: bool, *, personal: bool) -> dict[str, Any]:
    """One live call in a list. `connected`: its worker is there, so that it can be acted on."""
    plain = whole(record) if personal else hidden(record)
    names = ("direction", "route", "agent", "node", "worker", "state", "answered_at")
    return {
        "id": record.call_id,
        "from": plain["from_uri"],
        "to": plain["to_uri"],
        "since": record.started_at,
        "connected": connected,
        **{name: plain[name] for name in names},
    }


def _id(call: Call) -> str:
    found = call.path["id"].lower()
    if not _ID.fullmatch(found):
        raise ApiError(400, "this is no call's id, nor its beginning: 4 to 32 of the characters 0-9, a-f")
    return found
