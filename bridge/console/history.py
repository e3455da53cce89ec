"""The history: calls found by a filter, newest first, page by page; what was found as a file.

    /console/history                 the list; its filter is the query, so that a search can be bookmarked and sent on
    /console/history/export.csv      the same filter as CSV, .jsonl as JSON lines: streamed, and bounded

Who may not see personal data cannot search for it either. What a page shows is bounded, and so is the time it looks.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from bridge.console.deeds import Deeds
from bridge.console.historyrow import row_of
from bridge.console.texts import text
from bridge.console.web import ROOT, PageError, Visit, Web
from bridge.errors import StoreError
from bridge.localday import midnight
from bridge.records.export import FORMATS, head, lines
from bridge.records.search import DIRECTIONS, ENDED_BY, OUTCOMES, Filter, Place, read
from bridge.store.historystore import Found, HistoryStore

PATH = "/history"
DAY_S = 86_400.0
PERSONAL_FIELDS = ("number", "reason", "words")
FLAGS = ("approvals", "trouble", "barge_ins")


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """Calls on a page; of an export the calls read at a time, calls altogether, and seconds; exports at a time."""

    page: int = 50
    export_page: int = 500
    export: int = 100_000
    export_s: float = 600.0
    exports: int = 2


class History:
    """The list and its files."""

    def __init__(
        self,
        web: Web,
        store: HistoryStore,
        deeds: Deeds,
        limits: HistoryLimits = HistoryLimits(),  # frozen
    ) -> None:
        self._web = web
        self._deeds = deeds
        self._store = store
        self._limits = limits
        self._exports = 0

    def routes(self) -> list[BaseRoute]:
        """For the application. Before those of one call: an id is no file's name."""
        return [
            self._web.get(PATH, self._list),
            *(self._web.get(f"{PATH}/export.{kind}", self._exporting(kind)) for kind in FORMATS),
        ]

    async def _list(self, visit: Visit) -> Response:
        given = dict(visit.request.query_params)
        wanted, wrong = _filter(visit, given)
        after = Place.read(given.get("after", ""))
        found = await self._store.page(wanted, after, self._limits.page)
        asked = await self._store.asked([record.call_id for record in found.records])
        personal = visit.may("personal")
        values = {
            "here": "history",
            "rows": [row_of(one, asked.get(one.call_id, 0), personal=personal) for one in found.records],
            "found": found,
            "given": given,
            "wrong": wrong,
            "personal": personal,
            "fields": _fields(given, personal=personal),
            "links": _links(given, found, after, time.time()),
            "zone": time.strftime("%Z (UTC%z)"),
            "known": _known(found),
        }
        return self._web.page("history.html", visit, values)

    def _exporting(self, kind: str) -> Any:
        async def export(visit: Visit) -> Response:
            wanted, wrong = _filter(visit, visit.request.query_params)
            if wrong:  # a file of all calls is not what was asked for
                names = ", ".join(text(f"history.field.{name}") for name in wrong)
                raise PageError(400, text("history.wrong_file", names=names))
            if self._exports >= self._limits.exports:
                raise PageError(503, text("history.busy"))
            name = f"calls-{datetime.now().astimezone():%Y%m%d-%H%M%S}.{kind}"
            headers = {"content-disposition": f'attachment; filename="{name}"'}
            personal = visit.may("personal")
            facts: dict[str, Any] = {
                "kind": kind,
                "filter": wanted.told(),
                "personal": personal,
                "via": "console",
            }
            await self._deeds.note("calls_exported", visit.who.name, **facts)  # before the first line leaves
            body = self._export(wanted, kind, personal=personal)
            return StreamingResponse(body, media_type=FORMATS[kind], headers=headers)

        return export

    async def _export(self, wanted: Filter, kind: str, *, personal: bool) -> AsyncIterator[str]:
        """A file that could not be finished ends in a broken transfer, never as if it were whole."""
        self._exports += 1
        limits, after = self._limits, None
        until_s, left = time.monotonic() + limits.export_s, limits.export
        try:
            yield head(kind, personal=personal)
            while left > 0:
                found = await self._store.page(wanted, after, min(limits.export_page, left))
                yield await asyncio.to_thread(lines, found.records, kind, personal=personal)
                left, after = left - len(found.records), found.next
                if after is None:
                    return
                if time.monotonic() >= until_s:
                    raise StoreError(f"an export took longer than {limits.export_s:g} s")
        finally:
            self._exports -= 1


def _filter(visit: Visit, given: Mapping[str, str]) -> tuple[Filter, tuple[str, ...]]:
    wanted, wrong = read(given)
    return (wanted if visit.may("personal") else wanted.without_persons()), wrong


def _fields(given: Mapping[str, str], *, personal: bool) -> dict[str, Any]:
    """What the form has to choose from, and whether the part that is folded up says something."""
    folded = ("direction", "ended_by", "reason", "route", "agent", "node", "shortest_s", "longest_s", "words")
    return {
        "outcome": [(name, text(f"history.is.{name}")) for name in OUTCOMES],
        "direction": [(name, text(f"history.is.{name}")) for name in DIRECTIONS],
        "ended_by": [(name, text(f"history.is.by.{name}")) for name in ENDED_BY],
        "flags": FLAGS,
        "open": any(given.get(name) for name in (*folded, *FLAGS)),
        "personal": personal,
    }


def _known(found: Found) -> dict[str, list[str]]:
    """What may be typed into these fields, as far as the page shows it."""
    names = ("route", "agent", "node")
    return {name: sorted({getattr(one, name) for one in found.records} - {None, ""}) for name in names}


def _links(given: Mapping[str, str], found: Found, after: Place | None, now: float) -> dict[str, Any]:
    """Other pages of this search, and searches that are asked for often."""
    plain = {name: value for name, value in given.items() if value and name != "after"}

    def to(path: str = "", **query: str) -> str:
        return f"{ROOT}{PATH}{path}" + (f"?{urlencode(query)}" if query else "")

    quick = (
        ("history.today", {"since": _local(midnight(now))}),
        ("history.day", {"since": _local(now - DAY_S)}),
        ("history.week", {"since": _local(now - 7 * DAY_S)}),
        ("history.live", {"outcome": "live"}),
        ("history.troubled", {"trouble": "1"}),
        ("history.approved", {"approvals": "1"}),
    )
    return {
        "quick": [(text(name), to(**query)) for name, query in quick],
        "clear": to(),
        "older": to(**plain, after=str(found.next)) if found.next else "",
        "newest": to(**plain) if after else "",
        "exports": [(kind.upper(), to(f"/export.{kind}", **plain)) for kind in FORMATS],
        "searched_to": found.next.started_at if found.next else 0.0,
    }


def _local(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().replace(tzinfo=None).isoformat(timespec="minutes")
