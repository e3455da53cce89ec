"""How much audio of each assistant item came in, and so where it may be cut.

A machine: counts and answers, no I/O. `Session` feeds it each audio delta and asks it before every truncate or delete.
Rules (OpenAI Realtime, `conversation.item.truncate`): `audio_end_ms` beyond the real length is an error; truncation
also deletes the transcript, so an item heard to its end is left whole, and one nobody heard is deleted.
Only the last 256 items are kept; older ones can no longer be cut, which no playout buffer ever asks for.
"""

from dataclasses import dataclass

MAX_ITEMS = 256


@dataclass(slots=True)
class _Item:
    received_bytes: int = 0
    content_index: int = 0
    complete: bool = False
    cut: bool = False
    deleted: bool = False
    carry: bytes = b""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where to cut an item. `audio_end_ms` 0: delete it, nothing was heard."""

    content_index: int
    audio_end_ms: int


class ItemLedger:
    """Received audio by item. `bytes_per_ms` and `sample_bytes` are those of the session's output format."""

    def __init__(self, bytes_per_ms: int, sample_bytes: int) -> None:
        self._bytes_per_ms = bytes_per_ms
        self._sample_bytes = sample_bytes
        self._items: dict[str, _Item] = {}

    def received(self, item_id: str, content_index: int, audio: bytes) -> bytes:
        """Count a delta; returns it in whole samples (a split sample waits for the next delta)."""
        item = self._item(item_id)
        item.content_index = content_index
        item.received_bytes += len(audio)
        audio = item.carry + audio
        whole = len(audio) - len(audio) % self._sample_bytes
        item.carry = audio[whole:]
        return audio[:whole]

    def received_ms(self, item_id: str) -> int:
        """Whole milliseconds of audio received for the item so far."""
        item = self._items.get(item_id)
        return item.received_bytes // self._bytes_per_ms if item else 0

    def complete(self, item_id: str) -> None:
        """No more audio of this item comes."""
        self._item(item_id).complete = True

    def cut(self, item_id: str, heard_ms: float) -> Cut | None:
        """Where to cut after `heard_ms` were heard; None: leave it (unknown, cut before, heard whole)."""
        item = self._items.get(item_id)
        if item is None or item.cut or item.deleted:
            return None
        received_ms = item.received_bytes // self._bytes_per_ms
        if item.complete and heard_ms >= received_ms > 0:
            return None
        cut = Cut(item.content_index, max(0, min(int(heard_ms), received_ms)))
        item.cut = True
        item.deleted = cut.audio_end_ms == 0
        return cut

    def delete(self, item_id: str) -> bool:
        """Whether the item may be deleted (it was not before); marks it deleted. A cut item may still be deleted."""
        item = self._item(item_id)
        first = not item.deleted
        item.deleted = True
        return first

    def drop(self, item_id: str) -> bool:
        """Whether the item is to be deleted because nothing of it was handed on; never one cut or deleted before."""
        item = self._item(item_id)
        first = not (item.cut or item.deleted)
        item.deleted = item.deleted or first
        return first

    def _item(self, item_id: str) -> _Item:
        item = self._items.get(item_id)
        if item is None:
            if len(self._items) >= MAX_ITEMS:
                del self._items[next(iter(self._items))]
            item = self._items[item_id] = _Item()
        return item
