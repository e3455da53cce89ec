"""The history: calls found by a filter, newest first, page by page; what was found as a file.

    /console/history                 the list; its filter is the query, so that a search can be bookmarked and sent on
    /console/history/export.csv      the same filter as CSV, .jsonl as JSON lines: streamed, and bounded

Who may not see personal data cannot search for it either. What a page shows is bounded, and so is the time it looks.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.console.deeds import Deeds
from bridge.console.historyrow import row_of
from bridge.console.lists import Files, ListLimits, lately, link
from bridge.console.texts import text
from bridge.console.web import PageError, Visit, Web
from bridge.records.export import FORMATS, head, lines
from bridge.records.search import DIRECTIONS, ENDED_BY, OUTCOMES, Filter, Place, read
from bridge.store.historystore import Found, HistoryStore

PATH = "/history"
PERSONAL_FIELDS = ("number", "reason", "words")
FLAGS = ("approvals", "trouble", "barge_ins")


class History:
    """The list and its files."""

    def __init__(self, web: Web, store: HistoryStore, deeds: Deeds, limits: ListLimits, files: Files) -> None:
        self._web = web
        self._deeds = deeds
        self._store = store
        self._limits = limits
        self._files = files

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
            "group": "history.field.",
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
            self._files.room()
            personal = visit.may("personal")
            facts: dict[str, Any] = {
                "kind": kind,
                "filter": wanted.told(),
                "personal": personal,
                "via": "console",
            }
            await self._deeds.note("calls_exported", visit.who.name, **facts)  # before the first line leaves

            async def read(after: Place | None, most: int) -> tuple[str, int, Place | None]:
                found = await self._store.page(wanted, after, most)
                rows = await asyncio.to_thread(lines, found.records, kind, personal=personal)
                return rows, len(found.records), found.next

            return self._files.answer("calls", kind, read, head(kind, personal=personal))

        return export


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
    quick = (
        ("history.live", {"outcome": "live"}),
        ("history.troubled", {"trouble": "1"}),
        ("history.approved", {"approvals": "1"}),
    )
    return {
        "quick": [*lately(PATH, now), *((text(name), link(PATH, **query)) for name, query in quick)],
        "clear": link(PATH),
        "older": link(PATH, **plain, after=str(found.next)) if found.next else "",
        "newest": link(PATH, **plain) if after else "",
        "exports": [(kind.upper(), link(f"{PATH}/export.{kind}", **plain)) for kind in FORMATS],
        "searched_to": found.next.started_at if found.next else 0.0,
    }
