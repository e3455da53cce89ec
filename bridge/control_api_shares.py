"""Links by which somebody without an account sees one call, over the API (control_api.py): those of the console.

    GET    /api/v1/calls/{id}/shares               links that are open, without their secrets
    POST   /api/v1/calls/{id}/shares               {"hours"} → 201 {"path", "url"}: the only time they are seen
    DELETE /api/v1/calls/{id}/shares/{share_id}    from now on it shows nothing

The whole id; all of it takes the right `personal`. A link ends with its maker's right to see the call, so that only
users of the bridge make any.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bridge.console.deeds import Deeds
from bridge.console.web import ROOT
from bridge.control_api import ApiError, ApiRoute, Call, Terms, delete, get, post
from bridge.control_api_docs import FLAG, TEXT, Doc, exactly, list_of, thing
from bridge.control_api_history import whole_id
from bridge.errors import StoreRefusedError
from bridge.store.historystore import HistoryStore, OneCall
from bridge.store.sharestore import MOST_S, Share, ShareStore

BASE = "/api/v1/calls/{id}"
MAX_HOURS = int(MOST_S // 3600)
_SHARE_ID = re.compile(r"[0-9a-f]{16}")
DOCS = {
    "shares": Doc(
        "Links to a call that are open, the newest first; without their secrets.",
        thing({"shares": list_of(Share)}),
        refuses=(400, 404),
    ),
    "share": Doc(
        "Make a link by which somebody without an account sees and hears this call.",
        thing({"share": Share, "path": TEXT, "url": TEXT}),
        exactly({"hours": {"type": "integer", "minimum": 1, "maximum": MAX_HOURS}}),
        refuses=(404, 409),
        details="`path` is seen this once; `url` is it below `console.url` of the settings, empty without. It ends "
        "after so many hours, when it is revoked, and when its maker may not see the call any more. 20 an hour of one "
        "user, 500 open ones.",
    ),
    "unshare": Doc(
        "From now on the link shows nothing.",
        thing({"share_id": TEXT, "revoked": FLAG}),
        refuses=(400, 404),
    ),
}


class SharesApi:
    """The handlers. `url`: console.url, "" without."""

    def __init__(self, history: HistoryStore, shares: ShareStore, deeds: Deeds, url: str = "") -> None:
        self._history = history
        self._shares = shares
        self._deeds = deeds
        self._url = url.rstrip("/")

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        shares = f"{BASE}/shares"
        return [
            get(shares, "personal", self._list, DOCS["shares"]),
            post(shares, "personal", self._share, DOCS["share"], Terms(status=201)),
            delete(f"{shares}/{{share_id}}", "personal", self._unshare, DOCS["unshare"]),
        ]

    async def _list(self, call: Call) -> Mapping[str, Any]:
        one = await self._call(call)
        open_now = await self._shares.of_call(one.record.call_id, time.time())
        return {"shares": [asdict(share) for share in open_now]}

    async def _share(self, call: Call) -> Mapping[str, Any]:
        hours = call.body.get("hours")
        if set(call.body) != {"hours"} or isinstance(hours, bool) or not isinstance(hours, int):
            raise ApiError(400, 'the hours are missing: {"hours": 24}')
        if not 1 <= hours <= MAX_HOURS:
            raise ApiError(400, f"hours must be 1 to {MAX_HOURS}")
        one, by, now = await self._call(call), call.user.name, time.time()
        try:
            secret = await self._shares.give(one.record.call_id, by, now, hours * 3600.0)
        except (
            StoreRefusedError
        ) as error:  # such as this machine's own account, which the store does not know
            raise ApiError(409, str(error)) from None
        share = await self._shares.find(secret, now) if secret is not None else None
        if share is None:
            raise ApiError(429, "too many links: 20 an hour of one user, 500 open ones")
        facts: dict[str, Any] = {"share_id": share.share_id, "hours": hours, "via": call.how.lower()}
        await self._deeds.note("call_shared", by, call_id=one.record.call_id, **facts)
        path = f"{ROOT}/shared/{secret}"
        return {"share": asdict(share), "path": path, "url": f"{self._url}{path}" if self._url else ""}

    async def _unshare(self, call: Call) -> Mapping[str, Any]:
        call_id, share_id = whole_id(call), call.path["share_id"].lower()
        if not _SHARE_ID.fullmatch(share_id) or not await self._shares.revoke(call_id, share_id):
            raise ApiError(404, "there is no such link to this call")
        facts: dict[str, Any] = {"share_id": share_id, "via": call.how.lower()}
        await self._deeds.note("call_unshared", call.user.name, call_id=call_id, **facts)
        return {"share_id": share_id, "revoked": True}

    async def _call(self, call: Call) -> OneCall:
        call_id = whole_id(call)
        one = await self._history.one(call_id)
        if one is None:
            raise ApiError(404, f"there is no call {call_id}")
        return one
