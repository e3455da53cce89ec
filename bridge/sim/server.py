"""The local engine's socket: carries out what bridge/sim/conversation.py decides, for each connection.

    ws://127.0.0.1:PORT/v1/realtime?model=…   one Conversation and one Ears each; one Recogniser and voice a process

It holds no rule of the protocol. Everything runs on one asyncio loop; recognition and synthesis run on one
worker thread each. Limits: connections, message size, one send deadline.
"""

import asyncio
import contextlib
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import structlog
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event, State

from bridge.media import g711
from bridge.sim import voice
from bridge.sim.actions import Action, Attend, Close, Drop, HalfOpen, Hear, Recognise, Send, SendRaw, Speak
from bridge.sim.agent import Agent
from bridge.sim.conversation import Conversation
from bridge.sim.ears import Ears, Recogniser
from bridge.sim.echo import Echo
from bridge.sim.protocol import ServerVad
from bridge.sim.scenario import Scenario
from bridge.sim.script import Faults, Script
from bridge.sim.session import Session

log = structlog.get_logger(__name__)

PATHS = ("/v1/realtime", "/openai/v1/realtime")
DEFAULT_MODEL = "gpt-realtime-2.1"
MAX_MESSAGE_BYTES = 24 * 1024 * 1024
MAX_UNSENT_BYTES = 256 * 1024  # of an echo: a client that does not read loses it


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the server takes on, and how long it waits."""

    connections: int = 64
    send_s: float = 10.0
    close_s: float = 2.0


class Engine:
    """What all connections share: scenario, script, recogniser, voice."""

    def __init__(self, scenario: Scenario, script: Script, limits: Limits | None = None) -> None:
        self.scenario = scenario
        self.script = script
        self.limits = limits or Limits()
        self.recogniser = Recogniser(scenario)
        self.listening = ThreadPoolExecutor(1, "recogniser")
        self.speaking = ThreadPoolExecutor(1, "voice")
        self.open_connections = 0

    def say(self, order: Speak) -> bytes:
        """Synthesise in the format ordered. Blocks: for the voice's thread."""
        encode = {"audio/pcmu": g711.pcmu_encode, "audio/pcma": g711.pcma_encode}.get(order.audio_format)
        name = VOICES.get(order.voice, self.scenario.file.voice)
        wpm = round(voice.WORDS_PER_MINUTE * order.speed)
        pcm = voice.speak(order.text, voice=name, wpm=wpm, rate_hz=8000 if encode else voice.MODEL_RATE_HZ)
        return encode(pcm) if encode else pcm

    def close(self) -> None:
        """Let the threads end."""
        self.listening.shutdown(wait=False, cancel_futures=True)
        self.speaking.shutdown(wait=False, cancel_futures=True)


VOICES = {
    "alloy": "en-us",
    "ash": "en-us+m3",
    "ballad": "en-gb-x-rp",
    "cedar": "en-us+m1",
    "coral": "en-us+f2",
    "echo": "en-us+m2",
    "sage": "en-us+f4",
    "shimmer": "en-us+f3",
    "verse": "en-us+m4",
}
"""The service's voices as espeak-ng ones; any other (also marin, the default) speaks with the scenario's."""


@contextlib.asynccontextmanager
async def listen(engine: Engine, host: str, port: int) -> AsyncIterator[str]:
    """Serve connections while the context is open; gives the URL. Port 0 takes a free one."""

    async def handle(connection: ServerConnection) -> None:
        engine.open_connections += 1
        try:
            await _Connection(engine, connection).run()
        finally:
            engine.open_connections -= 1

    async def admit(connection: ServerConnection, request: Request) -> Response | None:
        return await _admit(engine, connection, request)

    server = await serve(
        handle,
        host,
        port,
        process_request=admit,
        compression=None,
        max_size=MAX_MESSAGE_BYTES,
        close_timeout=engine.limits.close_s,
        create_connection=_echoing(engine.script.echo) if engine.script.echo else None,
    )
    async with server:
        where = server.sockets[0].getsockname()
        shown = f"[{where[0]}]" if ":" in where[0] else where[0]
        try:
            yield f"ws://{shown}:{where[1]}{PATHS[0]}"
        finally:
            server.close(code=1001, reason="server is going away")
            engine.close()


async def _admit(engine: Engine, connection: ServerConnection, request: Request) -> Response | None:
    if urlsplit(request.path).path not in PATHS:
        return connection.respond(HTTPStatus.NOT_FOUND, f"connect to {PATHS[0]}\n")
    connect = engine.script.connect
    if connect.delay_ms:
        await asyncio.sleep(connect.delay_ms / 1000)
    if connect.status is not None:
        return connection.respond(HTTPStatus(connect.status), "refused by the fault script\n")
    if engine.open_connections >= engine.limits.connections:
        return connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many connections\n")
    return None


class _EchoConnection(ServerConnection):
    """Answers appends where their bytes arrive, without a task: 80 calls echo on a third of a core."""

    appends = 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._echo = Echo(uuid.uuid4().hex[:12], self.appends)
        super().connection_made(transport)

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.TEXT and event.fin:
            said = self._echo.hear(bytes(event.data))
            if said is not None:
                self._answer(said)
                return
        super().process_event(event)

    def _answer(self, said: list[bytes]) -> None:
        unsent = self.transport.get_write_buffer_size()
        if self.protocol.state is not State.OPEN or unsent > MAX_UNSENT_BYTES:
            return
        for text in said:
            self.protocol.send_text(text)
        if said:
            self.send_data()


def _echoing(appends_a_delta: int) -> type[ServerConnection]:
    class Echoing(_EchoConnection):
        appends = appends_a_delta

    return Echoing


class _Connection:
    """One client, from handshake to close."""

    def __init__(self, engine: Engine, connection: ServerConnection) -> None:
        self._engine = engine
        self._connection = connection
        self._ears: Ears | None = None  # made when there is something to hear: its model takes 50 ms to load
        self._attending: ServerVad | None = None
        self._wake = asyncio.Event()
        self._outbox: list[Action] = []
        now = time.monotonic()
        seconds = engine.script.session_seconds
        query = parse_qs(urlsplit(connection.request.path if connection.request else "").query)
        model = query.get("model", [DEFAULT_MODEL])[0]
        numbers = itertools.count(1)
        stem = uuid.uuid4().hex[:12]
        self._conversation = Conversation(
            agent=Agent(engine.scenario),
            session=Session(f"sess_{stem}", model, int(time.time()) + seconds),
            ids=lambda prefix: f"{prefix}_{stem}{next(numbers):05d}",
            faults=Faults(engine.script, now),
            expires_s=now + seconds,
        )
        self._log = log.bind(session_id=f"sess_{stem}")

    async def run(self) -> None:
        """Serve until either side closes."""
        self._log.info("session.opened")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                reader = tasks.create_task(self._read())
                writer = tasks.create_task(self._write())
                await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
                for task in (reader, writer):
                    task.cancel()
        except* ConnectionClosed:
            pass
        self._log.info("session.closed")

    async def _read(self) -> None:
        async for message in self._connection:
            self._conversation.receive(message, time.monotonic())
            self._carry_out()

    async def _write(self) -> None:
        """Send what is queued, in order; sleep until there is more or time brings something."""
        self._carry_out()
        while True:
            while self._outbox:
                await self._deliver(self._outbox.pop(0))
            now = time.monotonic()
            wake_at = self._conversation.wake_at(now)
            if not self._outbox:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if wake_at is None else max(0.0, wake_at - now)):
                        await self._wake.wait()
            self._conversation.tick(time.monotonic())
            self._carry_out()

    def _carry_out(self) -> None:
        """Do what can be done at once, queue what goes to the socket; ears may cause more."""
        while actions := self._conversation.take():
            for action in actions:
                self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Hear(payload, audio_format):
                for heard in self._hearing().push(payload, audio_format):
                    self._conversation.heard(heard, time.monotonic())
            case Attend(vad):
                self._attending = vad
                if self._ears is not None:
                    self._ears.attend(vad)
            case Recognise():
                self._tasks.create_task(self._recognise(action))
            case Speak():
                self._tasks.create_task(self._speak(action))
            case _:
                self._outbox.append(action)
                self._wake.set()

    def _hearing(self) -> Ears:
        if self._ears is None:
            self._ears = Ears()
            self._ears.attend(self._attending)
        return self._ears

    async def _recognise(self, order: Recognise) -> None:
        loop, engine = asyncio.get_running_loop(), self._engine
        words = await loop.run_in_executor(engine.listening, engine.recogniser.words, order)
        self._conversation.recognised(order.ticket, words, time.monotonic())
        self._carry_out()
        self._wake.set()

    async def _speak(self, order: Speak) -> None:
        loop, engine = asyncio.get_running_loop(), self._engine
        payload = await loop.run_in_executor(engine.speaking, engine.say, order)
        self._conversation.spoken(order.response_id, payload, time.monotonic())
        self._carry_out()
        self._wake.set()

    async def _deliver(self, action: Action) -> None:
        connection = self._connection
        match action:
            case Send(event):
                await self._send(json.dumps(event))
            case SendRaw(text):
                await self._send(text)
            case Close(code, reason):
                await connection.close(code, reason)
            case Drop():
                connection.transport.abort()
                await connection.wait_closed()
            case HalfOpen(seconds):
                connection.transport.pause_reading()
                await asyncio.sleep(seconds)
                connection.transport.abort()
                await connection.wait_closed()

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(self._engine.limits.send_s):
            await self._connection.send(text)
