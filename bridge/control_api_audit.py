"""The audit over the API (control_api.py): who decided, shared, exported, held, changed users. Newest first.

    GET /api/v1/audit    ?call=ID&type=calls_exported&by=NAME&since=…&until=…&before=SEQ&limit=100

It tells what the chain says. Whether the chain holds is `sipbridge audit verify`'s to say, best from another machine.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bridge.console.auditpage import sought_of
from bridge.control_api import ApiError, ApiRoute, Call, get
from bridge.control_api_docs import AT, FLAG, INTEGER, TEXT, Doc, list_of, maybe, string, thing
from bridge.control_api_webhooks import number_of
from bridge.records.search import MAX_CHARS
from bridge.store.auditstore import MOST, AuditStore

PATH = "/api/v1/audit"
USUAL = 100
MAX_SEQ = 999_999_999
ENTRY = thing(
    {
        "seq": INTEGER,
        "at": AT,
        "type": TEXT,
        "actor": TEXT,
        "call_id": TEXT,
        "request_id": TEXT,
        "facts": thing({}),
        "hash": TEXT,
        "personal": maybe(thing({})),
    }
)
DOC = Doc(
    "What people and the bridge did, as the signed chain has it, the newest first.",
    thing({"entries": list_of(ENTRY), "next": maybe(INTEGER), "cut": FLAG}),
    query={
        "call": string(MAX_CHARS),
        "type": string(32),
        "by": string(MAX_CHARS),
        "since": {**string(MAX_CHARS), "description": "ISO 8601, or unix seconds."},
        "until": string(MAX_CHARS),
        "before": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_SEQ,
            "description": "`next` of the page before.",
        },
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL},
    },
    refuses=(400,),
    details="`personal`: arguments, reasons and words; null where there were none, or they were erased. Types: those "
    "of tool requests (requested, approved, …), call_shared, call_unshared, call_exported, calls_exported, "
    "recording_played, recording_downloaded, held, released, erased, call_erased, user_added, token_given, and others. "
    "`cut`: it took too long to look at everything; go on with `next`.",
)


class AuditApi:
    """The handler."""

    def __init__(self, audit: AuditStore) -> None:
        self._audit = audit

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        return [get(PATH, "audit", self._list, DOC)]

    async def _list(self, call: Call) -> Mapping[str, Any]:
        limit = number_of(call, "limit", USUAL, MOST)
        sought, wrong = sought_of(call.query)
        if wrong:
            raise ApiError(400, f"{wrong[0]} cannot be understood")
        found = await self._audit.page(sought, limit)
        entries = [asdict(entry) for entry in found.entries]
        return {"entries": entries, "next": found.next or None, "cut": found.cut}
