"""A Realtime server for tests and the bench: says what it is told to say, remembers every event it got and when.

Not the local engine (bridge/sim): it understands nothing. `times` are CLOCK_MONOTONIC seconds, comparable
between processes.
"""

import asyncio
import base64
import contextlib
import json
import math
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


def tone(ms: int, rate_hz: int = 24000, hz: float = 440.0, level: float = 0.3) -> bytes:
    """PCM16 of a sine."""
    count = ms * rate_hz // 1000
    return struct.pack(
        f"<{count}h", *(int(32767 * level * math.sin(2 * math.pi * hz * n / rate_hz)) for n in range(count))
    )


@dataclass
class FakeSession:
    """One connection: what came in, and a pen to write events with."""

    connection: ServerConnection
    events: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    responses: int = 0
    items: int = 0

    async def send(self, event_type: str, **fields: Any) -> None:
        """Write one server event."""
        await self.connection.send(
            json.dumps({"type": event_type, "event_id": f"ev_{time.monotonic_ns()}", **fields})
        )

    def of(self, event_type: str) -> list[dict[str, Any]]:
        """Every event of a type so far."""
        return [event for event in self.events if event["type"] == event_type]

    async def wait(self, event_type: str, count: int = 1, deadline_s: float = 10.0) -> list[dict[str, Any]]:
        """Wait until `count` events of a type have come."""
        async with asyncio.timeout(deadline_s), self.arrived:
            await self.arrived.wait_for(lambda: len(self.of(event_type)) >= count)
        return self.of(event_type)

    def heard(self, since: int = 0) -> bytes:
        """Audio the bridge appended, from the `since`-th append on."""
        return b"".join(
            base64.b64decode(event["audio"]) for event in self.of("input_audio_buffer.append")[since:]
        )

    def loud(self, since: int = 0) -> list[bool]:
        """For every append whether there is sound in it."""
        frames = [base64.b64decode(event["audio"]) for event in self.of("input_audio_buffer.append")[since:]]
        return [max(abs(sample) for (sample,) in struct.iter_unpack("<h", pcm)) > 1000 for pcm in frames]

    async def hears(self, count: int = 1, deadline_s: float = 10.0, since: int = 0) -> list[bool]:
        """Wait until `count` appends with sound have come; see `loud`."""
        async with asyncio.timeout(deadline_s), self.arrived:
            await self.arrived.wait_for(lambda: sum(self.loud(since)) >= count)
        return self.loud(since)

    async def start_response(self) -> tuple[str, str]:
        """Open a response with one audio item; returns (response_id, item_id)."""
        self.responses += 1
        self.items += 1
        response_id, item_id = f"resp_{self.responses}", f"item_{self.items}"
        await self.send("response.created", response={"id": response_id, "status": "in_progress"})
        item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        await self.send("response.output_item.added", response_id=response_id, output_index=0, item=item)
        return response_id, item_id

    async def audio(self, response_id: str, item_id: str, pcm: bytes, chunk_ms: int = 200) -> None:
        """Send audio of an item in chunks, faster than real time."""
        size = chunk_ms * 48
        for start in range(0, len(pcm), size):
            delta = base64.b64encode(pcm[start : start + size]).decode()
            await self.send(
                "response.output_audio.delta",
                response_id=response_id, item_id=item_id, output_index=0, content_index=0, delta=delta,
            )  # fmt: skip

    async def end_response(
        self, response_id: str, item_id: str, transcript: str = "", status: str = "completed"
    ) -> None:
        """Close the item and the response."""
        ids = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        await self.send("response.output_audio.done", **ids)
        await self.send("response.output_audio_transcript.done", **ids, transcript=transcript)
        await self.send(
            "response.done",
            response={"id": response_id, "status": status, "output": [], "usage": {"total_tokens": 10}},
        )

    async def say(self, pcm: bytes, transcript: str = "") -> tuple[str, str]:
        """A whole spoken response."""
        response_id, item_id = await self.start_response()
        await self.audio(response_id, item_id, pcm)
        await self.end_response(response_id, item_id, transcript)
        return response_id, item_id

    async def speech_started(self, item_id: str = "user_1") -> float:
        """The server's VAD hears the caller; returns when the event was written."""
        at = time.monotonic()
        await self.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item_id)
        return at


Handler = Callable[["FakeRealtime", FakeSession, dict[str, Any]], Any]


class FakeRealtime:
    """The server. `greeting` is spoken on the first response.create; `on_event(server, session, event)` may do
    more."""

    def __init__(self, greeting: bytes = b"", on_event: Handler | None = None) -> None:
        self.greeting = greeting
        self.on_event = on_event
        self.sessions: list[FakeSession] = []
        self.requests: list[Any] = []
        self.url = ""
        self.opened = asyncio.Condition()

    async def session(self, number: int = 0, deadline_s: float = 10.0) -> FakeSession:
        """The n-th connection, as soon as it is there."""
        async with asyncio.timeout(deadline_s), self.opened:
            await self.opened.wait_for(lambda: len(self.sessions) > number)
        return self.sessions[number]

    async def _serve(self, connection: ServerConnection) -> None:
        session = FakeSession(connection)
        async with self.opened:
            self.sessions.append(session)
            self.requests.append(connection.request)
            self.opened.notify_all()
        await session.send("session.created", session={"id": "sess_1", "type": "realtime", "model": "fake"})
        with contextlib.suppress(ConnectionClosed):  # a bridge that dies is part of many tests
            async for message in connection:
                now = time.monotonic()
                event = json.loads(message)
                async with session.arrived:
                    session.events.append(event)
                    session.times.append(now)
                    session.arrived.notify_all()
                await self._answer(session, event)

    async def _answer(self, session: FakeSession, event: dict[str, Any]) -> None:
        if event["type"] == "session.update":
            await session.send("session.updated", session={"id": "sess_1", **event["session"]})
        elif event["type"] == "response.create" and self.greeting and not session.responses:
            await session.say(self.greeting, "hello")
        if self.on_event is not None:
            await self.on_event(self, session, event)

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator["FakeRealtime"]:
        """Listen on loopback."""
        async with serve(self._serve, "127.0.0.1", port, compression=None, max_size=None) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
            yield self
