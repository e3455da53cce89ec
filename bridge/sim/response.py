"""One response of the local engine, from response.created to response.done, as a sans-IO machine.

    open ─ speak(text) ─► sentences ──next_sentence()──► shell's voice ──push(payload)──► chunks ──due(now)──► events
         └ invoke(...) ─► function call events                                        └ finish(status) ─► events

It makes the event order of the service and sends audio faster than real time: a burst first, then SPEEDUP times
real time, so that a long answer can still be cut off. Sentences are asked for one at a time: at most one sentence
of audio waits here. Owned by bridge/sim/conversation.py.
"""

import base64
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from bridge.sim.items import Item, Tokens, text_tokens
from bridge.sim.protocol import AudioOutput, ResponsePart
from bridge.sim.script import Failure, ResponseFault
from bridge.sim.session import Session, bytes_per_ms

CHUNK_MS = 200
BURST_MS = 600
SPEEDUP = 6.0
SOUNDLESS_MS = 20
"""Silence that stands for a sentence without sound ("…")."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a response is to be made: formats, limits and what the client said about it."""

    response_id: str
    default_conversation: bool
    modality: str
    audio_format: str
    voice: Any
    max_tokens: int | None
    metadata: dict[str, str] | None
    conversation_id: str


def plan_for(part: ResponsePart, session: Session, response_id: str, conversation_id: str) -> Plan:
    """The session's settings, overridden by those of a response.create."""
    output = part.audio.output if part.audio and part.audio.output else AudioOutput()
    limit = part.max_output_tokens or session.get("max_output_tokens")
    return Plan(
        response_id=response_id,
        default_conversation=part.conversation == "auto",
        modality=(part.output_modalities or session.get("output_modalities"))[0],
        audio_format=output.format.type if output.format else session.output_format,
        voice=output.voice if isinstance(output.voice, str) else session.voice,
        max_tokens=None if limit == "inf" else int(limit),
        metadata=part.metadata,
        conversation_id=conversation_id,
    )


@dataclass(slots=True)
class Response:
    """A response on its way. `input_tokens` and `cached_tokens` are what it read."""

    plan: Plan
    fault: ResponseFault
    input_tokens: Tokens = field(default_factory=Tokens)
    cached_tokens: Tokens = field(default_factory=Tokens)
    awaits_item: str | None = None
    item: Item | None = None
    done: bool = False
    _output: list[Item] = field(default_factory=list)
    _sentences: deque[str] = field(default_factory=deque)
    _asked: str | None = None
    _chunks: deque[bytes] = field(default_factory=deque)
    _transcript: str = ""
    _first_at: float | None = None
    _last_at: float = 0.0

    @property
    def id(self) -> str:
        return self.plan.response_id

    @property
    def audio_ms(self) -> float:
        """Audio sent so far."""
        return self.item.audio_ms if self.item else 0.0

    def created(self) -> list[Event]:
        """The first events."""
        limits = [
            {"name": "requests", "limit": 10_000, "remaining": 9_999, "reset_seconds": 0.006},
            {"name": "tokens", "limit": 2_000_000, "remaining": 1_990_000, "reset_seconds": 0.3},
        ]
        return [
            {"type": "response.created", "response": self.wire("in_progress")},
            {"type": "rate_limits.updated", "rate_limits": limits},
        ]

    def speak(self, item_id: str, text: str) -> list[Event]:
        """Begin a message that says (or writes) `text`."""
        wire = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        self.item = Item(wire, bytes_per_ms=bytes_per_ms(self.plan.audio_format))
        self._output.append(self.item)
        self._sentences.extend(_SENTENCE_END.split(text.strip()))
        part = {"type": "audio", "transcript": ""} if self._spoken() else {"type": "text", "text": ""}
        added = {"type": "response.output_item.added", "output_index": 0, "item": dict(wire)}
        return [
            self._event(added),
            *self._in_conversation("added", self.item),
            self._at_content({"type": "response.content_part.added", "part": part}),
        ]

    def write(self) -> list[Event]:
        """The whole text at once, when the modality is text."""
        events = []
        while self._sentences:
            delta = self._next_text()
            self._transcript += delta
            events.append(self._at_content({"type": "response.output_text.delta", "delta": delta}))
        return [*events, *self.finish("completed")]

    def next_sentence(self) -> str | None:
        """The sentence the voice has to speak now; None while one is under way or none is left."""
        if self.done or self._asked is not None or self._chunks or not self._sentences:
            return None
        self._asked = self._next_text()
        return self._asked

    def push(self, payload: bytes) -> None:
        """Take the audio of the sentence that was asked for, in the response's format."""
        if self.fault.silence:
            payload = bytes([_SILENCE[self.plan.audio_format]]) * len(payload)
        rate = bytes_per_ms(self.plan.audio_format)
        payload = payload or bytes([_SILENCE[self.plan.audio_format]]) * rate * SOUNDLESS_MS
        step = CHUNK_MS * rate
        self._chunks.extend(payload[at : at + step] for at in range(0, len(payload), step))

    def wake_at(self, now: float) -> float | None:
        """When the next chunk may leave; None when there is none."""
        if not self._chunks:
            return None
        if self._first_at is None:
            self._first_at = now + self.fault.first_audio_ms / 1000
        paced = self._first_at + max(0.0, self.audio_ms - BURST_MS) / 1000 / SPEEDUP
        gap = self._last_at + self.fault.delta_gap_ms / 1000 if self._last_at else 0.0
        return max(paced, gap)

    def due(self, now: float) -> list[Event]:
        """Events of every chunk that may leave by `now`; the last ones when everything was sent."""
        events: list[Event] = []
        while not self.done and (at := self.wake_at(now)) is not None and at <= now:
            self._last_at = now
            events += self._chunk()
            if self.plan.max_tokens is not None and self.output_tokens().total > self.plan.max_tokens:
                return events + self.finish("incomplete", "max_output_tokens")
        if not self._chunks and self._first_at is not None and not self._sentences and self._asked is None:
            events += self.finish("completed")
        return events

    def invoke(self, item_id: str, call_id: str, name: str, arguments: str) -> list[Event]:
        """A function call, whole."""
        wire = {
            "id": item_id,
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "call_id": call_id,
            "name": name,
            "arguments": "",
        }
        item = Item(wire)
        self._output.append(item)
        added = {"type": "response.output_item.added", "output_index": 0, "item": dict(wire)}
        events = [self._event(added), *self._in_conversation("added", item)]
        wire |= {"status": "completed", "arguments": arguments}
        ids = {"item_id": item_id, "output_index": 0, "call_id": call_id}
        delta = {"type": "response.function_call_arguments.delta", **ids, "delta": arguments}
        done = {"type": "response.function_call_arguments.done", **ids, "name": name, "arguments": arguments}
        closed = {"type": "response.output_item.done", "output_index": 0, "item": dict(wire)}
        events += [self._event(event) for event in (delta, done, closed)]
        return [*events, *self._in_conversation("done", item), *self._response_done("completed", None, None)]

    def finish(self, status: str, reason: str | None = None, failure: Failure | None = None) -> list[Event]:
        """End it: completed, cancelled, incomplete or failed; nothing follows."""
        events = self._close_message("completed" if status == "completed" else "incomplete")
        return events + self._response_done(status, reason, failure)

    def output_tokens(self) -> Tokens:
        """What was made so far."""
        return sum((item.tokens() for item in self._output), Tokens())

    def output(self) -> list[Item]:
        """Items it made."""
        return self._output

    def wire(self, status: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
        """The response object."""
        plan = self.plan
        return {
            "id": plan.response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": [dict(item.wire) for item in self._output],
            "conversation_id": plan.conversation_id if plan.default_conversation else None,
            "output_modalities": [plan.modality],
            "max_output_tokens": plan.max_tokens or "inf",
            "audio": {"output": {"format": _format(plan.audio_format), "voice": plan.voice}},
            "metadata": plan.metadata,
            "usage": None,
        }

    def _spoken(self) -> bool:
        return self.plan.modality == "audio"

    def _next_text(self) -> str:
        sentence = self._sentences.popleft()
        return sentence + " " if self._sentences else sentence

    def _chunk(self) -> list[Event]:
        assert self.item is not None
        events = []
        if self._asked is not None:
            delta, self._asked = self._asked, None
            self._transcript += delta
            said = {"type": "response.output_audio_transcript.delta", "delta": delta}
            events.append(self._at_content(said))
        payload = self._chunks.popleft()
        self.item.audio += payload
        self.item.audio_ms += len(payload) / self.item.bytes_per_ms
        self.item.wire["content"] = [{"type": "output_audio", "transcript": self._transcript}]
        sound = {"type": "response.output_audio.delta", "delta": base64.b64encode(payload).decode()}
        return [*events, self._at_content(sound)]

    def _close_message(self, status: str) -> list[Event]:
        item = self.item
        if item is None or item.wire["status"] != "in_progress":
            return []
        text = self._transcript
        item.wire["status"] = status
        if self._spoken():
            part = {"type": "audio", "transcript": text}
            content = {"type": "output_audio", "transcript": text}
            ends: list[Event] = [
                {"type": "response.output_audio.done"},
                {"type": "response.output_audio_transcript.done", "transcript": text},
            ]
        else:
            part = {"type": "text", "text": text}
            content = {"type": "output_text", "text": text}
            ends = [{"type": "response.output_text.done", "text": text}]
        item.wire["content"] = [content]
        ends.append({"type": "response.content_part.done", "part": part})
        closed = {"type": "response.output_item.done", "output_index": 0, "item": dict(item.wire)}
        events = [self._at_content(end) for end in ends]
        return [*events, self._event(closed), *self._in_conversation("done", item)]

    def _response_done(self, status: str, reason: str | None, failure: Failure | None) -> list[Event]:
        self.done = True
        self._chunks.clear()
        details: dict[str, Any] | None = None
        if status != "completed":
            error = (
                {"type": failure.type, "code": failure.code, "message": failure.message} if failure else None
            )
            details = {"type": status, "reason": reason, "error": error}
        wire = self.wire(status, details) | {"usage": self._usage()}
        return [{"type": "response.done", "response": wire}]

    def _usage(self) -> dict[str, Any]:
        read, cached, made = self.input_tokens, self.cached_tokens, self.output_tokens()
        cached_details = {"text_tokens": cached.text, "audio_tokens": cached.audio, "image_tokens": 0}
        return {
            "total_tokens": read.total + made.total,
            "input_tokens": read.total,
            "output_tokens": made.total,
            "input_token_details": {
                "text_tokens": read.text,
                "audio_tokens": read.audio,
                "image_tokens": 0,
                "cached_tokens": cached.total,
                "cached_tokens_details": cached_details,
            },
            "output_token_details": {"text_tokens": made.text, "audio_tokens": made.audio},
        }

    def _in_conversation(self, what: str, item: Item) -> list[Event]:
        if not self.plan.default_conversation:
            return []
        return [{"type": f"conversation.item.{what}", "item": dict(item.wire)}]

    def _event(self, event: Event) -> Event:
        return {"type": event["type"], "response_id": self.id} | event

    def _at_content(self, event: Event) -> Event:
        assert self.item is not None
        return self._event(event) | {"item_id": self.item.id, "output_index": 0, "content_index": 0}


_SILENCE = {"audio/pcm": 0x00, "audio/pcmu": 0xFF, "audio/pcma": 0xD5}


def _format(audio_format: str) -> dict[str, Any]:
    return {"type": audio_format, "rate": 24000} if audio_format == "audio/pcm" else {"type": audio_format}


def prompt_tokens(instructions: str, tools: list[dict[str, Any]]) -> Tokens:
    """Tokens of what stands before every conversation."""
    return Tokens(text_tokens(instructions) + sum(text_tokens(str(tool)) for tool in tools))
