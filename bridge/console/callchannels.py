"""What open pages of live calls are told, and what a visitor may see of them (stream.Channel)."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from bridge.console.callstory import Entry, Story
from bridge.console.calltable import Row, shown_to
from bridge.console.callwatch import CallWatch, Watched
from bridge.console.feed import Feed
from bridge.console.livecalls import LiveCalls
from bridge.console.pieces import Diff, Seen
from bridge.console.snapshot import Snapshot
from bridge.console.stream import BYE, framed
from bridge.console.texts import TEXTS
from bridge.console.web import Visit, Web
from bridge.records.public import masked


def row_view(visit: Visit, row: Row) -> dict[str, Any]:
    """What a template shows of a row to this visitor."""
    caller, display, called = shown_to(row, personal=visit.may("personal"))
    return {"it": row, "caller": caller, "display": display, "called": called}


def entry_view(visit: Visit, entry: Entry) -> dict[str, Any]:
    """What a template shows of an entry to this visitor."""
    named = f"state.{entry.state}" if f"state.{entry.state}" in TEXTS else "call.state.running"
    state = "call.state.done" if entry.state == "done" else named
    return {"it": entry, "state": state, "personal": visit.may("personal"), "decides": visit.may("decide")}


def call_view(visit: Visit, watched: Watched, *, connected: bool) -> dict[str, Any]:
    """What a template shows of a call to this visitor."""
    record, story, personal = watched.record, watched.story, visit.may("personal")
    return {
        "id": record.call_id,
        "record": record,
        "caller": _number(record.from_uri, personal=personal),
        "called": _number(record.to_uri, personal=personal),
        "display": record.from_display if personal else "",
        "personal": personal,
        "state": story.now,
        "doing": "approval" if story.waits and story.now.ended is None else story.now.doing,
        "live": story.now.ended is None,
        "connected": connected,
        "since": story.now.answered_at or record.started_at,
        "delays": delays(story),
        "name": story.name,
    }


def _number(number: str | None, *, personal: bool) -> str:
    return (number if personal else masked(number)) or ""


def delays(story: Story) -> list[tuple[str, float, float]]:
    """(name, last, worst) in milliseconds of what was measured."""
    measured = ((name, story.figures.get(name)) for name in ("answer", "silence", "tool"))
    return [(name, found[-1], max(found)) for name, found in measured if found]


class TableChannel:
    """The table of live calls."""

    def __init__(self, web: Web, calls: LiveCalls, feed: Feed, visit: Visit, shown: str) -> None:
        self._web = web
        self._calls = calls
        self._feed = feed
        self._visit = visit
        self._seen: Seen[Row] = Seen(shown)
        self._rung = -1
        self._around: tuple[int, str] | None = None

    @property
    def over(self) -> bool:
        """Control ends."""
        return self._calls.closed

    def watched(self) -> AbstractAsyncContextManager[None]:
        """As long as the page is open."""
        return self._calls.watched()

    async def frames(self) -> AsyncIterator[str]:
        """At most one."""
        self._rung, table, now = self._calls.bell.rung, self._calls.table, self._feed.snapshot
        diff = self._seen.compare(table.by_key, table.name)
        around = (now.pending, now.problem)
        if not diff and around == self._around:
            return
        self._around = around
        values = {
            "added": [row_view(self._visit, row) for row in diff.added],
            "changed": [row_view(self._visit, row) for row in diff.changed],
            "gone": diff.gone,
            "whole": diff.whole,
            "table": table,
            "now": now,
        }
        html = await asyncio.to_thread(self._web.piece, "calls_news.html", self._visit, values)
        yield framed("news", html, table.name)

    async def news(self, within_s: float) -> bool:
        """Another table, or another number of approvals."""
        return await self._calls.bell.wait(self._rung, within_s) != self._rung


class CallChannel:
    """One call: what happens, how it stands, and how loud it is."""

    def __init__(
        self, web: Web, watch: CallWatch, feed: Feed, visit: Visit, watched: Watched, shown: str
    ) -> None:
        self._web = web
        self._watch = watch
        self._feed = feed
        self._visit = visit
        self._call = watched
        self._seen: Seen[Entry] = Seen(shown)
        self._rung = -1
        self._head: tuple[Any, ...] = ()
        self._hands: tuple[Any, ...] | None = None
        self._levels: Mapping[str, int] = {}
        self._over = False

    @property
    def over(self) -> bool:
        """The call, or control."""
        return self._over or self._watch.closed

    def watched(self) -> AbstractAsyncContextManager[None]:
        """As long as the page is open."""
        return self._watch.watched(self._call)

    async def frames(self) -> AsyncIterator[str]:
        """What is new of the call, how loud it is, and at last that it is over."""
        self._rung = self._call.bell.rung
        story, now = self._call.story, self._feed.snapshot
        diff = self._seen.compare(story.entries, story.name)
        head = (story.now, delays(story), now.pending, now.problem)
        if diff or head != self._head:
            self._head = head
            name, values = story.name, self._values(diff, now)
            html = await asyncio.to_thread(self._web.piece, "call_news.html", self._visit, values)
            yield framed("news", html, name)
        if self._call.levels != self._levels:
            self._levels = self._call.levels
            yield framed("levels", json.dumps(self._levels))
        if story.now.ended is not None and not self._over and self._rung == self._call.bell.rung:
            self._over = True
            yield BYE

    def _values(self, diff: Diff[Entry], now: Snapshot) -> dict[str, Any]:
        story = self._call.story.now
        hands = (story.recorded, story.paused_by, story.person)
        moved, self._hands = self._hands not in {None, hands}, hands
        return {
            "hands_moved": moved,
            "added": [entry_view(self._visit, entry) for entry in diff.added],
            "changed": [entry_view(self._visit, entry) for entry in diff.changed],
            "gone": diff.gone,
            "whole": diff.whole,
            "call": call_view(self._visit, self._call, connected=True),
            "now": now,
        }

    async def news(self, within_s: float) -> bool:
        """Something of this call."""
        return await self._call.bell.wait(self._rung, within_s) != self._rung
