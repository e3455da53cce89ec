"""A signed webhook (https://www.standardwebhooks.com): POST, with id, timestamp and HMAC-SHA-256 in the headers.

The receiver checks the signature over id, timestamp and body with any standardwebhooks library, refuses what is older
than five minutes (the replay window) and drops an id it has seen. Redirects are not followed, and no more than a
little of an answer is read. Used by notifications, by webhooks for events, and by tools that send messages.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from bridge.errors import WebhookError

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_RETRY_AFTER_S = 3600.0


async def post(
    url: str,
    secret: str,
    message_id: str,
    payload: Mapping[str, Any],
    *,
    timeout_s: float = TIMEOUT_S,
    client: httpx.AsyncClient | None = None,
) -> int:
    """Deliver one; the answer's status. The same `message_id` for every try.

    Raises WebhookError: refused, or nobody can tell (`lost`). `client`: one that keeps connections, when many are sent.
    """
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
        async with _client(client, timeout_s) as used:
            answer = await _sent(used, url, body, headers, timeout_s)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise WebhookError(f"the webhook cannot be reached: {error}", lost=False) from error
    except httpx.HTTPError as error:
        raise WebhookError(f"no answer from the webhook: {error!r}", lost=True) from error
    if not answer.is_success:
        status = answer.status_code
        raise WebhookError(
            f"the webhook answered {status}", lost=status >= 500, status=status, after_s=_after(answer)
        )
    return answer.status_code


@contextlib.asynccontextmanager
async def _client(given: httpx.AsyncClient | None, timeout_s: float) -> AsyncIterator[httpx.AsyncClient]:
    if given is not None:
        yield given
        return
    async with httpx.AsyncClient(timeout=timeout_s) as made:
        yield made


async def _sent(
    client: httpx.AsyncClient, url: str, body: str, headers: Mapping[str, str], timeout_s: float
) -> httpx.Response:
    read = 0
    async with client.stream("POST", url, content=body, headers=dict(headers), timeout=timeout_s) as answer:
        async for chunk in answer.aiter_raw():
            read += len(chunk)
            if read > MAX_ANSWER_BYTES:
                break
    return answer


def _after(answer: httpx.Response) -> float:
    """Retry-After in seconds (RFC 9110, 10.2.3); a date is not read."""
    given = answer.headers.get("retry-after", "")
    return (
        min(float(given), MAX_RETRY_AFTER_S)
        if given.isascii() and given.isdigit() and len(given) < 9
        else 0.0
    )
