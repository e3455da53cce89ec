"""Take a message for somebody, send one to the caller, or write an e-mail: by a webhook of yours.

MESSAGES_WEBHOOK_URL gets each as JSON, signed with MESSAGES_WEBHOOK_SECRET (https://www.standardwebhooks.com); its
`webhook-id` is the same for every try of the same request. Behind it is your SMS or mail service.
"""

import os
from typing import Annotated

from pydantic import Field

from bridge import webhook
from bridge.errors import ToolError, ToolLostError, WebhookError
from bridge.toolbox.load import helper
from bridge.toolbox.spec import ToolContext, tool

business = helper(__file__, "_business")
Text = Annotated[str, Field(min_length=1, max_length=1000)]


@tool(
    "Write down a message for a colleague who will call back.",
    risk="write",
    idempotent=True,
    redact=("text",),
)
def take_message(
    name: Annotated[str, Field(min_length=1, max_length=80)],
    text: Text,
    context: ToolContext,
    callback: Annotated[str, Field(pattern=r"^\+?[0-9 ()/-]{0,30}$")] = "",
) -> dict[str, str]:
    """Without a callback number the caller's own is kept."""
    with business.database(context) as book:
        book.execute(
            "INSERT OR IGNORE INTO messages (key, call_id, caller, name, callback, text) VALUES (?, ?, ?, ?, ?, ?)",
            (
                context.idempotency_key,
                context.call_id,
                context.caller,
                name,
                callback or context.caller,
                text,
            ),
        )
    return {"status": "the message is written down"}


@tool("Send a text message (SMS) to the number the caller calls from.", risk="write", redact=("text",))
async def send_text(text: Text, context: ToolContext) -> dict[str, str]:
    """Only to the caller: a model does not choose who gets messages."""
    if not context.caller:
        raise ToolError("the caller's number is not known")
    await _send(context, {"kind": "sms", "to": context.caller, "text": text})
    return {"status": "sent"}


@tool("Send an e-mail.", risk="irreversible", redact=("to", "text"))
async def send_email(
    to: Annotated[str, Field(pattern=r"^[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,190}$")],
    subject: Annotated[str, Field(min_length=1, max_length=150, pattern=r"^[^\r\n]+$")],
    text: Text,
    context: ToolContext,
) -> dict[str, str]:
    """The policy has a person look at it first."""
    await _send(context, {"kind": "email", "to": to, "subject": subject, "text": text})
    return {"status": "sent"}


async def _send(context: ToolContext, message: dict[str, str]) -> None:
    url, secret = os.environ.get("MESSAGES_WEBHOOK_URL"), os.environ.get("MESSAGES_WEBHOOK_SECRET")
    if not url or not secret:
        raise ToolError("sending messages is not set up")
    payload = {"type": "message.send", "data": {**message, "call_id": context.call_id}}
    try:
        await webhook.post(url, secret, context.idempotency_key, payload)
    except WebhookError as error:
        raise (ToolLostError if error.lost else ToolError)(str(error)) from error
