"""One party of a call as the steps use it: what is played to it, and the keys it presses.

A shell round one leg's audio: prompts to their end (or to a key), music for as long as a block runs, keys to whoever
listens. On the worker's loop.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator

from bridge.call.tasks import cancelled, either
from bridge.media.frame import BYTES_PER_MS, RATE_HZ
from bridge.media.playout import ItemFinished, PlayoutEvent
from bridge.media.resample import Resampler, converted, ratio
from bridge.sip.leg import Leg

PREFIX = "prompt:"
FEED_S = 0.5
MUSIC_AHEAD_MS = 1000
MAX_KEYS = 64

KeyLine = asyncio.Queue[str]


class Party:
    """`leg` is answered, or on its way to be."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self._numbers = itertools.count()
        self._finished: dict[str, asyncio.Event] = {}
        self._listeners: list[KeyLine] = []
        self._music = 0
        self._swallowed = ("", 0.0)

    def played(self, event: PlayoutEvent) -> bool:
        """The playout clock reports; True when it was about something played here."""
        if not event.item_id.startswith(PREFIX):
            return False
        if isinstance(event, ItemFinished) and event.item_id in self._finished:
            self._finished.pop(event.item_id).set()
        return True

    def press(self, digit: str) -> bool:
        """A key; True when somebody listens for keys."""
        swallowed, until_s = self._swallowed
        if digit == swallowed and time.monotonic() < until_s:
            self._swallowed = ("", 0.0)
            return True
        if not self._listeners:
            return False
        with contextlib.suppress(asyncio.QueueFull):
            self._listeners[-1].put_nowait(digit)
        return True

    def swallow(self, digit: str, within_s: float) -> None:
        """If this key is the next to come, and in time, it belongs to what was typed before it."""
        self._swallowed = (digit, time.monotonic() + within_s)

    @contextlib.contextmanager
    def keys(self) -> Iterator[KeyLine]:
        """The keys pressed inside the block; a block inside it gets them first."""
        line: KeyLine = asyncio.Queue(MAX_KEYS)
        self._listeners.append(line)
        try:
            yield line
        finally:
            self._listeners.remove(line)

    @property
    def listening(self) -> bool:
        """Whether somebody listens for keys."""
        return bool(self._listeners)

    async def play(self, pcm: bytes) -> None:
        """Play PCM (8 kHz, as all prompts are) to its end."""
        if not pcm or self.leg.ended:
            return
        pcm = converted(pcm, RATE_HZ, self.leg.audio.rate_hz)
        if self._music:
            self.leg.audio.clear()
        item_id = f"{PREFIX}{next(self._numbers)}"
        finished = self._finished.setdefault(item_id, asyncio.Event())
        waiting = pcm
        # A prompt longer than the playout holds follows piece by piece; nobody tells when there is room again.
        while waiting := waiting[len(waiting) - self.leg.audio.play(item_id, waiting) :]:  # noqa: ASYNC110
            await asyncio.sleep(FEED_S)
        self.leg.audio.finish(item_id)
        await finished.wait()

    async def play_until_key(self, pcm: bytes, keys: KeyLine) -> str:
        """Play to the end, or to the first key, which is returned: "" when none was pressed."""
        key = await either(keys.get(), self.play(pcm))
        if key is not None:
            self.hush()
        return key or ""

    def hush(self) -> None:
        """Stop what is being played."""
        self.leg.audio.clear()
        for event in self._finished.values():
            event.set()
        self._finished.clear()

    @contextlib.asynccontextmanager
    async def music(self, pcm: bytes) -> AsyncIterator[None]:
        """Loop PCM (8 kHz) for as long as the block runs; what is played meanwhile interrupts it."""
        task = asyncio.create_task(self._loop(pcm))
        self._music += 1
        try:
            yield
        finally:
            self._music -= 1
            await cancelled(task)
            self.hush()

    async def _loop(self, pcm: bytes) -> None:
        size = 2 * MUSIC_AHEAD_MS * BYTES_PER_MS
        position = 0
        rate_hz = self.leg.audio.rate_hz
        widen = None if rate_hz == RATE_HZ else Resampler(*ratio(RATE_HZ, rate_hz))
        while pcm:
            if self.leg.audio.queued_ms < MUSIC_AHEAD_MS:
                piece = pcm[position : position + size]
                position = (position + len(piece)) % len(pcm)
                item_id = f"{PREFIX}{next(self._numbers)}"
                self.leg.audio.play(item_id, piece if widen is None else widen.push(piece))
                self.leg.audio.finish(item_id)
            await asyncio.sleep(FEED_S)
