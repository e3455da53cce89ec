"""Realtime events as the SDK's generated types know them: server events to feed in, a check for what we send.

Every server event built here is validated by `openai.types.realtime`, every client event we send as well, and a field
those types do not name is an error: so neither our fixtures nor our output can drift from the protocol.
"""

import json
from base64 import b64encode
from typing import Any

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

_SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
_CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
_SERVER_EXTRAS = {"id", "object", "expires_at"}
WITHOUT_EVENT_ID = {"input_audio_buffer.dtmf_event_received"}


def strange_fields(value: Any, path: str = "") -> list[str]:
    """Paths of fields the SDK's types do not know."""
    if isinstance(value, list):
        return [found for entry in value for found in strange_fields(entry, path)]
    if not isinstance(value, BaseModel):
        return []
    here = [f"{path}.{name}" for name in (value.model_extra or {})]
    for name in type(value).model_fields:
        here += strange_fields(getattr(value, name), f"{path}.{name}")
    return here


def server(type_: str, **fields: Any) -> str:
    """JSON text of a server event, true to the SDK."""
    event = {"type": type_, **fields}
    if type_ not in WITHOUT_EVENT_ID:
        event["event_id"] = "event_1"
    model = _SERVER.validate_python(event)
    assert model.type == type_
    strange = [path for path in strange_fields(model) if path.removeprefix(".session.") not in _SERVER_EXTRAS]
    assert not strange, strange
    return json.dumps(event)


def checked(frame: str) -> dict[str, Any]:
    """A client event we sent, parsed; fails when the SDK would not send just this."""
    event = json.loads(frame)
    model = _CLIENT.validate_json(frame)
    assert not strange_fields(model), strange_fields(model)
    assert model.model_dump(mode="json", by_alias=True, exclude_unset=True) == event
    return dict(event)


def created(response_id: str, tag: str = "", **fields: Any) -> str:
    """`response.created`."""
    metadata = {"metadata": {"wish": tag}} if tag else {}
    response = {"id": response_id, "object": "realtime.response", "status": "in_progress", "output": []}
    return server(
        "response.created", response={**response, "conversation_id": "conv_1", **metadata, **fields}
    )


def done(response_id: str, status: str = "completed", **fields: Any) -> str:
    """`response.done`."""
    response = {"id": response_id, "object": "realtime.response", "status": status, "output": []}
    return server("response.done", response={**response, "conversation_id": "conv_1", **fields})


def audio(item_id: str, pcm: bytes, response_id: str = "resp_1", content_index: int = 0) -> str:
    """`response.output_audio.delta`."""
    return server(
        "response.output_audio.delta",
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=content_index,
        delta=b64encode(pcm).decode(),
    )


def error(code: str | None, message: str = "no", type_: str = "invalid_request_error", **fields: Any) -> str:
    """`error`."""
    return server("error", error={"type": type_, "code": code, "message": message, **fields})


def function_item(call_id: str, status: str = "completed", **fields: Any) -> dict[str, Any]:
    """A `function_call` item."""
    item = {"type": "function_call", "id": f"item_{call_id}", "call_id": call_id, "name": "look_up"}
    return {**item, "arguments": "{}", "status": status, **fields}


def output_done(item: dict[str, Any], response_id: str = "resp_1") -> str:
    """`response.output_item.done`."""
    return server("response.output_item.done", response_id=response_id, output_index=0, item=item)


def output_added(item: dict[str, Any], response_id: str = "resp_1") -> str:
    """`response.output_item.added`."""
    return server("response.output_item.added", response_id=response_id, output_index=0, item=item)


def session_body(**fields: Any) -> dict[str, Any]:
    """A `session` object as the server shows it."""
    return {
        "type": "realtime",
        "id": "sess_1",
        "object": "realtime.session",
        "expires_at": 1_800_000_000,
        "model": "gpt-realtime-2.1",
        **fields,
    }
