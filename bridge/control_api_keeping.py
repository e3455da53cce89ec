"""Legal holds over the API (control_api.py): a held call stays as it is, whatever retention says, and is not erased.

    GET    /api/v1/legal_holds                every hold, the newest first
    GET    /api/v1/calls/{id}/legal_hold      the one on a call, or null; the whole id
    POST   /api/v1/calls/{id}/legal_hold      {"reason"} → 201; 409: it is held already
    DELETE /api/v1/calls/{id}/legal_hold      retention may have it again

Setting and lifting takes the right `administer`; the reason is for who may see personal data. Both are in the audit.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bridge.console.keeping import MAX_REASON_CHARS, Keeping
from bridge.control_api import ApiError, ApiRoute, Call, Terms, delete, get, post
from bridge.control_api_docs import FLAG, TEXT, Doc, exactly, list_of, maybe, string, thing
from bridge.control_api_history import whole_id
from bridge.errors import StoreRefusedError
from bridge.store.keepstore import Hold

HOLDS, HOLD = "/api/v1/legal_holds", "/api/v1/calls/{id}/legal_hold"
DOCS = {
    "all": Doc(
        "Every legal hold, the newest first.",
        thing({"holds": list_of(Hold)}),
        details="`reason` is empty for who may not see personal data.",
    ),
    "one": Doc("The legal hold on a call.", thing({"hold": maybe(Hold)}), refuses=(400,)),
    "hold": Doc(
        "Keep everything of a call, whatever the settings of retention say, until it is released.",
        thing({"hold": Hold}),
        exactly({"reason": string(MAX_REASON_CHARS, 1)}),
        refuses=(404, 409),
        details="409: it is held already, and stays so for the reason it is. The audit keeps who and when for ever, "
        "the reason until the call is erased.",
    ),
    "release": Doc(
        "Let retention have a held call again.",
        thing({"call_id": TEXT, "released": FLAG}),
        refuses=(400, 404),
    ),
}


class KeepingApi:
    """The handlers."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        return [
            get(HOLDS, "look", self._all, DOCS["all"]),
            get(HOLD, "look", self._one, DOCS["one"]),
            post(HOLD, "administer", self._hold, DOCS["hold"], Terms(status=201)),
            delete(HOLD, "administer", self._release, DOCS["release"]),
        ]

    async def _all(self, call: Call) -> Mapping[str, Any]:
        return {"holds": [_shown(call, hold) for hold in await self._keeping.all()]}

    async def _one(self, call: Call) -> Mapping[str, Any]:
        hold = await self._keeping.of(whole_id(call))
        return {"hold": _shown(call, hold) if hold else None}

    async def _hold(self, call: Call) -> Mapping[str, Any]:
        call_id, reason = whole_id(call), call.body.get("reason")
        if set(call.body) != {"reason"} or not isinstance(reason, str) or not _fits(reason):
            raise ApiError(
                400, f'why is missing: {{"reason": "case 7"}}, at most {MAX_REASON_CHARS} characters'
            )
        try:
            done = await self._keeping.hold(call_id, reason.strip(), call.user.name, call.how.lower())
        except StoreRefusedError as error:
            raise ApiError(404, str(error)) from None
        hold = await self._keeping.of(call_id)
        if not done or hold is None:  # somebody was quicker, with either
            raise ApiError(409, f"call {call_id} is held already")
        return {"hold": asdict(hold)}

    async def _release(self, call: Call) -> Mapping[str, Any]:
        call_id = whole_id(call)
        if not await self._keeping.release(call_id, call.user.name, call.how.lower()):
            raise ApiError(404, f"call {call_id} is not held")
        return {"call_id": call_id, "released": True}


def _shown(call: Call, hold: Hold) -> dict[str, Any]:
    return asdict(hold) | ({} if call.may("personal") else {"reason": ""})


def _fits(reason: str) -> bool:
    return bool(reason.strip()) and len(reason) <= MAX_REASON_CHARS
