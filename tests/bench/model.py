"""The bench's speech model: a Realtime server that understands nothing and remembers when.

    worker ──append──► Session (a scene by the name of the model asked for) ──delta──► worker

Websockets' sans-I/O server under a bare asyncio protocol, so that a frame is stamped when its bytes arrive and sent
when it is stamped; no task, no queue in between. All audio is encoded before the first call. Times are
CLOCK_MONOTONIC nanoseconds. Scenes (the session's model name):

    marker  a loud burst at random times, each a response of its own, in an otherwise silent session
    echo    every append's audio back at once, in one open response; a pause now and then lets the playout run empty
    talk    a long response, sent ten times faster than it is spoken; the caller "speaks" at a random time in it
    speech  one clip of speech
    load    speaks all the time: 5 s responses with transcripts, one after the other
    hello   greets, then is quiet

Commands on standard input: `take PATH` writes what was seen since the last one (pickle) and answers `taken`.
Loopback only.
"""

import asyncio
import json
import pickle
import random
import sys
import time
from base64 import b64encode
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from bridge.media import g711
from tests.bench.sound import MODEL_RATE_HZ, RATE_HZ, Pcm, burst

_APPEND = '{"type":"input_audio_buffer.append","audio":"'
_KEEPS_AUDIO = frozenset({"marker", "echo", "speech"})
CHUNK_MS = 200
TALK_S = 8
LOAD_S = 5
BURST_MS = 60


@dataclass(slots=True)
class SessionLog:
    """What one session saw and did."""

    label: str = ""
    scene: str = ""
    audio: str = ""
    created_ns: int = 0
    updated_ns: int = 0
    append_ns: list[int] = field(default_factory=list)
    appends: list[str] = field(default_factory=list)
    delta_ns: list[int] = field(default_factory=list)
    echo_ns: list[int] = field(default_factory=list)
    speech_ns: list[int] = field(default_factory=list)
    cuts: list[tuple[int, str, int]] = field(default_factory=list)
    cut_items: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class Library:
    """Base64 of everything a scene may say, by audio format."""

    def __init__(self, clip: Pcm, clip24: Pcm) -> None:
        self._encoders = {"pcm24": _pcm, "pcmu": g711.pcmu_encode, "pcma": g711.pcma_encode}
        self.burst = {name: self._chunks(name, _tone(name, BURST_MS), BURST_MS)[0] for name in self._encoders}
        self.talk = {
            name: self._chunks(name, _tone(name, TALK_S * 1000), CHUNK_MS) for name in self._encoders
        }
        clips = {"pcm24": clip24, "pcmu": clip, "pcma": clip}
        self.speech = {name: self._chunks(name, clips[name], CHUNK_MS) for name in self._encoders}

    def _chunks(self, name: str, pcm: Pcm, chunk_ms: int) -> list[str]:
        size = _rate(name) * chunk_ms // 1000
        encode = self._encoders[name]
        pieces = (pcm[at : at + size].astype("<i2").tobytes() for at in range(0, len(pcm), size))
        return [b64encode(encode(piece)).decode() for piece in pieces]


def _pcm(pcm: bytes) -> bytes:
    return pcm


def _rate(name: str) -> int:
    return MODEL_RATE_HZ if name == "pcm24" else RATE_HZ


def _tone(name: str, ms: int) -> Pcm:
    return burst(ms, _rate(name))


class Session(asyncio.Protocol):
    """One connection and its scene."""

    def __init__(self, server: "Model") -> None:
        self._server = server
        self._ws = ServerProtocol(max_size=None)
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self._responses = 0
        self._greets = False
        self._echoing = False
        self.log = SessionLog()

    # ---- bytes ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Request):
                self._opened(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._text(bytes(event.data).decode(), now)
        self._flush()

    def _flush(self) -> None:
        for data in self._ws.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def send(self, text: str) -> int:
        """One event, now; returns when that was. Nothing happens while the connection closes."""
        if self._ws.state is State.OPEN:
            self._ws.send_text(text.encode())
        now = time.monotonic_ns()
        self._flush()
        return now

    def send_event(self, event_type: str, **fields: Any) -> int:
        """An event that is not audio."""
        event_id = f"event_{time.monotonic_ns()}"
        return self.send(json.dumps({"type": event_type, "event_id": event_id, **fields}))

    def _opened(self, request: Request) -> None:
        self._ws.send_response(self._ws.accept(request))
        self.log.scene = parse_qs(urlsplit(request.path).query).get("model", [""])[0]
        self._flush()
        self.log.created_ns = self.send_event("session.created", session=self._facts({}))
        self._server.sessions.append(self.log)

    def _facts(self, session: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": "sess_bench",
            "object": "realtime.session",
            "type": "realtime",
            "model": "bench",
            **session,
        }

    # ---- what the bridge says --------------------------------------------------------------------------------

    def _text(self, text: str, now: int) -> None:
        if text.startswith(_APPEND):
            self._append(text[len(_APPEND) : -2], now)
            return
        event = json.loads(text)
        match event["type"]:
            case "session.update":
                self._updated(event["session"])
            case "conversation.item.truncate":
                self.log.cuts.append((now, event["item_id"], event["audio_end_ms"]))
                fields = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
                self.send_event("conversation.item.truncated", **fields)
            case "conversation.item.delete":
                self.log.cuts.append((now, event["item_id"], 0))
                self.send_event("conversation.item.deleted", item_id=event["item_id"])
            case "response.create" if self._greets:
                self._greets = False
                self._respond([self._server.library.talk[self.log.audio][0]])
            case other:
                self.log.others.append(other)

    def _updated(self, session: dict[str, Any]) -> None:
        kind = session["audio"]["input"]["format"]["type"]
        self.log.audio = {"audio/pcm": "pcm24", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}[kind]
        self.log.label = session["instructions"].rsplit(" ", 1)[-1]
        self._greets = self.log.scene == "hello"
        self.log.updated_ns = self.send_event("session.updated", session=self._facts(session))

    def _append(self, audio: str, now: int) -> None:
        log = self.log
        first = not log.append_ns
        log.append_ns.append(now)
        if log.scene in _KEEPS_AUDIO:
            log.appends.append(audio)
        if self._echoing:
            log.echo_ns.append(now)
            log.delta_ns.append(self._delta(audio))
        if first:
            self._begin()

    # ---- scenes ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        match self.log.scene:
            case "marker":
                self._later(0.2, self._mark)
            case "echo":
                self._later(0.2, self._echo)
            case "talk":
                self._later(0.2, self._talk)
            case "speech":
                self._later(0.3, self._respond, self._server.library.speech[self.log.audio])
            case "load":
                self._later(random.uniform(0, 0.5), self._keep_talking)

    def _later(self, delay_s: float, action: Any, *arguments: Any) -> None:
        if len(self._timers) > 64:
            self._timers = [
                timer for timer in self._timers if not timer.cancelled() and timer.when() > self._loop.time()
            ]
        self._timers.append(self._loop.call_later(delay_s, action, *arguments))

    def _mark(self) -> None:
        """A response is announced, then its audio comes: as it is with a real model."""
        self._open_response()
        self._later(random.uniform(0.01, 0.04), self._mark_now)
        self._later(random.uniform(0.3, 0.5), self._mark)

    def _mark_now(self) -> None:
        self.log.delta_ns.append(self._delta(self._server.library.burst[self.log.audio]))
        self._close_response()

    def _echo(self) -> None:
        self._open_response()
        self._echoing = True
        self._later(random.uniform(1.2, 1.6), self._pause_echo)

    def _pause_echo(self) -> None:
        self._echoing = False
        self._close_response()
        self._later(0.15, self._echo)

    def _talk(self) -> None:
        self._open_response()
        chunks = list(self._server.library.talk[self.log.audio])
        self.log.delta_ns.append(time.monotonic_ns())
        state = {"cut": False}
        self._stream(chunks, state)
        self._later(random.uniform(0.25, 1.6), self._interrupt, state)

    def _stream(self, chunks: list[str], state: dict[str, bool], late: int = 2) -> None:
        """One chunk every 20 ms; after the cut two more come, as they were on their way."""
        if state["cut"]:
            if late:
                self._delta(chunks.pop(0))
                self._later(0.005, self._stream, chunks, state, late - 1)
            else:
                self._close_response("cancelled")
            return
        self._delta(chunks.pop(0))
        if len(chunks) > late:
            self._later(0.02, self._stream, chunks, state)
        else:
            self._close_response()

    def _interrupt(self, state: dict[str, bool]) -> None:
        item = f"item_user_{self._responses}"
        self.log.cut_items.append(self._item)
        self.log.speech_ns.append(
            self.send_event("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item)
        )
        state["cut"] = True
        self._later(0.25, self._turn_over, item)

    def _turn_over(self, item: str) -> None:
        self.send_event("input_audio_buffer.speech_stopped", audio_end_ms=250, item_id=item)
        self.send_event("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        self._later(0.1, self._talk)

    def _keep_talking(self) -> None:
        self._respond(self._server.library.talk[self.log.audio][: LOAD_S * 1000 // CHUNK_MS])
        self._later(LOAD_S, self._keep_talking)

    def _respond(self, chunks: list[str]) -> None:
        """A whole response, ten times faster than it is spoken."""
        self._open_response()
        for number, chunk in enumerate(chunks):
            self._later(number * 0.02, self._chunk, chunk)
        self._later(len(chunks) * 0.02, self._close_response)

    def _chunk(self, chunk: str) -> None:
        self.log.delta_ns.append(self._delta(chunk))
        self.send_event("response.output_audio_transcript.delta", **self._ids(), delta="bench ")

    # ---- events of a response ----------------------------------------------------------------------------------

    @property
    def _item(self) -> str:
        return f"item_{self._responses}"

    @property
    def _response(self) -> str:
        return f"resp_{self._responses}"

    def _ids(self) -> dict[str, Any]:
        return {"response_id": self._response, "item_id": self._item, "output_index": 0, "content_index": 0}

    def _open_response(self) -> None:
        self._responses += 1
        self.send_event(
            "response.created", response={"id": self._response, "status": "in_progress", "output": []}
        )
        item = {"id": self._item, "type": "message", "role": "assistant", "content": []}
        self.send_event("response.output_item.added", response_id=self._response, output_index=0, item=item)

    def _delta(self, audio: str) -> int:
        return self.send(
            '{"type":"response.output_audio.delta","event_id":"event_1","response_id":"'
            f'{self._response}","item_id":"{self._item}","output_index":0,"content_index":0,"delta":"{audio}"}}'
        )

    def _close_response(self, status: str = "completed") -> None:
        self.send_event("response.output_audio.done", **self._ids())
        self.send_event("response.output_audio_transcript.done", **self._ids(), transcript="bench")
        response = {"id": self._response, "status": status, "output": [], "usage": {"total_tokens": 10}}
        self.send_event("response.done", response=response)


class Model:
    """The server."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.sessions: list[SessionLog] = []

    async def run(self, port: int) -> None:
        """Until standard input ends."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Session(self), "127.0.0.1", port)
        sys.stdout.write(f"listening {server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        async with server:
            while line := await asyncio.to_thread(sys.stdin.readline):
                taken, self.sessions = self.sessions, []
                _write(taken, Path(line.split(" ", 1)[1].strip()))
                sys.stdout.write("taken\n")
                sys.stdout.flush()


def _write(taken: list[SessionLog], path: Path) -> None:
    path.write_bytes(pickle.dumps([asdict(log) for log in taken]))


def main() -> None:
    """`python -m tests.bench.model CLIP8K.npy CLIP24K.npy`."""
    library = Library(np.load(sys.argv[1]), np.load(sys.argv[2]))
    asyncio.run(Model(library).run(0))


if __name__ == "__main__":
    main()
