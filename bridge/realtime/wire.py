"""The JSON of the Realtime protocol: reading server events with patience, writing client events exactly.

Pure and stateless. Reading: a missing or oddly typed field becomes an empty value, because compatible servers leave
fields out; only a frame that is no event at all raises `MalformedEventError`, which the session counts and drops.
Writing: every client event of the GA protocol we use, as a dict with the protocol's own names.
`append_json` is on the hot path (50 times a second and call) and so builds its text by hand.
"""

import binascii
import json
from collections.abc import Mapping
from typing import Any

from bridge.errors import BridgeError

Json = Mapping[str, Any]
_APPEND_HEAD = '{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL = '"}'
_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
MAX_MESSAGE_CHARS = 500
MAX_NUMBER = 2**53


class MalformedEventError(BridgeError):
    """A frame from the server that cannot be read; never leaves the package."""


def parse(message: str | bytes) -> dict[str, Any]:
    """One server event. Raises MalformedEventError when it is not a JSON object with a string `type`."""
    try:
        event = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise MalformedEventError("frame is not JSON") from error
    if not isinstance(event, dict):
        raise MalformedEventError("frame is not a JSON object")
    if not isinstance(event.get("type"), str):
        raise MalformedEventError("event has no type")
    return event


def text(source: object, key: str) -> str:
    """The string under `key`, or "" when it is missing or something else."""
    value = source.get(key) if isinstance(source, Mapping) else None
    return value if isinstance(value, str) else ""


def number(source: object, key: str) -> int:
    """The number under `key` as int; 0 when it is missing, something else, or beyond what a float holds exactly."""
    value = source.get(key) if isinstance(source, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_NUMBER < value < MAX_NUMBER:
        return 0
    return int(value)


def real(source: object, key: str) -> float:
    """The number under `key` as finite float, or 0."""
    value = source.get(key) if isinstance(source, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_NUMBER < value < MAX_NUMBER:
        return 0.0
    return float(value)


def part(source: object, key: str) -> Json:
    """The object under `key`, or an empty one."""
    value = source.get(key) if isinstance(source, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def parts(source: object, key: str) -> list[Json]:
    """The objects in the list under `key`; anything else in it is left out."""
    value = source.get(key) if isinstance(source, Mapping) else None
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def strings(source: object, key: str) -> dict[str, str]:
    """The string pairs of the object under `key` (response metadata)."""
    return {str(name): value for name, value in part(source, key).items() if isinstance(value, str)}


def message_text(source: object, key: str) -> str:
    """A message of the other side made safe to show: no control characters, at most 500 characters."""
    return text(source, key).translate(_CONTROL)[:MAX_MESSAGE_CHARS]


def audio(event: Json) -> bytes:
    """Bytes of a base64 `delta`. Raises MalformedEventError when it is not base64."""
    delta = event.get("delta")
    if not isinstance(delta, str):
        raise MalformedEventError("audio delta is missing")
    try:
        return binascii.a2b_base64(delta, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedEventError("audio delta is not base64") from error


def append_json(payload: bytes) -> str:
    """`input_audio_buffer.append` as JSON text, for audio in the session's input format (at most 15 MiB)."""
    return _APPEND_HEAD + binascii.b2a_base64(payload, newline=False).decode("ascii") + _APPEND_TAIL


def dumps(event: Json) -> str:
    """Compact JSON text of a client event, all ASCII: a lone surrogate in a tool's output must not break the socket."""
    return json.dumps(event, separators=(",", ":"))


def session_update(session: Json) -> dict[str, Any]:
    """`session.update`."""
    return {"type": "session.update", "session": session}


def response_create(response: Json) -> dict[str, Any]:
    """`response.create`; an empty `response` is left out."""
    return {"type": "response.create", "response": response} if response else {"type": "response.create"}


def response_cancel(response_id: str) -> dict[str, Any]:
    """`response.cancel`; without an id the server cancels whatever writes to the conversation."""
    return (
        {"type": "response.cancel", "response_id": response_id}
        if response_id
        else {"type": "response.cancel"}
    )


def item_create(item: Json) -> dict[str, Any]:
    """`conversation.item.create`, appended at the end."""
    return {"type": "conversation.item.create", "item": item}


def item_delete(item_id: str) -> dict[str, Any]:
    """`conversation.item.delete`."""
    return {"type": "conversation.item.delete", "item_id": item_id}


def item_retrieve(item_id: str) -> dict[str, Any]:
    """`conversation.item.retrieve`."""
    return {"type": "conversation.item.retrieve", "item_id": item_id}


def item_truncate(item_id: str, content_index: int, audio_end_ms: int) -> dict[str, Any]:
    """`conversation.item.truncate`."""
    return {
        "type": "conversation.item.truncate",
        "item_id": item_id,
        "content_index": content_index,
        "audio_end_ms": audio_end_ms,
    }


def input_commit() -> dict[str, Any]:
    """`input_audio_buffer.commit`."""
    return {"type": "input_audio_buffer.commit"}


def input_clear() -> dict[str, Any]:
    """`input_audio_buffer.clear`."""
    return {"type": "input_audio_buffer.clear"}


def text_item(item_id: str, role: str, words: str) -> dict[str, Any]:
    """A message item of role user or system."""
    content = [{"type": "input_text", "text": words}]
    return {"id": item_id, "type": "message", "role": role, "content": content}


def output_item(item_id: str, call_id: str, output: str) -> dict[str, Any]:
    """A `function_call_output` item."""
    return {"id": item_id, "type": "function_call_output", "call_id": call_id, "output": output}


def approval_item(item_id: str, approval_request_id: str, *, approve: bool, reason: str) -> dict[str, Any]:
    """An `mcp_approval_response` item."""
    item = {
        "id": item_id,
        "type": "mcp_approval_response",
        "approval_request_id": approval_request_id,
        "approve": approve,
    }
    return item | {"reason": reason} if reason else item
