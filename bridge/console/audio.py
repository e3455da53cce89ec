"""Listen in, take over, hand back, and call: what a page with a seat posts. Answers are JSON, for static/seat.js.

    GET  /console/calls/{id}/listen  the seat in a window of its own; a call's page has it too (`panel`)
    POST /console/calls/{id}/seat    {offer, mode}    ─► seat, answer      right `calls`, and `personal`: it is heard
    POST /console/seats/{id}/mode    {mode: listen | whisper | join}
    POST /console/seats/{id}/take-over    /hand-back {note}    /leave
    GET  /console/phone              POST /console/phone/call {offer, number, caller}   right `dial`

What is decided here: nothing. Roles are MAY's, what a call does is its worker's, who is asked is control's (Voice).
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from bridge.console.seats import Seat, SeatLimits, Seats
from bridge.console.texts import TEXTS, text
from bridge.console.web import PageError, Visit, Web
from bridge.errors import OrderError, SeatError
from bridge.media.seatwire import KEY_BYTES
from bridge.seat.order import Dial, Ice, Listen, Order, located, unusable
from bridge.store.userstore import User

log = structlog.get_logger(__name__)

MODES = ("listen", "whisper", "join")
MAX_NOTE_CHARS = 500
ORDER_S = 50.0
"""For what a call may take 40 s for (control_hands.py), and then has words about."""
OPEN_S = 50.0
"""The call's answer, and then the process's."""
_PLAIN = ("seat.microphone_on", "seat.microphone_off", "seat.mute", "seat.unmute", "seat.over")
SAID = (*_PLAIN, *(name for name in TEXTS if name.startswith(("seat.is.", "seat.wrong."))))
"""The words of static/seat.js."""
_CALL = re.compile(r"[0-9a-f]{4,32}")
_NUMBER = re.compile(r"[A-Za-z0-9+*#._-]{1,64}")
Do = Callable[[Visit], Awaitable[Mapping[str, Any]]]


class Voice(Protocol):
    """What seats need of control."""

    async def order(self, call_id: str, kind: str, body: Mapping[str, Any], by: str) -> Mapping[str, Any]:
        """Have a live call do something (control_hands.py). Raises OrderError."""

    def dial(self, seat_id: str, user: User, number: str, caller: str) -> Dial:
        """A call to this bridge (control_seats.py). Raises SeatError."""


@dataclass(frozen=True, slots=True)
class AudioDeps:
    """`ice`: how browsers reach us."""

    voice: Voice
    ice: Ice = field(default_factory=Ice)
    limits: SeatLimits = field(default_factory=SeatLimits)


class Audio:
    """The handlers. `seats` has the processes."""

    def __init__(self, web: Web, seats: Seats, deps: AudioDeps) -> None:
        self._web = web
        self._seats = seats
        self._deps = deps

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        web, post = self._web, self._web.post
        return [
            web.get("/phone", self._phone, "dial", microphone=True),
            post("/phone/call", self._json(self._call), "dial", OPEN_S),
            web.get("/calls/{id}/listen", self._page, "calls", microphone=True),
            post("/calls/{id}/seat", self._json(self._listen), "calls", OPEN_S),
            post("/seats/{seat}/mode", self._json(self._mode), "calls"),
            post("/seats/{seat}/take-over", self._json(self._take_over), "calls", ORDER_S),
            post("/seats/{seat}/hand-back", self._json(self._hand_back), "calls", ORDER_S),
            post("/seats/{seat}/leave", self._json(self._leave), "look"),
        ]

    def panel(self, visit: Visit, call_id: str) -> Mapping[str, Any]:
        """What templates/seat.html needs on the page of a live call; makes a process ready. `seat_may`: show it."""
        may = visit.may("calls") and visit.may("personal") and self._deps.limits.most > 0
        if may:
            self._seats.warm()
        return {
            "seat_may": may,
            "seat_call": call_id,
            "seat_ice": self._ice() if may else "[]",
            "seat_words": words(),
        }

    def _ice(self) -> str:
        """`iceServers` of an RTCPeerConnection (W3C WebRTC), as JSON."""
        servers = [
            {"urls": one.url, **({"username": one.user, "credential": one.password} if one.user else {})}
            for one in self._deps.ice.servers
        ]
        return json.dumps(servers)

    async def _phone(self, visit: Visit) -> Response:
        self._seats.warm()
        number = visit.request.query_params.get("number", "")
        values = {"here": "phone", "seat_ice": self._ice(), "seat_words": words(), "number": number}
        return self._web.page("phone.html", visit, values)

    async def _page(self, visit: Visit) -> Response:
        """The seat alone, in a window of its own."""
        call_id = str(visit.request.path_params["id"])
        if not _CALL.fullmatch(call_id):
            raise PageError(404, text("error.not_found"))
        return self._web.page("listen.html", visit, {"call_id": call_id, **self.panel(visit, call_id)})

    def _json(self, do: Do) -> Callable[[Visit], Awaitable[Response]]:
        async def handler(visit: Visit) -> Response:
            try:
                return JSONResponse(dict(await do(visit)))
            except (SeatError, OrderError, PageError) as error:
                return JSONResponse({"error": str(error)}, error.status)

        return handler

    # ---- what a page wants -----------------------------------------------------------------------------------

    async def _listen(self, visit: Visit) -> Mapping[str, Any]:
        call_id, mode = str(visit.request.path_params["id"]), visit.form.get("mode", MODES[0])
        if not visit.may("personal"):
            raise SeatError(text("seat.not_personal"), 403)
        if not _CALL.fullmatch(call_id) or mode not in MODES:
            raise SeatError(text("seat.odd"), 400)
        offer = _offer(visit)
        seat = self._seats.reserve(visit.who, visit.secret, "calls")
        try:
            key = secrets.token_hex(KEY_BYTES)
            body = {"target": f"seat:{seat.id}", "key": key, "mode": mode}
            found = await self._deps.voice.order(call_id, "seat", body, visit.who.name)
            seat.call_id = str(found["call_id"])
            listen = Listen(str(found["address"]), key, int(found["rate_hz"]))
            answer = await self._seats.open(seat, Order(offer, self._deps.ice, listen=listen))
        except BaseException:
            self._seats.forget(seat)
            raise
        return {"seat": seat.id, "answer": answer}

    async def _call(self, visit: Visit) -> Mapping[str, Any]:
        number, caller = visit.form.get("number", "").strip(), visit.form.get("caller", "").strip()
        if not _NUMBER.fullmatch(number) or not _NUMBER.fullmatch(caller or "console"):
            raise SeatError(text("phone.bad_number"), 400)
        offer = _offer(visit)
        seat = self._seats.reserve(visit.who, visit.secret, "dial")
        try:
            dial = self._deps.voice.dial(seat.id, visit.who, number, caller or "console")
            answer = await self._seats.open(seat, Order(offer, self._deps.ice, dial=dial))
        except BaseException:
            self._seats.forget(seat)
            raise
        return {"seat": seat.id, "answer": answer}

    async def _mode(self, visit: Visit) -> Mapping[str, Any]:
        mode = visit.form.get("mode", "")
        if mode not in MODES:
            raise SeatError(text("seat.odd"), 400)
        await self._order(visit, "seat", {"target": "", "mode": mode})
        return {"mode": mode}

    async def _take_over(self, visit: Visit) -> Mapping[str, Any]:
        await self._order(visit, "seat_take_over", {"target": ""})
        return {"mode": "alone"}

    async def _hand_back(self, visit: Visit) -> Mapping[str, Any]:
        note = " ".join(visit.form.get("note", "").split())[:MAX_NOTE_CHARS]
        await self._order(visit, "hand_back", {"note": note} if note else {})
        return {"mode": "listen"}

    async def _leave(self, visit: Visit) -> Mapping[str, Any]:
        self._mine(visit).end()
        return {"mode": "gone"}

    async def _order(self, visit: Visit, kind: str, body: Mapping[str, Any]) -> None:
        seat = self._mine(visit)
        if not seat.call_id:  # "" is the beginning of every call's id
            raise SeatError(text("seat.no_call"), 409)
        if "target" in body:
            body = {**body, "target": f"seat:{seat.id}"}
        await self._deps.voice.order(seat.call_id, kind, body, visit.who.name)

    def _mine(self, visit: Visit) -> Seat:
        return self._seats.find(str(visit.request.path_params["seat"]), visit.who)


def words() -> str:
    """Every word of static/seat.js, as JSON: `seat.is.idle` is found as is.idle."""
    found: dict[str, Any] = {}
    for name in SAID:
        *groups, last = name.split(".")[1:]
        place = found
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = TEXTS[name]
    return json.dumps(found)


def _offer(visit: Visit) -> str:
    offer = visit.form.get("offer", "")
    if why := unusable(offer):
        raise SeatError(why, 400)
    return located(offer, visit.address)
