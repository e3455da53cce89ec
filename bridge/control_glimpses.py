"""What is on its way in calls that somebody looks at, brought to the pages: of this node's workers, and of others'.

    page ─► ask ─► worker here                                        worker ─► take ─► page here
              └─NOTIFY "watch"─► its node's control ─► worker ─► take ─NOTIFY "glimpse"─► page there

Nothing of it is kept and all of it may be lost: the record has the words when they are whole. A node tells the others
only of calls that one of them has asked for a moment ago. Runs on control's loop.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from bridge.errors import StoreError
from bridge.link.messages import Message, Watch
from bridge.records.cdr import CallRecord
from bridge.store.commandstore import tell
from bridge.store.store import Store

log = structlog.get_logger(__name__)

WATCH, GLIMPSE = "watch", "glimpse"
MAX_WAITING = 64
MAX_DATA_BYTES = 6000
"""PostgreSQL takes 8000 bytes in a word; longer words are left out, whole ones come with the record."""
MAX_CALLS = 200
MAX_SECONDS = 60.0
Tell = Callable[[str, Message], bool]


class Glimpses:
    """`tell(boot, message)`: to a worker here; False: it is not here. `page(call_id, data)`: to this node's pages."""

    def __init__(self, store: Store, tell_worker: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self.page: Callable[[str, Mapping[str, Any]], None] = lambda _call_id, _data: None
        self._store = store
        self._tell = tell_worker
        self._clock = clock
        self._far: dict[str, float] = {}
        self._waiting: deque[tuple[str, dict[str, str]]] = deque(maxlen=MAX_WAITING)
        self._some = asyncio.Event()

    def ask(self, record: CallRecord, seconds: float) -> None:
        """Somebody looks at this call, for so long."""
        if not self._tell(record.boot, Watch(record.call_id, seconds)) and self._store.shared:
            words = {"boot": record.boot, "call_id": record.call_id, "seconds": f"{seconds:g}"}
            self._say(WATCH, words)

    def take(self, call_id: str, data: Mapping[str, Any]) -> None:
        """A worker of this node tells."""
        self.page(call_id, data)
        if self._far.get(call_id, 0.0) > self._clock():
            text = json.dumps(data, separators=(",", ":"))
            if len(text) > MAX_DATA_BYTES:
                text = json.dumps({"levels": data.get("levels", {})})
            self._say(GLIMPSE, {"call_id": call_id, "data": text})

    def told(self, topic: str, words: Mapping[str, Any]) -> None:
        """A word from another node (or our own, which comes back: nobody here has asked then)."""
        call_id = str(words.get("call_id"))
        if words.get("origin") == self._store.node:
            return
        if topic == WATCH:
            self._asked_from_afar(str(words.get("boot")), call_id, words.get("seconds"))
        elif topic == GLIMPSE:
            try:
                data = json.loads(str(words.get("data")))
            except ValueError:
                return
            if isinstance(data, dict):
                self.page(call_id, data)

    async def run(self) -> None:
        """Tell the other nodes, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                topic, words = self._waiting.popleft()
                try:
                    await tell(self._store, topic, words)
                except StoreError as error:
                    log.debug("glimpses.store", reason=str(error))

    def _asked_from_afar(self, boot: str, call_id: str, seconds: Any) -> None:
        try:
            for_s = min(float(str(seconds)), MAX_SECONDS)
        except ValueError:
            return
        now = self._clock()
        if self._tell(boot, Watch(call_id, for_s)):
            self._far = {known: until for known, until in self._far.items() if until > now}
            if call_id in self._far or len(self._far) < MAX_CALLS:
                self._far[call_id] = now + for_s

    def _say(self, topic: str, words: dict[str, str]) -> None:
        self._waiting.append((topic, {**words, "origin": self._store.node}))
        self._some.set()
