"""The playout clock: hands the phone one frame at a time and knows to the sample what the caller heard.

    model bursts --push--> | item C | item B | item A | --pull, every 20 ms--> RTP
                                                  ^ play head: heard samples of A

pjmedia asks for a frame in real time; that question is the only clock. Audio belongs to response items, in
order. What was pulled was heard, silence padding never counts, so `clear()` can say what
`conversation.item.truncate` needs. Pure: no lock, no time, no thread. `pull` runs on pjmedia's clock thread,
the rest on the loop, and the port holds its one lock around each call.

Full: `push` refuses what does not fit and says how much; the caller keeps it and waits. (The bound should
exceed the longest response: a waiting reader also delays the events behind the audio.)
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from bridge.media.frame import FRAME_MS, RATE_HZ, bytes_per_ms

_FADE_MS = 5


@dataclass(frozen=True, slots=True)
class ItemStarted:
    """The first samples of the item went to the phone."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemFinished:
    """All audio of the item went to the phone, `heard_ms` of it."""

    item_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Underrun:
    """The item ran dry in the middle and the caller heard `ms` of silence before it went on."""

    item_id: str
    ms: int


PlayoutEvent = ItemStarted | ItemFinished | Underrun


@dataclass(frozen=True, slots=True)
class Cleared:
    """What `clear()` cut: `item_id` is the item the caller heard (or None), `unheard` those after it."""

    item_id: str | None
    heard_ms: int
    dropped_ms: int
    unheard: tuple[str, ...] = ()


class _Item:
    """Audio of one response item: pieces as they came, read from `offset` of the first."""

    __slots__ = ("bytes_per_ms", "finished", "heard", "item_id", "offset", "pieces", "queued", "starved")

    def __init__(self, item_id: str, bytes_per_ms: int) -> None:
        self.item_id = item_id
        self.bytes_per_ms = bytes_per_ms
        self.pieces: deque[bytes] = deque()
        self.offset = 0
        self.queued = 0
        self.heard = 0
        self.starved = 0
        self.finished = False

    def take(self, size: int) -> bytes:
        """At most `size` bytes from the first piece; nothing when the item is dry."""
        if not self.pieces:
            return b""
        piece = self.pieces[0]
        end = self.offset + size
        taken = piece[self.offset : end]
        if end < len(piece):
            self.offset = end
        else:
            self.pieces.popleft()
            self.offset = 0
        self.queued -= len(taken)
        self.heard += len(taken)
        return taken

    @property
    def heard_ms(self) -> int:
        return self.heard // self.bytes_per_ms


class Playout:
    """Queue of response audio (PCM at `rate_hz`), at most `max_ms` long, played frame by frame."""

    def __init__(self, max_ms: int = 120_000, frame_bytes: int = 0, rate_hz: int = RATE_HZ) -> None:
        self._bytes_per_ms = bytes_per_ms(rate_hz)
        self._max_bytes = max_ms * self._bytes_per_ms
        self._frame_bytes = frame_bytes or FRAME_MS * self._bytes_per_ms
        self._silence = bytes(self._frame_bytes)
        self._items: deque[_Item] = deque()
        self._queued = 0
        self._tail = b""
        self._events: list[PlayoutEvent] = []

    @property
    def queued_ms(self) -> float:
        """Audio that waits to be heard."""
        return self._queued / self._bytes_per_ms

    @property
    def playing(self) -> str | None:
        """The item the caller is hearing: started, and neither cut nor played to its end."""
        if self._items and self._items[0].heard:
            return self._items[0].item_id
        return None

    @property
    def has_events(self) -> bool:
        """Cheap look for the media thread: whether it is worth waking the loop."""
        return bool(self._events)

    def push(self, item_id: str, pcm: bytes) -> int:
        """Append whole samples of an item; answers how many bytes at the end of `pcm` were refused.

        Items play in the order of their first push. Audio of a new item says that the one before is complete.
        """
        room = self._max_bytes - self._queued
        refused = max(len(pcm) - room, 0)
        if refused:
            pcm = pcm[:room]
        if not pcm:
            return refused
        item = self._open(item_id)
        if item.starved >= self._bytes_per_ms:
            self._events.append(Underrun(item_id, item.starved // self._bytes_per_ms))
        item.starved = 0
        item.pieces.append(pcm)
        item.queued += len(pcm)
        self._queued += len(pcm)
        return refused

    def finish(self, item_id: str) -> None:
        """No more audio of this item comes. An item that is not queued (cut, or without audio) is ignored."""
        if self._items and self._items[-1].item_id == item_id:
            self._items[-1].finished = True
            self._retire()

    def pull(self) -> bytes:
        """Exactly one frame for the phone: audio as far as there is some, then silence."""
        if not self._items and not self._tail:
            return self._silence
        frame, self._tail = self._tail, b""
        missing = self._frame_bytes - len(frame)
        while missing and self._items:
            item = self._items[0]
            if not item.heard:
                self._events.append(ItemStarted(item.item_id))
            taken = item.take(missing)
            missing -= len(taken)
            # Joining only a torn frame keeps the usual one free of copies.
            frame = frame + taken if frame else taken
            self._queued -= len(taken)
            if not item.queued and not self._retire():
                item.starved += missing
                break
        return frame + self._silence[:missing] if missing else frame

    def clear(self) -> Cleared:
        """Stop: drop all audio and say what was heard.

        At most 5 ms of the cut audio stay, faded out, for the next frame, so that the cut does not click;
        they count as dropped.
        """
        head = self._items[0] if self._items else None
        cut = head if head is not None and head.heard else None
        unheard = tuple(item.item_id for item in self._items if not item.heard)
        dropped_ms = self._queued // self._bytes_per_ms
        if cut is not None:
            heard_ms = cut.heard_ms
            self._tail = _faded(cut.take(_FADE_MS * self._bytes_per_ms))
            cleared = Cleared(cut.item_id, heard_ms, dropped_ms, unheard)
        else:
            cleared = Cleared(None, 0, dropped_ms, unheard)
        self._items.clear()
        self._queued = 0
        return cleared

    def events(self) -> list[PlayoutEvent]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def _open(self, item_id: str) -> _Item:
        if self._items:
            last = self._items[-1]
            if last.item_id == item_id:
                return last
            last.finished = True
            self._retire()
        item = _Item(item_id, self._bytes_per_ms)
        self._items.append(item)
        return item

    def _retire(self) -> bool:
        """Take the head away if it is complete and heard to its end."""
        head = self._items[0]
        if head.queued or not head.finished:
            return False
        self._items.popleft()
        self._events.append(ItemFinished(head.item_id, head.heard_ms))
        return True


def _faded(pcm: bytes) -> bytes:
    samples = np.frombuffer(pcm, dtype="<i2")
    ramp = np.linspace(1.0, 0.0, len(samples) + 1, dtype=np.float32)[1:]
    return (samples * ramp).astype("<i2").tobytes()
