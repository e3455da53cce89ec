"""The calls whose pages are open: each is read once for all who look at it, on from where it was read last.

    LiveStore.news ─► Story ─► every page of the call         what this node stores itself rings at once (`poke`)
    worker ─► glimpse (words on their way, levels) ─► Story, levels ─► the same        only while somebody looks

A story that nobody looks at is kept for a moment: the page that was just loaded opens its stream. Runs on control's
loop; a long story is folded beside it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import structlog

from bridge.bell import Bell, Looks
from bridge.console.callstory import Story
from bridge.errors import StoreError
from bridge.records.cdr import CallRecord
from bridge.store.livestore import AT_ONCE, LiveStore, Told

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2
PAUSE_S = 0.05
KEEP_S = 20.0
WATCH_S = 12.0
"""So long a worker tells of words and levels after it was asked to."""
ASK_EVERY_S = 4.0
MAX_IDLE = 16
MAX_ITEM_CHARS = 200
SOME = 50
Ask = Callable[[CallRecord, float], None]
"""Have a call's worker tell for so many seconds."""


class Watched:
    """One call. `record` as it was first read; `levels`: 0 to 100 by speaker; `bell` rings when anything is new."""

    def __init__(self, record: CallRecord) -> None:
        self.record = record
        self.story, self.bell, self.looks = Story(), Bell(), Looks()
        self.levels: dict[str, int] = {}
        self.watchers = 0
        self.seen_at = 0.0
        self.asked_at = float("-inf")


class CallWatch:
    """`ask`: the call's worker is to tell what is on its way (`glimpsed`)."""

    def __init__(self, store: LiveStore, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self.closed = False
        self._store = store
        self._ask = ask
        self._clock = clock
        self._calls: dict[str, Watched] = {}
        self._watched, self._poked = asyncio.Event(), asyncio.Event()

    def poke(self, call_ids: frozenset[str]) -> None:
        """Something was stored here about these calls."""
        if not call_ids.isdisjoint(self._calls):
            self._poked.set()

    def glimpsed(self, call_id: str, data: Mapping[str, Any]) -> None:
        """What a worker tells of a call that is looked at: {"words": [[who, item, text]], "levels": {who: 0..100}}."""
        watched = self._calls.get(call_id)
        if watched is None:
            return
        words, levels = data.get("words"), data.get("levels")
        for one in words[:SOME] if isinstance(words, list) else ():
            if isinstance(one, list) and len(one) == 3:
                who, item_id, text = map(str, one)
                watched.story.hear(who, item_id[:MAX_ITEM_CHARS], text, time.time())
        if isinstance(levels, dict):
            watched.levels = {
                who: max(0, min(int(value), 100))
                for who, value in levels.items()
                if who in {"caller", "agent"} and isinstance(value, int)
            }
        watched.bell.ring()

    async def look(self, call_id: str) -> Watched | None:
        """The call as it is now, live or over; None: there is none. Raises StoreError."""
        watched = self._calls.get(call_id)
        if watched is None:
            record = await self._store.call(call_id)
            if record is None:
                return None
            watched = self._calls.setdefault(call_id, Watched(record))
        watched.seen_at = self._clock()
        await watched.looks.share(lambda: self._read(watched))
        self._forget()
        return watched

    @contextlib.asynccontextmanager
    async def watched(self, watched: Watched) -> AsyncIterator[None]:
        """Inside of it the call is kept up to date."""
        self._calls[watched.record.call_id] = watched
        watched.watchers += 1
        self._watched.set()
        self._poked.set()
        try:
            yield
        finally:
            watched.watchers -= 1
            watched.seen_at = self._clock()
            if not any(one.watchers for one in self._calls.values()):
                self._watched.clear()

    async def run(self) -> None:
        """Look, while somebody does. Until cancelled; no mistake in here may end control."""
        while True:
            await self._watched.wait()
            self._poked.clear()
            try:
                await self._look()
            except StoreError:  # the feed's snapshot says it
                pass
            except Exception:
                log.exception("console.watch_failed")
            await asyncio.sleep(PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S - PAUSE_S):
                    await self._poked.wait()

    def close(self) -> None:
        """Whoever waits for news need not any more."""
        self.closed = True
        for watched in self._calls.values():
            watched.bell.ring()

    async def _look(self) -> None:
        now = self._clock()
        looked_at = [one for one in self._calls.values() if one.watchers and one.story.now.ended is None]
        for watched in looked_at:
            if now - watched.asked_at >= ASK_EVERY_S:
                watched.asked_at = now
                self._ask(watched.record, WATCH_S)
        news = await self._store.news({one.record.call_id: one.story.place for one in looked_at})
        for watched in looked_at:
            if _take(watched.story, news.get(watched.record.call_id, [])):
                watched.bell.ring()
        self._forget()

    async def _read(self, watched: Watched) -> None:
        """Everything there is by now."""
        call_id = watched.record.call_id
        while True:
            told = (await self._store.news({call_id: watched.story.place}))[call_id]
            if not watched.story.place and len(told) > SOME:  # nobody looks at it yet
                await asyncio.to_thread(_take, watched.story, told)
            elif _take(watched.story, told):
                watched.bell.ring()
            if len(told) < AT_ONCE:
                return

    def _forget(self) -> None:
        now = self._clock()
        idle = [one for one in self._calls.values() if not one.watchers]
        idle.sort(key=lambda one: one.seen_at, reverse=True)
        for place, one in enumerate(idle):
            if place >= MAX_IDLE or now - one.seen_at > KEEP_S:
                self._calls.pop(one.record.call_id, None)


def _take(story: Story, told: list[Told]) -> bool:
    """Whether anything changed."""
    before = story.changes
    for one in told:
        story.take(one.place, one.type, one.at, one.mono, one.data)
    return story.changes != before
