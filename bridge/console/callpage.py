"""The page of one call: its picture, its recording in time with it, words, figures, SIP; as a file; shared by a link.

    /console/history/{id}                  the page; also of a call that goes on, as far as it is known
    /console/history/{id}/recording        the WAV file, also in parts (Range)     /{id}/call.json  everything as JSON
    /console/history/{id}/share, /unshare  a link for somebody without an account, and its end
    /console/history/{id}/hold, /release   a legal hold: kept whatever retention says, until it is lifted
    /console/shared/{secret}[/recording]   what that somebody sees: this one call, nothing to press

Redaction and retention hold at the time of looking: what is erased is said to be. Who hears, takes along, shares or
holds a call is in the audit, and on the page for who may read that. Pages are made
on a thread: that of an hour's talk is a large one.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.console.callview import view
from bridge.console.deeds import ANYBODY, Deeds, Listening
from bridge.console.keeping import MAX_REASON_CHARS, Keeping
from bridge.console.lockout import Lockout
from bridge.console.recordings import THERE, Recordings
from bridge.console.texts import text
from bridge.console.trail import told
from bridge.console.web import ROOT, PageError, Visit, Web
from bridge.records.cdr import CallRecord
from bridge.records.export import as_document
from bridge.records.public import bare
from bridge.records.timeline import build
from bridge.store.auditstore import AuditStore, Sought
from bridge.store.historystore import HistoryStore, OneCall
from bridge.store.sharestore import Share, ShareStore

PATH, SHARED = "/history/{id}", "/shared/{secret}"
HOURS = (1, 24, 168, 720)
MAX_DEEDS = 100
"""Of the audit that are shown with a call."""
MAX_PICTURES = 4
"""Pages of calls that are made at a time."""
_ID = re.compile(r"[\w.@~+-]{1,100}")
_SHARE_ID = re.compile(r"[0-9a-f]{16}")
_NO_INDEX = {"x-robots-tag": "noindex, nofollow, noarchive"}


@dataclass(frozen=True, slots=True)
class CallPageDeps:
    """What the pages work with."""

    store: HistoryStore
    shares: ShareStore
    recordings: Recordings
    keeping: Keeping
    audit: AuditStore
    deeds: Deeds


class CallPage:
    """The pages."""

    def __init__(self, web: Web, deps: CallPageDeps) -> None:
        self._web = web
        self._store, self._shares, self._recordings = deps.store, deps.shares, deps.recordings
        self._keeping, self._audit, self._deeds = deps.keeping, deps.audit, deps.deeds
        self._listening = Listening(deps.deeds)
        self._lockout = Lockout()
        self._making = asyncio.Semaphore(MAX_PICTURES)

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        web = self._web
        return [
            web.get(PATH, self._one),
            web.get(f"{PATH}/recording", self._recording, "personal"),
            web.get(f"{PATH}/call.json", self._document),
            web.post(f"{PATH}/share", self._share, "personal"),
            web.post(f"{PATH}/unshare", self._unshare, "personal"),
            web.post(f"{PATH}/hold", self._hold, "administer"),
            web.post(f"{PATH}/release", self._release, "administer"),
            web.public(SHARED, self._shared),
            web.public(f"{SHARED}/recording", self._shared_recording),
        ]

    # ---- for who has signed in -------------------------------------------------------------------------------

    async def _one(self, visit: Visit) -> Response:
        return await self._page(visit, await self._call(visit))

    async def _page(self, visit: Visit, one: OneCall, link: str = "", status: int = 200) -> Response:
        personal, call_id = visit.may("personal"), one.record.call_id
        shares = await self._shares.of_call(call_id, time.time()) if personal else []
        place = f"{ROOT}/history/{call_id}"
        values = await self._values(one, personal=personal, place=place)
        more: dict[str, Any] = {
            "here": "history",
            "shares": shares,
            "link": link,
            "hours": HOURS,
            "shared": None,
        }
        more |= {"hold": await self._keeping.of(call_id), "reason_chars": MAX_REASON_CHARS}
        if visit.may("audit"):
            deeds = await self._audit.listed(Sought(call_id, deeds=True), MAX_DEEDS)
            more["deeds"] = [told(one, personal=personal) for one in deeds]
        return await asyncio.to_thread(self._web.page, "history_call.html", visit, {**values, **more}, status)

    async def _values(
        self, one: OneCall, *, personal: bool, place: str, shared: bool = False
    ) -> dict[str, Any]:
        state, peaks = self._recording_state(one, personal=personal), None
        if state == THERE:  # a node that does not answer keeps nobody else's page waiting
            state, peaks = await self._recordings.look(one.record)
        async with self._making:
            seen = await asyncio.to_thread(view, one, peaks, personal=personal, shared=shared)
        console = self._recordings.console(one.record)
        return {"it": seen, "recording": state, "place": place, "personal": personal, "console": console}

    def _recording_state(self, one: OneCall, *, personal: bool) -> str:
        """Of the names in words/history.py: a player is shown where there is something to play."""
        record = one.record
        made = bool(record.recording_path) or any(event.type == "recording" for event in one.events)
        if not made:
            return "none" if one.events else "unkept"
        if not personal:
            return "hidden"
        if record.ended_at is None:
            return "running"
        if not record.recording_path:
            return "erased"
        return THERE  # or so it seems

    async def _recording(self, visit: Visit) -> Response:
        return await self._file((await self._call(visit)).record, visit, visit.who.name)

    async def _file(self, record: CallRecord, visit: Visit, by: str, **facts: str) -> Response:
        download = "download" in visit.request.query_params
        answer = await self._recordings.answer(record, "attachment" if download else "inline")
        if answer is None:
            raise PageError(404, text("history.is.recording.gone"))
        await self._listening.note(record.call_id, by, "console", download=download, **facts)
        return answer

    async def _document(self, visit: Visit) -> Response:
        one, personal = await self._call(visit), visit.may("personal")
        body = await asyncio.to_thread(_document_of, one, personal=personal)
        facts: dict[str, Any] = {"kind": "json", "personal": personal, "via": "console"}
        await self._deeds.note("call_exported", visit.who.name, call_id=one.record.call_id, **facts)
        name = f"call-{one.record.call_id[:8]}.json"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(body, media_type="application/json", headers=headers)

    async def _call(self, visit: Visit) -> OneCall:
        return await self._find(str(visit.request.path_params["id"]))

    async def _find(self, call_id: str) -> OneCall:
        one = await self._store.one(call_id) if _ID.fullmatch(call_id) else None
        if one is None:
            raise PageError(404, text("history.no_call"))
        return one

    # ---- links for who has not -------------------------------------------------------------------------------

    async def _share(self, visit: Visit) -> Response:
        one = await self._call(visit)
        hours = next((hours for hours in HOURS if str(hours) == visit.form.get("hours")), None)
        if hours is None:
            raise PageError(400, text("error.form"))
        call_id, by, now = one.record.call_id, visit.who.name, time.time()
        secret = await self._shares.give(call_id, by, now, hours * 3600.0)
        share = await self._shares.find(secret, now) if secret is not None else None
        if share is None:
            raise PageError(429, text("history.share.too_many"))
        facts: dict[str, Any] = {"share_id": share.share_id, "hours": hours, "via": "console"}
        await self._deeds.note(
            "call_shared", by, call_id=call_id, **facts
        )  # else nobody gets to see the link
        return await self._page(visit, one, f"{self._web.base(visit)}{ROOT}/shared/{secret}")

    async def _unshare(self, visit: Visit) -> Response:
        one, share_id = await self._call(visit), visit.form.get("share_id", "")
        if _SHARE_ID.fullmatch(share_id) and await self._shares.revoke(one.record.call_id, share_id):
            facts: dict[str, Any] = {"share_id": share_id, "via": "console"}
            await self._deeds.note("call_unshared", visit.who.name, call_id=one.record.call_id, **facts)
        return await self._page(visit, one)

    async def _hold(self, visit: Visit) -> Response:
        one, reason = await self._call(visit), visit.form.get("reason", "").strip()
        if not reason or len(reason) > MAX_REASON_CHARS:
            raise PageError(400, text("history.hold.why"))
        await self._keeping.hold(one.record.call_id, reason, visit.who.name, "console")
        return await self._page(visit, one)

    async def _release(self, visit: Visit) -> Response:
        one = await self._call(visit)
        await self._keeping.release(one.record.call_id, visit.who.name, "console")
        return await self._page(visit, one)

    async def _shared(self, visit: Visit) -> Response:
        share, one = await self._behind(visit)
        place = f"{ROOT}/shared/{visit.request.path_params['secret']}"
        values = await self._values(one, personal=True, place=place, shared=True)
        answer = await asyncio.to_thread(
            self._web.page, "history_shared.html", None, {**values, "shared": share}
        )
        answer.headers.update(_NO_INDEX)
        return answer

    async def _shared_recording(self, visit: Visit) -> Response:
        share, one = await self._behind(visit)
        by = f"{ANYBODY} {share.share_id}"
        answer = await self._file(one.record, visit, by, shared_by=share.user)
        answer.headers.update(_NO_INDEX)
        return answer

    async def _behind(self, visit: Visit) -> tuple[Share, OneCall]:
        """What a link shows. Who tries many that are none has to wait."""
        secret, now = str(visit.request.path_params["secret"]), time.monotonic()
        address = visit.address
        if self._lockout.wait_s(address, now) > 0:
            raise PageError(429, text("history.shared.wait"))
        share = await self._shares.find(secret, time.time())
        one = await self._store.one(share.call_id) if share else None
        if share is None or one is None:
            self._lockout.failed(address, now)
            raise PageError(404, text("history.shared.gone"))
        return share, one


def _document_of(one: OneCall, *, personal: bool) -> str:
    timeline = build(one.events)
    requests = [
        {"request_id": it.request_id, "tool": it.tool, "state": it.state, "created_at": it.created_at}
        for it in one.requests
    ]
    more: Mapping[str, Any] = {"timeline": bare(timeline), "requests": requests, "complete": one.complete}
    if personal:
        more = {**more, "timeline": asdict(timeline), "events": [asdict(event) for event in one.events]}
    return as_document(one.record, more, personal=personal)
