"""Recordings from one node's control to another's, so that any console plays those of all.

    browser ─► console of node a ─GET /node/recordings/{id}, a ticket─► control of node b ─► its own folder
          ◄── the WAV, or a part of it ◄──────────────────────────────────────┘

Asked is only a node that says where (node.url), in words that carry the seal of the nodes' common key, as commands do.
A ticket is sealed too: for one recording of one node, two minutes long, once; one that is older than the control that
gets it counts for spent. Whoever has no such key gets nothing, and learns nothing. What somebody may hear was looked at
where they are signed in. Nothing is kept here; a few at a time, each as slowly as its listener reads it. Runs on
control's loop.
"""

import asyncio
import base64
import binascii
import contextlib
import json
import re
import secrets
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import httpx
import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bridge.approval.signing import seal, sealed
from bridge.console.recordings import WAV
from bridge.console.waveforms import Waveforms
from bridge.control_api import API
from bridge.control_roads import Roads
from bridge.errors import StoreError
from bridge.media.peaks import Peaks
from bridge.records.cdr import CallRecord
from bridge.store.store import Store

log = structlog.get_logger(__name__)

PATH = "/node/recordings/{id}"
SCHEME = "Node"
TICKET_S = 60.0
"""Clocks of nodes may differ by as much again."""
ROUNDED_S = 1.0
"""A ticket's time is whole seconds."""
ANSWER_S = 10.0
PEAKS_S = 25.0
"""The other node reads the whole file before it answers."""
CONNECT_S = 3.0
WHOLE_S = 1800.0
"""A browser that plays reads only as far as it plays; one that is cut off asks for the rest."""
MAX_AT_ONCE = 32
MAX_SPENT = 10_000
MAX_TICKET_CHARS = 2000
MAX_PEAKS_BYTES = 1024 * 1024
MAX_DETAIL_CHARS = 200
_ID = re.compile(r"[\w.@~+-]{1,100}")
_ASKED = ("range", "if-range")
_TOLD = ("content-length", "content-range", "accept-ranges", "etag", "last-modified")


class _FarError(Exception):
    """Why it is not to be had; what the listener is told."""


class NodeRecordings:
    """Gives this node's (`routes`), and asks for those of others (console/recordings.Far). `name`: this node.

    `roads(node)`: where another one is reached. `run` as long as control.
    """

    def __init__(
        self, name: str, store: Store, waveforms: Waveforms, key: bytes, roads: Callable[[str], Roads]
    ) -> None:
        self._name = name
        self._store = store
        self._waveforms = waveforms
        self._key = key
        self._roads = roads
        self._spent: deque[str] = deque(maxlen=MAX_SPENT)
        self._since_s = time.monotonic()
        self._asking = 0
        self._client: httpx.AsyncClient | None = None

    async def run(self) -> None:
        """Until cancelled. A proxy of the environment is not for what nodes tell each other.

        Certificates are those that the machine trusts (SSL_CERT_FILE too): nodes often have an authority of their own.
        """
        trusted = ssl.create_default_context()
        async with httpx.AsyncClient(trust_env=False, verify=trusted) as self._client:
            await asyncio.Event().wait()

    # ---- asking ----------------------------------------------------------------------------------------------

    def reached(self, node: str) -> bool:
        """Whether a node's control can be asked."""
        return node != self._name and bool(self._roads(node).control)

    def console(self, node: str) -> str:
        """Where the node's own console is; "" when nobody knows."""
        return self._roads(node).console

    def answer(self, record: CallRecord, disposition: str) -> Response:
        """The WAV from its node, in the parts that the listener asks for."""
        return _Passed(self, record, disposition)

    async def peaks(self, record: CallRecord) -> Peaks | None:
        """How loud it is; None: its node does not say."""
        try:
            async with asyncio.timeout(PEAKS_S), self.opened(record, "/peaks", {}, PEAKS_S) as answer:
                return _peaks(json.loads(await _all(answer)))
        except (_FarError, httpx.HTTPError, TimeoutError, ValueError, TypeError, KeyError) as error:
            words = {"node": record.node, "call_id": record.call_id, "reason": _why(error)}
            log.warning("node.no_peaks", **words, detail=str(error)[:MAX_DETAIL_CHARS])
            return None

    @contextlib.asynccontextmanager
    async def opened(
        self, record: CallRecord, what: str, asked: Mapping[str, str], wait_s: float = ANSWER_S
    ) -> AsyncIterator[httpx.Response]:
        """The other control's answer, of which nothing is read yet; `wait_s`: for it, and for each part of it.

        Raises _FarError, httpx.HTTPError.
        """
        road, client = self._roads(record.node).control, self._client
        if not road or client is None or self._asking >= MAX_AT_ONCE:
            raise _FarError("too many are played at a time" if road else "it cannot be reached now")
        self._asking += 1
        try:
            url = f"{road.rstrip('/')}{PATH.format(id=quote(record.call_id, safe=''))}{what}"
            ticket = self._ticket(record.node, record.call_id)
            headers = {**asked, "authorization": f"{SCHEME} {ticket}", "accept-encoding": "identity"}
            times = httpx.Timeout(wait_s, connect=CONNECT_S)
            async with client.stream("GET", url, headers=headers, timeout=times) as answer:
                if answer.status_code not in {200, 206, 416}:
                    raise _FarError(_refusals.get(answer.status_code, f"it answers {answer.status_code}"))
                yield answer
        finally:
            self._asking -= 1

    def _ticket(self, node: str, call_id: str) -> str:
        words = {
            "origin": self._name,
            "until": round(time.time() + TICKET_S),
            "once": secrets.token_hex(16),
        }
        words["seal"] = seal(self._key, _about(node, call_id), words)
        return base64.urlsafe_b64encode(json.dumps(words).encode()).decode()

    # ---- giving ----------------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        """For control's HTTP door."""
        return [
            Route(PATH, self._given(self._file), methods=["GET"]),
            Route(f"{PATH}/peaks", self._given(self._loudness), methods=["GET"]),
        ]

    def _given(self, give: Callable[[CallRecord], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            call_id = str(request.path_params["id"])
            origin = self._proved(call_id, request.headers.get("authorization", ""))
            if not origin:
                log.warning("node.recording_refused", call_id=call_id[:40])
                return PlainTextResponse("no\n", 403)
            try:
                async with asyncio.timeout(PEAKS_S):
                    found = await self._store.find(call_id)
                    record = next((one for one in found if one.call_id == call_id and one.ended_at), None)
                    answer: Response | None = await give(record) if record else None
            except (StoreError, TimeoutError):
                return PlainTextResponse("not now\n", 503)
            log.info("node.recording", call_id=call_id, origin=origin, there=answer is not None)
            return answer or PlainTextResponse("it is not here\n", 404)

        return endpoint

    async def _file(self, record: CallRecord) -> Response | None:
        path = await self._waveforms.file(record)
        return FileResponse(path, media_type=WAV) if path else None

    async def _loudness(self, record: CallRecord) -> Response | None:
        path = await self._waveforms.file(record)
        found = await self._waveforms.of(path) if path else None
        return JSONResponse(asdict(found)) if found else None

    def _proved(self, call_id: str, header: str) -> str:
        """Which node asks; "": none."""
        scheme, _, ticket = header.partition(" ")
        if scheme != SCHEME or len(ticket) > MAX_TICKET_CHARS or not _ID.fullmatch(call_id):
            return ""
        try:
            words = json.loads(base64.b64decode(ticket, altchars=b"-_", validate=True))
            if not isinstance(words, dict) or not sealed(self._key, _about(self._name, call_id), words):
                return ""
            until, once = float(words["until"]), str(words["once"])
        except (ValueError, RecursionError, KeyError, TypeError, binascii.Error):
            return ""
        late_s = time.time() - until
        here_s = time.monotonic() - self._since_s + ROUNDED_S
        if late_s + TICKET_S > here_s:  # older than we are: the control before us may have taken it
            return ""
        if once in self._spent or not -2 * TICKET_S < late_s < TICKET_S:
            return ""
        self._spent.append(once)
        return str(words.get("origin"))


_refusals = {
    403: "it does not believe this node: do the clocks of the nodes agree?",
    404: "it has no such file any more",
    503: "it cannot look now",
}


class _Passed(Response):
    """Another node's answer, passed on. What is asked for (Range) is known only when it is sent."""

    def __init__(self, far: NodeRecordings, record: CallRecord, disposition: str) -> None:
        name = f'{disposition}; filename="{record.call_id}.wav"'
        super().__init__(headers={"content-disposition": name}, media_type=WAV)
        self._far = far
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. When it breaks off midway the connection does too: nobody takes a part for the whole."""
        asked = {name: value for name, value in Headers(scope=scope).items() if name in _ASKED}
        if "," in asked.get("range", ""):  # several parts in one answer: no player wants that
            asked = {}
        begun = False
        try:
            async with asyncio.timeout(WHOLE_S), self._far.opened(self._record, "", asked) as answer:
                own = {name: value for name, value in self.headers.items() if name != "content-length"}
                theirs = {name: answer.headers[name] for name in _TOLD if name in answer.headers}
                begun = True
                body = StreamingResponse(answer.aiter_raw(), answer.status_code, {**own, **theirs})
                await body(scope, receive, send)
        except (_FarError, httpx.HTTPError, TimeoutError) as error:
            words = {"node": self._record.node, "call_id": self._record.call_id, "reason": _why(error)}
            log.warning("node.no_recording", **words, detail=str(error)[:MAX_DETAIL_CHARS])
            if begun:
                raise
            sentence = f"the recording could not be had from node {self._record.node}: {_why(error)}"
            told: Response = PlainTextResponse(sentence, 502)
            if str(scope["path"]).startswith(API):
                told = JSONResponse({"error": sentence}, 502)
            await told(scope, receive, send)


def _about(node: str, call_id: str) -> str:
    return f"recording {node} {call_id}"


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, _FarError) else f"it does not answer ({type(error).__name__})"


async def _all(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_PEAKS_BYTES:
            raise _FarError("it says too much")
    return bytes(body)


def _peaks(told: Mapping[str, Any]) -> Peaks:
    """Raises ValueError, TypeError, KeyError."""
    sides = [tuple(min(max(int(value), 0), 100) for value in told[side]) for side in ("caller", "agent")]
    if len(sides[0]) != len(sides[1]) or not sides[0]:
        raise ValueError("two rows of the same length are wanted")
    return Peaks(float(told["seconds"]), *sides)
