"""Webhooks over the API (control_api.py): how they fare, what they were told, and trying again. ops/webhooks.md.

GET  /api/v1/webhooks                            every endpoint of the settings, and how it fares
POST /api/v1/webhooks/{name}/test                send an event that says nothing
POST /api/v1/webhooks/{name}/enable              let one be told again that failed for too long
GET  /api/v1/webhooks/deliveries                 ?endpoint=NAME&state=parked&limit=100, the newest first
POST /api/v1/webhooks/deliveries/{id}/redeliver  once more
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import structlog

from bridge.control_api import ApiError, ApiRoute, Call, Terms, get, post
from bridge.control_api_docs import INTEGER, TEXT, Doc, list_of, one_of, string, thing
from bridge.control_webhooks import WebhookDesk
from bridge.store.webhookstore import STATES, Delivery, EndpointView

log = structlog.get_logger(__name__)

BASE = "/api/v1/webhooks"
MAX_LISTED = 1000
USUAL = 100
DOCS = {
    "list": Doc(
        "Every webhook of the settings, and how it fares.", thing({"webhooks": list_of(EndpointView)})
    ),
    "test": Doc(
        "Send an event of type `test`, even where a webhook fails or is disabled.",
        thing({"webhook": TEXT}),
        refuses=(404,),
    ),
    "enable": Doc(
        "Let a webhook be told again that failed for too long.", thing({"webhook": TEXT}), refuses=(404,)
    ),
    "deliveries": Doc(
        "What webhooks were told, or have to be: the newest first.",
        thing({"deliveries": list_of(Delivery)}),
        query={
            "endpoint": string(64),
            "state": one_of(*STATES),
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": USUAL},
        },
        refuses=(400,),
    ),
    "redeliver": Doc(
        "Tell a webhook once more what is delivered or parked.",
        thing({"delivery_id": INTEGER}),
        refuses=(404,),
    ),
}


class WebhooksApi:
    """The handlers."""

    def __init__(self, desk: WebhookDesk) -> None:
        self._desk = desk

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        terms = Terms(status=202)
        return [
            get(BASE, "audit", self._list, DOCS["list"]),
            get(f"{BASE}/deliveries", "audit", self._deliveries, DOCS["deliveries"]),
            post(f"{BASE}/deliveries/{{id}}/redeliver", "administer", self._again, DOCS["redeliver"], terms),
            post(f"{BASE}/{{name}}/test", "administer", self._test, DOCS["test"], terms),
            post(f"{BASE}/{{name}}/enable", "administer", self._enable, DOCS["enable"]),
        ]

    async def _list(self, _call: Call) -> Mapping[str, Any]:
        return {"webhooks": [asdict(one) for one in await self._desk.shown()]}

    async def _deliveries(self, call: Call) -> Mapping[str, Any]:
        state = call.query.get("state", "")
        if state and state not in STATES:
            raise ApiError(400, f"there is no such state; there are: {', '.join(STATES)}")
        limit = number_of(call, "limit", USUAL, MAX_LISTED)
        found = await self._desk.deliveries(call.query.get("endpoint", ""), state, limit)
        return {"deliveries": [asdict(one) for one in found]}

    async def _test(self, call: Call) -> Mapping[str, Any]:
        name = call.path["name"]
        if not await self._desk.test(name):
            raise ApiError(404, f"there is no webhook {name[:64]!r}")
        log.info("webhook.test", endpoint=name, by=call.user.name)
        return {"webhook": name}

    async def _enable(self, call: Call) -> Mapping[str, Any]:
        name = call.path["name"]
        if not await self._desk.enable(name):
            raise ApiError(404, f"there is no webhook {name[:64]!r}")
        log.info("webhook.enabled", endpoint=name, by=call.user.name)
        return {"webhook": name}

    async def _again(self, call: Call) -> Mapping[str, Any]:
        given = call.path["id"]
        found = int(given) if given.isascii() and given.isdigit() and len(given) < 18 else 0
        if not await self._desk.again(found):
            raise ApiError(404, f"there is no delivery {given[:20]!r} that is over")
        log.info("webhook.redeliver", delivery=found, by=call.user.name)
        return {"delivery_id": found}


def number_of(call: Call, name: str, usual: int, most: int) -> int:
    """A number of the query, from 1. ApiError 400: it is none, or too big."""
    given = call.query.get(name, str(usual))
    if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= most):
        raise ApiError(400, f"{name} must be 1 to {most}")
    return int(given)
