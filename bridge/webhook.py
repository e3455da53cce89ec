"""A signed webhook (https://www.standardwebhooks.com): POST, with id, timestamp and HMAC-SHA-256 in the headers.

The receiver checks the signature over id, timestamp and body with any standardwebhooks library, refuses what is older
than five minutes (the replay window) and drops an id it has seen. Used by notifications and by tools that send
messages.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from bridge.errors import WebhookError

TIMEOUT_S = 10.0


async def post(
    url: str, secret: str, message_id: str, payload: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S
) -> None:
    """Deliver one. The same `message_id` for every try. Raises WebhookError: refused, or nobody can tell (`lost`)."""
    body = json.dumps(dict(payload), separators=(",", ":"), default=str)
    now = datetime.now(UTC)
    try:
        signature = Webhook(secret).sign(message_id, now, body)
    except (ValueError, RuntimeError) as error:
        raise WebhookError("the webhook's secret is none: it must be base64", lost=False) from error
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    try:
        async with httpx.AsyncClient(timeout=timeout_s) as client:
            answer = await client.post(url, content=body, headers=headers)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise WebhookError(f"the webhook cannot be reached: {error}", lost=False) from error
    except httpx.HTTPError as error:
        raise WebhookError(f"no answer from the webhook: {error!r}", lost=True) from error
    if not answer.is_success:
        raise WebhookError(f"the webhook answered {answer.status_code}", lost=answer.status_code >= 500)
