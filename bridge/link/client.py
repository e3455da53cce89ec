"""The worker's end of the link: events are on disk first, the rest is catching up.

    call ──emit──► spool file ──read──► socket ──► control
                        ▲                             │
                        └────────── ack(seq) ◄────────┘   all acked: the file is emptied

When control is away `run` reconnects with backoff and `emit` goes on writing; on return everything after
the last ack goes out again in order, and control drops what it already has by (boot, seq). Requests need
control: without it they fail at once with a clear LinkError, so that the call can say something to the
caller.

Worker-safe: standard library, websockets, structlog. Everything here runs on the worker's one loop.
"""

import asyncio
import contextlib
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from bridge.errors import LinkError
from bridge.link.messages import (
    MAX_MESSAGE_BYTES,
    Ack,
    CallCommand,
    Drain,
    Event,
    Glimpse,
    HangUp,
    Hello,
    JsonObject,
    PlaceCall,
    PlanPush,
    Registrar,
    Reply,
    Request,
    Status,
    ToolUpdate,
    Watch,
    decode,
    encode,
)
from bridge.link.outbox import Outbox
from bridge.link.spool import Spool, spool_path

log = structlog.get_logger(__name__)

MAX_GLIMPSES = 64
"""What is on its way in calls, and waits to be sent: of four calls some seconds of it."""


@dataclass(frozen=True, slots=True)
class LinkDeadlines:
    """Seconds. `retry_min_s` doubles up to `retry_max_s` between connection attempts.

    Events come in bunches (an answer's end is four of them), and control stores them ten times a second: those of
    `gather_s` go together.
    """

    open_s: float = 5.0
    send_s: float = 5.0
    gather_s: float = 0.02
    retry_min_s: float = 0.1
    retry_max_s: float = 2.0
    status_s: float = 5.0


@dataclass(frozen=True, slots=True)
class LinkHandlers:
    """What the worker does with control's words. Called on the loop; they return quickly."""

    plan: Callable[[str], None]
    """The text of `Plan.to_json`."""
    drain: Callable[[], None]
    hang_up: Callable[[str, str], None]
    tool_update: Callable[[str, str, Mapping[str, Any]], None]
    call_command: Callable[[CallCommand], None]
    facts: Callable[[], Mapping[str, Any]]
    """Now: `sip_port`, `plan_version`, `calls`, `pool`, `draining`, and any counters; those five go into Hello, all
    into Status.
    """
    place_call: Callable[[PlaceCall], None] = lambda _order: None
    registrar: Callable[[bool], None] = lambda _on: None
    """Whether this worker registers the plan's trunks."""
    watch: Callable[[str, float], None] = lambda _call_id, _seconds: None
    """Somebody looks at a call, for so many seconds."""


@dataclass(slots=True)
class LinkCounters:
    """What happened on the link since the process started."""

    emitted: int = 0
    connects: int = 0
    disk_errors: int = 0
    bad_messages: int = 0


def new_boot() -> str:
    """A name for this life of a process: the supervisor's (BRIDGE_BOOT), else `<unix ms in hex>_<pid>`."""
    return os.environ.get("BRIDGE_BOOT") or f"{int(time.time() * 1000):011x}_{os.getpid()}"


class LinkClient:
    """One per worker process. `run` lives as long as the worker; `emit` works before, during and after it.

    Raises LinkError when the spool cannot be opened: a worker that cannot keep records takes no calls.
    """

    def __init__(
        self,
        socket_path: Path,
        worker: int,
        spool_dir: Path,
        handlers: LinkHandlers,
        *,
        boot: str | None = None,
        deadlines: LinkDeadlines | None = None,
    ) -> None:
        self.worker = worker
        self.boot = boot or new_boot()
        self.counters = LinkCounters()
        self._socket_path = socket_path
        self._handlers = handlers
        self._deadlines = deadlines or LinkDeadlines()
        self._spool = Spool(spool_path(spool_dir, worker, self.boot))
        self._outbox = Outbox()
        self._losing: set[str] = set()
        self._seq = itertools.count(1)
        self._request_ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[JsonObject]] = {}
        self._connection: ClientConnection | None = None
        self._there = asyncio.Event()
        self._work = asyncio.Event()
        self._news = asyncio.Event()
        self._glimpses: deque[Glimpse] = deque(maxlen=MAX_GLIMPSES)
        self._glimpsed = asyncio.Event()
        self._delivered = asyncio.Event()
        self._delivered.set()

    @property
    def connected(self) -> bool:
        """Whether control is there now."""
        return self._connection is not None

    @property
    def refused(self) -> int:
        """Events lost because the spool was full or the disk would not take them."""
        return self._outbox.refused + self.counters.disk_errors

    def emit(self, call_id: str, event_type: str, data: Mapping[str, Any]) -> None:
        """Keep one event for ever, then get it to control. Never waits, never raises; loop thread only."""
        event = Event(
            next(self._seq), self.boot, call_id, event_type, time.time(), time.monotonic(), dict(data)
        )
        line = encode(event).encode() + b"\n"
        if not self._outbox.admit(event_type, len(line)):
            self._lost("the spool is full", event)
            return
        if not self._spool.append(line):
            self.counters.disk_errors += 1
            self._lost("the disk took no write", event)
            return
        self._outbox.appended(len(line))
        self.counters.emitted += 1
        self._delivered.clear()
        self._work.set()

    def _lost(self, reason: str, event: Event) -> None:
        """Told once for each reason, until control has everything again: there may be fifty a second."""
        if reason not in self._losing:
            self._losing.add(reason)
            path = str(self._spool.path)
            log.error("event.lost", reason=reason, call_id=event.call_id, event_type=event.type, path=path)

    async def request(self, kind: str, data: Mapping[str, Any], deadline_s: float) -> JsonObject:
        """Ask control and wait for its answer.

        Raises LinkError: control is away, refused (its sentence is the error, `fatal` when it is of no use to
        ask again), or was silent for `deadline_s`.
        """
        connection = self._connection
        if connection is None:
            raise LinkError(f"control is away, cannot ask it for {kind!r}")
        request_id = next(self._request_ids)
        answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            async with asyncio.timeout(deadline_s):
                await connection.send(encode(Request(request_id, kind, dict(data))))
                return await answer
        except TimeoutError:
            raise LinkError(f"control did not answer {kind!r} within {deadline_s:g} s", unsure=True) from None
        except WebSocketException as error:
            raise LinkError(f"control went away while it was asked for {kind!r}", unsure=True) from error
        finally:
            self._waiting.pop(request_id, None)

    async def there(self, deadline_s: float) -> bool:
        """Wait until control is there. False: not within `deadline_s`."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._there.wait()
        except TimeoutError:
            return False
        return True

    async def delivered(self, deadline_s: float) -> bool:
        """Wait until control has every event so far. False: not within `deadline_s`."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._delivered.wait()
        except TimeoutError:
            return False
        return True

    def glimpse(self, call_id: str, data: Mapping[str, Any]) -> None:
        """Tell control what is on its way, if it is there. Never waits, never raises; the oldest gives way."""
        if self._connection is not None:
            self._glimpses.append(Glimpse(call_id, dict(data)))
            self._glimpsed.set()

    def say_status(self) -> None:
        """Tell control the facts now rather than in some seconds: something worth knowing has changed."""
        self._news.set()

    def close(self) -> None:
        """Let go of the spool; what control has not got stays on disk and control adopts it."""
        self._spool.close()

    async def run(self) -> None:
        """Keep a connection to control for ever; ends only by cancellation."""
        delay_s = self._deadlines.retry_min_s
        while True:
            try:
                async with self._connect() as connection:
                    delay_s = self._deadlines.retry_min_s
                    await self._serve(connection)
            except* (OSError, TimeoutError, WebSocketException, InvalidHandshake) as group:
                if delay_s == self._deadlines.retry_min_s:  # once for each time it goes away
                    log.warning("link.down", reason=str(group.exceptions[0])[:200])
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, self._deadlines.retry_max_s)

    def _connect(self) -> connect:
        return unix_connect(
            str(self._socket_path),
            "ws://control/link",
            compression=None,
            open_timeout=self._deadlines.open_s,
            max_size=MAX_MESSAGE_BYTES,
        )

    async def _serve(self, connection: ClientConnection) -> None:
        facts = self._handlers.facts()
        hello = Hello(
            worker=self.worker,
            boot=self.boot,
            pid=os.getpid(),
            sip_port=int(facts["sip_port"]),
            plan_version=str(facts["plan_version"]),
            calls=int(facts["calls"]),
            pool=str(facts.get("pool", "narrow")),
            draining=bool(facts.get("draining")),
        )
        await self._send(connection, encode(hello))
        self.counters.connects += 1
        self._connection = connection
        self._there.set()
        self._work.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_events(connection))
                tasks.create_task(self._send_status(connection))
                tasks.create_task(self._send_glimpses(connection))
                tasks.create_task(self._receive(connection))
        finally:
            self._connection = None
            self._there.clear()
            self._outbox.disconnected()
            self._fail_waiting()

    async def _send(self, connection: ClientConnection, text: str) -> None:
        async with asyncio.timeout(self._deadlines.send_s):
            await connection.send(text)

    async def _send_events(self, connection: ClientConnection) -> None:
        while True:
            await self._work.wait()
            await asyncio.sleep(self._deadlines.gather_s)
            self._work.clear()
            while span := self._outbox.unsent():
                lines = self._spool.read(span.start, span.events)
                if not lines:
                    log.error("spool.cut", path=str(self._spool.path))
                    self._spool.clear()
                    self._outbox.emptied()
                for line in lines:
                    message = decode(line)
                    self._outbox.sent(message.seq if isinstance(message, Event) else 0, len(line))
                    await self._send(connection, line[:-1].decode("ascii"))

    async def _send_status(self, connection: ClientConnection) -> None:
        while True:
            link = {
                "backlog_bytes": self._outbox.backlog_bytes,
                "refused": self.refused,
                "connects": self.counters.connects,
            }
            self._news.clear()
            await self._send(connection, encode(Status({**self._handlers.facts(), "link": link})))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._deadlines.status_s):
                    await self._news.wait()

    async def _send_glimpses(self, connection: ClientConnection) -> None:
        while True:
            await self._glimpsed.wait()
            self._glimpsed.clear()
            while self._glimpses:
                await self._send(connection, encode(self._glimpses.popleft()))

    async def _receive(self, connection: ClientConnection) -> None:
        while True:
            text = await connection.recv()
            try:
                message = decode(text)
            except LinkError as error:
                self.counters.bad_messages += 1
                log.warning("link.bad_message", reason=str(error))
                continue
            self._take(message)

    def _take(self, message: Any) -> None:
        match message:
            case Ack(seq=seq):
                if self._outbox.acked(seq):
                    self._losing.clear()
                    self._spool.clear()
                    self._delivered.set()
                elif self._outbox.unsent():  # the window was full
                    self._work.set()
            case PlanPush(plan=plan):
                self._handlers.plan(plan)
            case Reply(id=request_id):
                self._answer(message, self._waiting.get(request_id))
            case Drain():
                self._handlers.drain()
            case Registrar(on=on):
                self._handlers.registrar(on)
            case _:
                self._take_of_call(message)

    def _take_of_call(self, message: Any) -> None:
        match message:
            case HangUp(call_id=call_id, reason=reason):
                self._handlers.hang_up(call_id, reason)
            case ToolUpdate(call_id, function_call_id, data):
                self._handlers.tool_update(call_id, function_call_id, data)
            case CallCommand():
                self._handlers.call_command(message)
            case PlaceCall():
                self._handlers.place_call(message)
            case Watch(call_id=call_id, seconds=seconds):
                self._handlers.watch(call_id, seconds)

    def _answer(self, reply: Reply, waiting: asyncio.Future[JsonObject] | None) -> None:
        if waiting is None or waiting.done():
            return
        if reply.ok:
            waiting.set_result(reply.data)
        else:
            waiting.set_exception(LinkError(reply.error, fatal=reply.fatal))

    def _fail_waiting(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LinkError("control went away before it answered", unsure=True))
