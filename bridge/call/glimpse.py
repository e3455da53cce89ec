"""What is on its way in a call, for people who look at it: words before they are whole, and how loud it is.

    Journal.partial ─words─┐
    AudioPort ─► Meter ────┴─► every EVERY_S, while somebody looks ─► tell ─► control ─► pages

Nobody looks: the last words are remembered (they come some times a second while somebody speaks), nothing is measured
and nothing is sent. A look is a lease: control asks again as long as a page is open. On the worker's loop.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from bridge.media.meter import Meter
from bridge.sip.port import AudioPort

EVERY_S = 0.125
MAX_WATCH_S = 60.0
MAX_ITEMS = 8
MAX_CHARS = 4000
Tell = Callable[[str, Mapping[str, Any]], None]


class Glimpse:
    """Of one call. `tell(call_id, {"words": [[who, item, text]], "levels": {who: 0..100}})` never waits."""

    def __init__(self, call_id: str, audio: AudioPort, tell: Tell) -> None:
        self._call_id = call_id
        self._audio = audio
        self._tell = tell
        self._until_s = 0.0
        self._wanted = asyncio.Event()
        self._words: dict[tuple[str, str], str] = {}
        self._told: dict[tuple[str, str], str] = {}
        self._levels: dict[str, int] = {}

    def words(self, who: str, item_id: str, text: str) -> None:
        """What was said of an item so far."""
        self._words.pop((who, item_id), None)
        self._words[who, item_id] = text[-MAX_CHARS:]
        while len(self._words) > MAX_ITEMS:
            del self._words[next(iter(self._words))]

    def watch(self, seconds: float) -> None:
        """Somebody looks, for so long."""
        self._until_s = time.monotonic() + min(seconds, MAX_WATCH_S)
        self._wanted.set()

    async def run(self) -> None:
        """Tell, while somebody looks. Until cancelled."""
        while True:
            await self._wanted.wait()
            meter = self._audio.meter = Meter()
            self._told, self._levels = {}, {}
            try:
                while time.monotonic() < self._until_s:
                    self._look(meter)
                    await asyncio.sleep(EVERY_S)
            finally:
                self._audio.meter = None
            self._wanted.clear()

    def _look(self, meter: Meter) -> None:
        data: dict[str, Any] = {}
        new = {key: text for key, text in self._words.items() if self._told.get(key) != text}
        if new:
            data["words"] = [[who, item_id, text] for (who, item_id), text in new.items()]
            self._told = dict(self._words)
        levels = meter.levels()
        if levels != self._levels:
            data["levels"] = self._levels = levels
        if data:
            self._tell(self._call_id, data)
