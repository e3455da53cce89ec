"""Control's end of what workers ask for and tell: events into the store, requests to the part that answers them.

    workers ──link──► Desk ──► Store, ToolOffice, Room, WaitingRoom, Credentials, …

Holds no rule of its own; made by control, on whose loop it runs.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from bridge.control_credentials import Credentials
from bridge.control_outbound import OutboundOffice
from bridge.control_owners import Owners
from bridge.control_pages import Facts
from bridge.control_room import Room
from bridge.control_seats import SeatDesk
from bridge.control_speech import Speech
from bridge.control_tools import ToolOffice
from bridge.control_trunks import TrunkSecrets
from bridge.control_voicemail import VoicemailDesk
from bridge.control_waiting import WaitingRoom
from bridge.errors import LinkError
from bridge.link.messages import Event, Hello
from bridge.records.cdr import number
from bridge.store.store import Store

log = structlog.get_logger(__name__)


class Desk:
    """What workers ask for and tell (bridge.link.server.ServerHandlers)."""

    def __init__(
        self, store: Store, credentials: Credentials, facts: Facts, owners: Owners | None = None
    ) -> None:
        self.facts = facts
        self.owners = owners or Owners()
        self.worker_left = asyncio.Event()
        self._store = store
        self._credentials = credentials
        self.tools: ToolOffice | None = None
        self.outbound: OutboundOffice | None = None
        self.trunks: TrunkSecrets | None = None
        self.speech: Speech | None = None
        self.voicemail: VoicemailDesk | None = None
        self.seats: SeatDesk | None = None
        self.news: Callable[[], None] = lambda: None
        self.stored: Callable[[set[str]], None] = lambda _call_ids: None
        self.glimpsed: Callable[[str, Mapping[str, Any]], None] = lambda _call_id, _data: None
        self.room = Room()
        self.waiting = WaitingRoom()

    async def store(self, worker: int, events: Sequence[Event]) -> None:
        """Commit; what was new is counted by the store's `on_stored`."""
        for event in events:
            self.owners.learn(event.boot, [event.call_id])
        began_s = time.monotonic()
        await self._store.write(worker, events)
        self.facts.counts.wrote(time.monotonic() - began_s)
        self.stored({event.call_id for event in events})
        # Those that are not new too: the store may have kept them before and not have said so.
        await self.calls_ended([event.call_id for event in events if event.type == "call.ended"])
        if self.voicemail is not None and any(event.type == "voicemail" for event in events):
            self.voicemail.news()

    async def calls_ended(self, call_ids: Sequence[str]) -> None:
        """Whoever keeps something for these calls lets it go."""
        self.room.ended(call_ids)
        if call_ids and self.tools is not None:
            await self.tools.calls_ended(call_ids)

    async def answer(self, kind: str, data: Mapping[str, Any], hello: Hello) -> dict[str, Any]:
        """`credential`, `trunk_secret`, `room.take`, what waits and what is placed; `tool.*`, `speech.*` if any."""
        self.owners.check(kind, data, hello)
        if self.waiting.knows(kind):
            return await self.waiting.answer(kind, data)
        if kind == "room.take":
            wanted = (str(data["route"]), int(data["max_calls"]))
            granted = self.room.take(str(data["call_id"]), hello.worker, wanted, time.monotonic())
            return {"granted": granted, "live": {} if granted else self.room.live()}
        parts: dict[str, Any] = {"tool": self.tools, "speech": self.speech, "console": self.seats}
        if (part := parts.get(kind.partition(".")[0])) is not None:
            return dict(await part.answer(kind, data))
        alone = {"credential": self._credentials.answer}
        if self.outbound is not None:
            alone["outbound.not_placed"] = partial(self.outbound.not_placed, hello.boot)
        if self.trunks is not None:
            alone["trunk_secret"] = self.trunks.answer
        if kind not in alone:
            raise LinkError(f"control knows no request {kind[:40]!r}")
        return await alone[kind](data)

    def gone(self, hello: Hello) -> None:
        """Look at the spools now rather than in a second: the worker may be dead."""
        del hello
        self.worker_left.set()
        self.news()

    def glimpse(self, hello: Hello, call_id: str, data: Mapping[str, Any]) -> None:
        """What is on its way in a call that somebody looks at."""
        self.owners.check("glimpse", {"call_id": call_id}, hello)
        self.glimpsed(call_id, data)

    def status(self, hello: Hello, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """A media clock that was restarted is a caller who heard a gap: tell it when it happens."""
        self.news()
        held = now.get("held")
        if isinstance(held, dict):
            self.room.told(hello.worker, held, time.monotonic())
        restarts = number(now.get("clock_restarts")) or 0.0
        if restarts > (number(before.get("clock_restarts")) or 0.0):
            log.warning(
                "worker.clock_stalled",
                worker=hello.worker,
                restarts=int(restarts),
                max_late_ms=number(now.get("clock_max_late_ms")),
            )
