"""Calls that were, over the API (control_api.py): the same search as the console's page, and a call's recording.

    GET /api/v1/history                  ?number=4711&outcome=missed&since=…&after=PLACE&limit=50, the newest first
    GET /api/v1/calls/{id}/recording     the WAV, of any node that can be asked for it; the whole id
    GET /api/v1/calls/{id}/transcript    who said what, and what of it the caller did not hear; the whole id

Who may not see personal data can neither search for numbers, reasons and words, nor hear or read anything.
Words that are erased are none.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from bridge.console.callview import words_of
from bridge.console.deeds import Deeds, Listening
from bridge.console.history import PERSONAL_FIELDS
from bridge.console.recordings import Recordings
from bridge.control_api import ApiError, ApiRoute, Call, get
from bridge.control_api_docs import FLAG, NUMBER, TEXT, Doc, along, list_of, maybe, one_of, string, thing
from bridge.control_api_webhooks import number_of
from bridge.records.cdr import CallRecord
from bridge.records.lanes import lanes
from bridge.records.public import hidden, whole
from bridge.records.search import DIRECTIONS, ENDED_BY, MAX_CHARS, OUTCOMES, Place, read
from bridge.store.historystore import HistoryStore, OneCall

PATH, RECORDING = "/api/v1/history", "/api/v1/calls/{id}/recording"
TRANSCRIPT = "/api/v1/calls/{id}/transcript"
MAX_LISTED, USUAL = 500, 50
_ID = re.compile(r"[0-9a-f]{4,100}")
_WORDS = string(MAX_CHARS)
_YES = one_of("1", "")
LINE = thing({"who": TEXT, "start_s": NUMBER, "end_s": NUMBER, "heard": TEXT, "unheard": TEXT})
DOCS = {
    "history": Doc(
        "Search calls, live and over: the newest first.",
        thing({"calls": list_of(along(CallRecord, state=TEXT)), "next": maybe(TEXT), "cut": FLAG}),
        query={
            "since": {**_WORDS, "description": "ISO 8601, or unix seconds."},
            "until": _WORDS,
            "number": {**_WORDS, "description": "Of caller or called, or its end."},
            "direction": one_of(*DIRECTIONS),
            "outcome": one_of(*OUTCOMES),
            "ended_by": one_of(*ENDED_BY),
            "reason": _WORDS,
            "route": _WORDS,
            "agent": _WORDS,
            "node": _WORDS,
            "shortest_s": _WORDS,
            "longest_s": _WORDS,
            "approvals": _YES,
            "trouble": _YES,
            "barge_ins": _YES,
            "words": {**_WORDS, "description": "A part of what was said."},
            "after": {"type": "string", "description": "`next` of the page before."},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": USUAL},
        },
        refuses=(400,),
        details="`cut`: it took too long to look at everything; go on with `next`. Who may not see personal data "
        "cannot search for numbers, reasons and words.",
    ),
    "recording": Doc(
        "The recording of a call: a WAV with two channels, caller and agent.",
        {"type": "string", "format": "binary"},
        refuses=(400, 404, 502),
        details="Of a call that is over; the whole id. Of another node where that says how it is reached (node.url), "
        "otherwise only from the node that has the file. Who took it is in the "
        "audit, once an hour.",
        media="audio/wav",
    ),
    "transcript": Doc(
        "Who said what in a call, as far as it is known.",
        thing(
            {
                "call_id": TEXT,
                "words": one_of("there", "none", "erased"),
                "lines": list_of(LINE),
                "complete": FLAG,
            }
        ),
        refuses=(400, 404),
        details="Seconds from the answer. `unheard`: the end of a text that was cut off before the caller heard it, "
        "an estimate. `complete` false: the call has more events than are looked at. The whole id.",
    ),
}


class HistoryApi:
    """The handlers. `recordings` finds them."""

    def __init__(self, store: HistoryStore, recordings: Recordings, deeds: Deeds) -> None:
        self._store = store
        self._recordings = recordings
        self._listening = Listening(deeds)

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        return [
            get(PATH, "look", self._search, DOCS["history"]),
            get(RECORDING, "personal", self._recording, DOCS["recording"]),
            get(TRANSCRIPT, "personal", self._transcript, DOCS["transcript"]),
        ]

    async def _search(self, call: Call) -> Mapping[str, Any]:
        personal = call.may("personal")
        forbidden = [name for name in PERSONAL_FIELDS if call.query.get(name) and not personal]
        if forbidden:
            raise ApiError(400, f"{forbidden[0]}: who may not see personal data cannot search for it")
        wanted, wrong = read(call.query)
        if wrong:
            raise ApiError(400, f"{wrong[0]} cannot be understood")
        given = call.query.get("after", "")
        after = Place.read(given) if given else None
        if given and after is None:
            raise ApiError(400, "after is none: give what `next` was")
        found = await self._store.page(wanted, after, number_of(call, "limit", USUAL, MAX_LISTED))
        calls = [(whole if personal else hidden)(record) for record in found.records]
        return {"calls": calls, "next": str(found.next) if found.next else None, "cut": found.cut}

    async def _transcript(self, call: Call) -> Mapping[str, Any]:
        one = await self._one(call)
        found = await asyncio.to_thread(lanes, one.events)
        return {
            "call_id": one.record.call_id,
            "words": words_of(one, found),
            "lines": [asdict(line) for line in found.lines],
            "complete": one.complete,
        }

    async def _one(self, call: Call) -> OneCall:
        call_id = whole_id(call)
        one = await self._store.one(call_id)
        if one is None:
            raise ApiError(404, f"there is no call {call_id}")
        return one

    async def _recording(self, call: Call) -> Response:
        one = await self._one(call)
        call_id = one.record.call_id
        answer = await self._recordings.answer(one.record) if one.record.ended_at is not None else None
        if answer is None:
            raise ApiError(
                404, f"call {call_id[:8]} has no recording here (node {self._store.node or 'of this store'})"
            )
        await self._listening.note(call_id, call.user.name, call.how.lower(), download=True)
        return answer


def whole_id(call: Call) -> str:
    """The call of a path, by its whole id: what is shared, heard or held is no guess. ApiError 400: it is none."""
    call_id = call.path["id"].lower()
    if not _ID.fullmatch(call_id):
        raise ApiError(400, "this is no call's id")
    return call_id
