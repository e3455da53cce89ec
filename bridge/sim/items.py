"""Items of a conversation on the server side: order, audio lengths, tokens, truncation.

Tokens as the service counts them: caller audio 1 per 100 ms, agent audio 1 per 50 ms
(https://developers.openai.com/api/docs/guides/voice-latency-cost), text here one per four characters. What an earlier
response already read and nothing changed since is the cached part. Sans-IO; owned by bridge/sim/conversation.py.
"""

import base64
import binascii
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bridge.sim.protocol import Content, FunctionCallItem, Message, NewItem, Refusal
from bridge.sim.protocol import new_item as parse_item
from bridge.sim.session import bytes_per_ms

MAX_AUDIO_BYTES = 16 * 1024 * 1024
"""Audio kept for conversation.item.retrieve; the oldest goes first, its item then has no audio bytes."""
MAX_ITEMS = 5000
UNCLEAR = "[unclear]"
"""Transcript of speech that no phrase of the scenario fits."""

_CONTENT = {
    "system": {"input_text"},
    "user": {"input_text", "input_audio", "input_image"},
    "assistant": {"output_text"},
}


def text_tokens(text: str) -> int:
    """About four characters a token."""
    return math.ceil(len(text) / 4)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A count of text and audio tokens."""

    text: int = 0
    audio: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.text + other.text, self.audio + other.audio)

    @property
    def total(self) -> int:
        return self.text + self.audio


@dataclass(slots=True)
class Item:
    """One item: the wire object without audio, and the audio beside it.

    `heard` holds the recognised words of caller audio also when transcription is off.
    """

    wire: dict[str, Any]
    audio_ms: float = 0.0
    bytes_per_ms: int = 48
    audio: bytearray = field(default_factory=bytearray)
    heard: str | None = None

    @property
    def id(self) -> str:
        return str(self.wire["id"])

    @property
    def kind(self) -> str:
        return str(self.wire["type"])

    @property
    def role(self) -> str:
        return str(self.wire.get("role", ""))

    def text(self) -> str:
        """Everything written in it, and the words recognised in its audio."""
        if self.kind == "message":
            parts = [part.get("text") or part.get("transcript") or "" for part in self.wire["content"]]
            return " ".join(filter(None, parts)) or self.heard or ""
        fields = ("name", "arguments", "output")
        return " ".join(str(self.wire[field]) for field in fields if field in self.wire)

    def tokens(self) -> Tokens:
        """What it adds to the input of a response."""
        if self.role == "user" and self.audio_ms:
            return Tokens(audio=math.ceil(self.audio_ms / 100))
        return Tokens(text_tokens(self.text()), math.ceil(self.audio_ms / 50))

    def with_audio(self) -> dict[str, Any]:
        """The wire object with its audio in base64, as conversation.item.retrieved shows it."""
        content = [dict(part) for part in self.wire.get("content", [])]
        for part in content:
            if part["type"] in ("input_audio", "output_audio"):
                part["audio"] = base64.b64encode(self.audio).decode()
        return self.wire | ({"content": content} if content else {})


class Items:
    """The default conversation, oldest first."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._cached = 0
        self._cached_prompt = Tokens()

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def get(self, item_id: str, param: str = "item_id") -> Item:
        """The item of that id.

        Raises:
            Refusal: there is none.

        """
        for item in self._items:
            if item.id == item_id:
                return item
        raise Refusal("item_not_found", f"Item with item_id '{item_id}' does not exist.", param)

    def pick(self, entries: list[dict[str, Any]], ids: Callable[[str], str], audio_format: str) -> list[Item]:
        """The `input` of a response.create: items of its own, and references to ours.

        Raises:
            Refusal: a reference to nothing, or a wrong item.

        """
        return [
            self.get(str(entry.get("id")))
            if entry.get("type") == "item_reference"
            else new_item(parse_item(entry), ids, audio_format)
            for entry in entries
        ]

    def last_id(self) -> str | None:
        return self._items[-1].id if self._items else None

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Insert at the end, after an item, or in front (`root`); the id of the item before it is returned.

        Raises:
            Refusal: the id exists, `after` does not, or the conversation is full.

        """
        if any(other.id == item.id for other in self._items):
            message = f"Error adding item: an item with id '{item.id}' already exists."
            raise Refusal("item_create_duplicate_item_id", message, "item.id")
        if len(self._items) >= MAX_ITEMS:
            raise Refusal("conversation_full", f"The conversation holds {MAX_ITEMS} items.")
        at = len(self._items)
        if after == "root":
            at = 0
        elif after is not None:
            at = self._items.index(self.get(after, "previous_item_id")) + 1
        self._items.insert(at, item)
        self._cached = min(self._cached, at)
        self._shed()
        return self._items[at - 1].id if at else None

    def delete(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            Refusal: there is none of that id.

        """
        at = self._items.index(self.get(item_id))
        del self._items[at]
        self._cached = min(self._cached, at)

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Keep the first `audio_end_ms` of an agent's audio; its transcript goes, as the two are not aligned.

        Raises:
            Refusal: no such item, not the agent's audio, or it is shorter.

        """
        item = self.get(item_id)
        content = item.wire.get("content", [])
        if item.role != "assistant" or not content or content[0]["type"] != "output_audio":
            raise Refusal("invalid_value", "Only assistant messages with audio can be truncated.", "item_id")
        if audio_end_ms > item.audio_ms:
            message = f"Audio content of {item.audio_ms:.0f}ms is already shorter than {audio_end_ms}ms"
            raise Refusal("invalid_value", message, "audio_end_ms")
        item.audio_ms = audio_end_ms
        del item.audio[audio_end_ms * item.bytes_per_ms :]
        content[0].pop("transcript", None)
        self._cached = min(self._cached, self._items.index(item))

    def prompt_changed(self) -> None:
        """Instructions or tools, which stand before every item, are new: nothing is cached any more."""
        self._cached, self._cached_prompt = 0, Tokens()

    def context(self, prompt: Tokens) -> tuple[Tokens, Tokens]:
        """Tokens of `prompt` and all items, and of what is cached of them; all are cached from now on."""
        every = sum((item.tokens() for item in self._items), prompt)
        cached = sum((item.tokens() for item in self._items[: self._cached]), self._cached_prompt)
        self._cached, self._cached_prompt = len(self._items), prompt
        return every, cached

    def _shed(self) -> None:
        excess = sum(len(item.audio) for item in self._items) - MAX_AUDIO_BYTES
        for item in self._items:
            if excess > 0:
                excess -= len(item.audio)
                item.audio.clear()


def caller_item(item_id: str, audio: bytes, audio_format: str) -> Item:
    """A committed turn of the caller."""
    wire = {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    rate = bytes_per_ms(audio_format)
    return Item(wire, len(audio) / rate, rate, bytearray(audio))


def new_item(shape: NewItem, ids: Callable[[str], str], audio_format: str) -> Item:
    """An item a client made; ids it left out are given.

    Raises:
        Refusal: a content part its role cannot have, or audio that is not base64.

    """
    wire = shape.model_dump(exclude_none=True) | {"object": "realtime.item", "status": "completed"}
    wire.setdefault("id", ids("item"))
    if isinstance(shape, FunctionCallItem):
        wire.setdefault("call_id", ids("call"))
    if not isinstance(shape, Message):
        return Item(wire)
    audio = bytearray()
    for index, content in enumerate(shape.content):
        audio += _content_audio(shape.role, content, f"item.content[{index}]")
        wire["content"][index].pop("audio", None)
    rate = bytes_per_ms(audio_format)
    return Item(wire, len(audio) / rate, rate, audio)


def _content_audio(role: str, content: Content, param: str) -> bytes:
    allowed = _CONTENT[role]
    if content.type not in allowed:
        known = ", ".join(sorted(allowed))
        message = f"Invalid value: '{content.type}'. Supported values are: {known}."
        raise Refusal("invalid_value", message, f"{param}.type")
    try:
        return base64.b64decode(content.audio or "", validate=True)
    except binascii.Error:
        raise Refusal("invalid_value", "Expected base64-encoded audio.", f"{param}.audio") from None


def transcription(item: Item, words: str) -> dict[str, Any]:
    """The event that tells the caller's words, which the item shows from now on."""
    transcript = words or UNCLEAR
    item.wire["content"][0]["transcript"] = transcript
    read, made = math.ceil(item.audio_ms / 100), text_tokens(transcript)
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item.id,
        "content_index": 0,
        "transcript": transcript,
        "usage": {
            "type": "tokens",
            "input_tokens": read,
            "output_tokens": made,
            "total_tokens": read + made,
            "input_token_details": {"text_tokens": 0, "audio_tokens": read},
        },
    }
