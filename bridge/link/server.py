"""Control's end of the link: a Unix socket on which every worker of the node has one connection.

    worker ──Event──► bounded queue ──batches──► handlers.store ──committed──► Ack(last seq)
           ──Request─► handlers.answer ──► Reply

An event is acked only after `handlers.store` returned, so a locked or full database loses nothing: the
batch is tried again, the queue fills, the socket stops being read, and the worker keeps its events on
disk. The socket is created with mode 0600, for a `group` 0660. Holds no rule about calls; runs on control's loop.
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import structlog
from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from bridge.beat import beat
from bridge.errors import BridgeError, LinkError, StoreError
from bridge.link.messages import (
    MAX_MESSAGE_BYTES,
    Ack,
    Drain,
    Event,
    Glimpse,
    HangUp,
    Hello,
    JsonObject,
    Message,
    PlanPush,
    Registrar,
    Reply,
    Request,
    Status,
    decode,
    encode,
)

log = structlog.get_logger(__name__)

HANDOVER_S = 1.5
"""From the word that a worker registers no more to the word that another does: an un-REGISTER that arrived after the
other's REGISTER would remove it, their Contact is one."""
BATCH = 200
"""Events in one transaction; also the bound of a connection's queue is twice this."""


class ServerHandlers(Protocol):
    """What control does with what workers say."""

    async def store(self, worker: int, events: Sequence[Event]) -> None:
        """Commit these events of one boot; those it has already are skipped. StoreError: try again later."""

    async def answer(self, kind: str, data: Mapping[str, Any], hello: Hello) -> JsonObject:
        """Answer a request of this worker. A BridgeError becomes the Reply's error sentence."""

    def gone(self, hello: Hello) -> None:
        """The connection of this worker ended, for whatever reason."""

    def glimpse(self, hello: Hello, call_id: str, data: JsonObject) -> None:
        """What is on its way in a call that somebody looks at. LinkError: it is no call of this worker's."""

    def status(self, hello: Hello, before: JsonObject, now: JsonObject) -> None:
        """A worker told its counters; `before` is what it told last, empty the first time."""


@dataclass(frozen=True, slots=True)
class ServerDeadlines:
    """Seconds."""

    hello_s: float = 5.0
    send_s: float = 5.0
    store_retry_s: float = 0.5
    gather_s: float = 0.1
    """Events are committed at the full tenths of a second, all workers' together; they are on the worker's disk."""


@dataclass(slots=True)
class Peer:
    """One connected worker."""

    connection: ServerConnection
    hello: Hello
    status: JsonObject = field(default_factory=dict)
    events: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(2 * BATCH))
    outgoing: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(64))
    requests: set[asyncio.Task[None]] = field(default_factory=set)

    def tell(self, message: Message) -> None:
        """Queue a word for the worker. One that reads nothing loses its connection, not our memory."""
        try:
            self.outgoing.put_nowait(message)
        except asyncio.QueueFull:
            self.connection.transport.abort()


@dataclass(slots=True)
class ServerCounters:
    """Since the start of control."""

    boots: int = 0
    """Worker processes that connected for the first time."""
    events: int = 0
    requests: int = 0
    bad_messages: int = 0
    store_retries: int = 0


class LinkServer:
    """Async context manager: serving inside the with block; after it every batch is committed and closed."""

    def __init__(
        self,
        socket_path: Path,
        handlers: ServerHandlers,
        *,
        deadlines: ServerDeadlines | None = None,
        group: int | None = None,
    ) -> None:
        self.counters = ServerCounters()
        self.plan: str | None = None
        self.store_failing_since: float | None = None
        """Monotonic seconds of the first refusal in a row; None while the store takes what it is given."""
        self._registrar: int | None = None
        self._registrar_named = False
        self._handover: asyncio.TimerHandle | None = None
        self._refusals = 0
        self._socket_path = socket_path
        self._group = group
        self._handlers = handlers
        self._deadlines = deadlines or ServerDeadlines()
        self._peers: dict[int, Peer] = {}
        self._boots: dict[int, str] = {}
        self._server: Server | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Raises LinkError when the socket cannot be made."""
        before = os.umask(0o177)
        try:
            self._server = await unix_serve(
                self._serve,
                str(self._socket_path),
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                close_timeout=2,
            )
        except OSError as error:
            hint = " (shorten state_dir)" if "too long" in str(error) else ""
            raise LinkError(f"cannot listen on {self._socket_path}: {error}{hint}") from error
        finally:
            os.umask(before)
        if self._group is not None:
            os.chown(self._socket_path, -1, self._group)
            self._socket_path.chmod(0o660)
        return self

    async def __aexit__(self, *_exit: object) -> None:
        self._stopping = True
        if self._handover is not None:
            self._handover.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._socket_path.unlink(missing_ok=True)

    def peers(self) -> list[Peer]:
        """The connected workers by index."""
        return [self._peers[worker] for worker in sorted(self._peers)]

    def boots(self) -> list[str]:
        """The worker processes that are connected."""
        return [peer.hello.boot for peer in self.peers()]

    def push_plan(self, plan: str) -> None:
        """Give this plan to every worker, now and at every new connection."""
        self.plan = plan
        for peer in self._peers.values():
            peer.tell(PlanPush(plan))

    @property
    def registrar(self) -> int | None:
        """The worker that was named to register the trunks; None: none of this node, or nobody was named."""
        return self._registrar

    def name_registrar(self, worker: int | None) -> None:
        """From now on this worker registers the plan's trunks, and the one before no more. None: none of this node.

        A worker that is not connected is told when it is. Until somebody is named workers go by their own rule: worker
        0 registers, and behind the edge nobody.
        """
        before, self._registrar = self._registrar, worker
        if self._registrar_named and worker == before:
            return
        self._registrar_named = True
        if self._handover is not None:
            self._handover.cancel()
        for peer in self._peers.values():
            if peer.hello.worker != worker:
                peer.tell(Registrar(on=False))
        wait_s = HANDOVER_S if before is not None and before in self._peers else 0.0
        self._handover = asyncio.get_running_loop().call_later(wait_s, self._tell_registrar)

    def _tell_registrar(self) -> None:
        self._handover = None
        peer = self._peers.get(self._registrar) if self._registrar is not None else None
        if peer is not None:
            peer.tell(Registrar(on=True))

    def drain(self) -> None:
        """Tell every worker to take no new calls."""
        for peer in self._peers.values():
            peer.tell(Drain())

    def hang_up(self, worker: int, call_id: str, reason: str) -> bool:
        """Tell a worker to end a call. False: that worker is not connected."""
        peer = self._peers.get(worker)
        if peer is not None:
            peer.tell(HangUp(call_id, reason))
        return peer is not None

    def tell(self, boot: str, message: Message) -> bool:
        """Say something to one worker process. False: it is not connected, so it was not told."""
        peer = next((one for one in self._peers.values() if one.hello.boot == boot), None)
        if peer is not None:
            peer.tell(message)
        return peer is not None

    def broadcast(self, message: Message) -> None:
        """Say something to every worker: the one it concerns knows."""
        for peer in self._peers.values():
            peer.tell(message)

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            async with asyncio.timeout(self._deadlines.hello_s):
                hello = decode(await connection.recv())
        except (LinkError, TimeoutError, ConnectionClosed) as error:
            log.warning("link.no_hello", reason=str(error)[:200])
            return
        if not isinstance(hello, Hello):
            log.warning("link.no_hello", got=type(hello).__name__)
            return
        peer = Peer(connection, hello)
        if self._boots.get(hello.worker) != hello.boot:
            self.counters.boots += 1
            self._boots[hello.worker] = hello.boot
        self._peers[hello.worker] = peer
        log.info("worker.connected", worker=hello.worker, boot=hello.boot, calls=hello.calls)
        if self._registrar_named and (self._handover is None or hello.worker != self._registrar):
            peer.tell(Registrar(on=hello.worker == self._registrar))
        if self.plan is not None:
            peer.tell(PlanPush(self.plan))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._store(peer))
                tasks.create_task(self._tell(peer))
                await self._listen(peer, tasks)
                self._wind_up(peer)
        finally:
            if self._peers.get(hello.worker) is peer:
                del self._peers[hello.worker]
            log.info("worker.disconnected", worker=hello.worker, boot=hello.boot)
            self._handlers.gone(hello)

    async def _listen(self, peer: Peer, tasks: asyncio.TaskGroup) -> None:
        """Until the connection ends; it ends normally, so that a commit under way is never cancelled."""
        try:
            while True:
                text = await peer.connection.recv()
                try:
                    await self._take(peer, decode(text), tasks)
                except LinkError as error:
                    self.counters.bad_messages += 1
                    log.warning("link.bad_message", worker=peer.hello.worker, reason=str(error))
        except ConnectionClosed:
            return

    async def _take(self, peer: Peer, message: Message, tasks: asyncio.TaskGroup) -> None:
        match message:
            case Event():
                if message.boot != peer.hello.boot:
                    raise LinkError(f"event of boot {message.boot} on the link of {peer.hello.boot}")
                await peer.events.put(message)
            case Request():
                task = tasks.create_task(self._answer(peer, message))
                peer.requests.add(task)
                task.add_done_callback(peer.requests.discard)
            case Glimpse(call_id=call_id, data=data):
                self._handlers.glimpse(peer.hello, call_id, data)
            case Status(data=data):
                self._handlers.status(peer.hello, peer.status, data)
                peer.status = data
            case _:
                raise LinkError(f"a worker does not send {type(message).__name__}")

    def _wind_up(self, peer: Peer) -> None:
        for task in peer.requests:
            task.cancel()
        for queue in (peer.events, peer.outgoing):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _store(self, peer: Peer) -> None:
        while (first := await peer.events.get()) is not None:
            await self._gathering()
            batch = [first]
            while len(batch) < BATCH and not peer.events.empty():
                event = peer.events.get_nowait()
                if event is None:
                    peer.events.put_nowait(None)
                    break
                batch.append(event)
            if await self._commit(peer, batch):
                self.counters.events += len(batch)
                peer.tell(Ack(batch[-1].seq))

    async def _gathering(self) -> None:
        """Until the next moment at which all links commit."""
        gather_s = self._deadlines.gather_s
        if gather_s and not self._stopping:
            await beat(gather_s)

    async def _commit(self, peer: Peer, batch: Sequence[Event]) -> bool:
        """True when stored; False only when control stops before the store would take it."""
        while not self._stopping:
            try:
                await self._handlers.store(peer.hello.worker, batch)
            except StoreError as error:
                self._store_refused(error)
                await asyncio.sleep(self._deadlines.store_retry_s)
            else:
                self._store_took()
                return True
        return False

    def _store_refused(self, error: StoreError) -> None:
        """Told once: it is tried again twice a second, by every worker's link."""
        self.counters.store_retries += 1
        self._refusals += 1
        if self.store_failing_since is None:
            self.store_failing_since = time.monotonic()
            log.warning("store.refuses", reason=str(error))

    def _store_took(self) -> None:
        if self.store_failing_since is not None:
            seconds = round(time.monotonic() - self.store_failing_since, 1)
            log.info("store.takes_again", refused=self._refusals, seconds=seconds)
            self.store_failing_since, self._refusals = None, 0

    async def _answer(self, peer: Peer, request: Request) -> None:
        self.counters.requests += 1
        try:
            data = await self._handlers.answer(request.kind, request.data, peer.hello)
        except BridgeError as error:
            log.warning(
                "request.failed",
                kind=request.kind,
                worker=peer.hello.worker,
                call_id=str(request.data.get("call_id") or ""),
                reason=str(error),
            )
            fatal = isinstance(error, LinkError) and error.fatal
            peer.tell(Reply(request.id, ok=False, data={}, error=str(error), fatal=fatal))
        except Exception:
            # One question that finds a bug of ours must not cost the worker its link.
            log.exception("request.crashed", kind=request.kind, worker=peer.hello.worker)
            peer.tell(Reply(request.id, ok=False, data={}, error="internal error of control"))
        else:
            peer.tell(Reply(request.id, ok=True, data=data))

    async def _tell(self, peer: Peer) -> None:
        while (message := await peer.outgoing.get()) is not None:
            try:
                async with asyncio.timeout(self._deadlines.send_s):
                    await peer.connection.send(encode(message))
            except (TimeoutError, WebSocketException, OSError):
                peer.connection.transport.abort()
                return
