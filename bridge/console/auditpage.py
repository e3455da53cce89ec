"""The audit: who did what, the newest first; found by who, what, call and time; what was found as a file.

    /console/audit                 the list; its filter is the query, so that a search can be bookmarked and sent on
    /console/audit/export.jsonl    the same filter as JSON lines, each an entry as the API gives it

For who may read it by the API, which has the same entries (control_api_audit.py); what is erased is erased here too.
That the chain holds is not looked at here: the page says how far control's watch has come (control_auditwatch.py).
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.console.deeds import Deeds
from bridge.console.healthfacts import Chain
from bridge.console.lists import Files, ListLimits, lately, link
from bridge.console.texts import text
from bridge.console.trail import KINDS, Told, kind_words, told
from bridge.console.web import PageError, Visit, Web
from bridge.records.search import moment, typed, understood
from bridge.store.auditstore import AuditEntry, AuditStore, Found, Sought

PATH = "/audit"
_KIND = re.compile(r"[a-z_]{1,32}")
_SEQ = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as the table has it. `tool`: of its request, "" without one. `open`: the request has a page.

    `raw`: the entry as the API gives it.
    """

    entry: AuditEntry
    told: Told
    tool: str
    open: bool
    raw: str


class AuditPage:
    """The list and its file. `chain`: what is known of it now."""

    def __init__(
        self,
        web: Web,
        store: AuditStore,
        deeds: Deeds,
        limits: ListLimits,
        files: Files,
        chain: Callable[[], Chain],
    ) -> None:
        self._web, self._store, self._deeds = web, store, deeds
        self._limits, self._files, self._chain = limits, files, chain

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        get = self._web.get
        return [get(PATH, self._list, "audit"), get(f"{PATH}/export.jsonl", self._export, "audit")]

    async def _list(self, visit: Visit) -> Response:
        given = dict(visit.request.query_params)
        sought, wrong = sought_of(given)
        found = await self._store.page(sought, self._limits.page)
        tools = await self._store.tools({one.request_id for one in found.entries} - {""})
        chain, last = self._chain(), await self._store.end()  # in this order: the chain only grows
        values = {
            "here": "audit",
            "group": "audit.field.",
            "rows": [row_of(one, tools) for one in found.entries],
            "found": found,
            "given": given,
            "wrong": wrong,
            "fields": {"type": _kinds(given.get("type", ""))},
            "known": {"by": sorted({one.actor for one in found.entries})},
            "links": _links(given, found, sought, time.time()),
            "zone": time.strftime("%Z (UTC%z)"),
            "chain": replace(chain, problem=chain.problem or chain.missing(last)),
            "last": last,
        }
        return await asyncio.to_thread(self._web.page, "audit.html", visit, values)

    async def _export(self, visit: Visit) -> Response:
        sought, wrong = sought_of(visit.request.query_params)
        if wrong:  # a file of everything is not what was asked for
            names = ", ".join(text(f"audit.field.{name}") for name in wrong)
            raise PageError(400, text("history.wrong_file", names=names))
        self._files.room()
        facts: dict[str, Any] = {"kind": "jsonl", "filter": sought.told(), "via": "console"}
        await self._deeds.note("audit_exported", visit.who.name, **facts)  # before the first line leaves

        async def read(after: Sought | None, most: int) -> tuple[str, int, Sought | None]:
            found = await self._store.page(after or sought, most)
            rows = await asyncio.to_thread(_lines, found)
            return rows, len(found.entries), sought.below(found.next) if found.next else None

        return self._files.answer("audit", "jsonl", read)


def sought_of(query: Mapping[str, str]) -> tuple[Sought, tuple[str, ...]]:
    """What a query looks for, and the names of what could not be understood of it."""
    given, wrong = understood(query, _READERS)
    sought = Sought(
        call_id=given.get("call", ""),
        type=given.get("type", ""),
        actor=given.get("by", ""),
        before=given.get("before", 0),
        since=given.get("since"),
        until=given.get("until"),
    )
    return sought, wrong


def row_of(entry: AuditEntry, tools: Mapping[str, str]) -> Row:
    """`tools`: of the requests that are still there."""
    tool = tools.get(entry.request_id, "")
    raw = json.dumps(asdict(entry), indent=2, ensure_ascii=False)
    named = tool or str(entry.facts.get("tool") or "")
    return Row(entry, told(entry, personal=True), named, bool(tool), raw)


def _lines(found: Found) -> str:
    return "".join(json.dumps(asdict(entry)) + "\n" for entry in found.entries)


def _kinds(given: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """What can be chosen, in groups; what an address asks for besides is one more."""
    groups = [
        (
            text(f"audit.kinds.{group}"),
            sorted(((kind, kind_words(kind)) for kind in kinds), key=lambda it: it[1]),
        )
        for group, kinds in KINDS.items()
    ]
    if given and not any(given in kinds for kinds in KINDS.values()):
        groups.append((text("audit.kinds.other"), [(given, kind_words(given))]))
    return groups


def _links(given: Mapping[str, str], found: Found, sought: Sought, now: float) -> dict[str, Any]:
    """Other pages of this search, its file, and searches that are asked for often."""
    plain = {name: given[name] for name in _READERS if given.get(name) and name != "before"}
    return {
        "quick": lately(PATH, now),
        "clear": link(PATH),
        "older": link(PATH, **plain, before=str(found.next)) if found.next else "",
        "newest": link(PATH, **plain) if sought.before else "",
        "export": link(f"{PATH}/export.jsonl", **plain),
    }


def _kind(given: str) -> str:
    """No digits: what was looked for stays in the audit, and a number that was typed here must not."""
    if not _KIND.fullmatch(given):
        raise ValueError(given)
    return given


def _seq(given: str) -> int:
    if not _SEQ.fullmatch(given):
        raise ValueError(given)
    return int(given)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "by": typed,
    "type": _kind,
    "call": typed,
    "since": moment,
    "until": moment,
    "before": _seq,
}
