"""Demands: reference 1.3: the complete list of server events is the SDK's union."""

from typing import get_args

from openai.types.realtime import RealtimeServerEvent

from bridge.realtime.events import ItemDeleted
from bridge.realtime.handlers import HANDLERS, PASSED
from bridge.realtime.session import SESSION_EVENTS

BETA_NAMES = {
    f"response.{part}.{end}" for part in ("audio", "audio_transcript", "text") for end in ("delta", "done")
}


def sdk_event_types() -> set[str]:
    union = get_args(RealtimeServerEvent)[0]
    return {get_args(model.model_fields["type"].annotation)[0] for model in get_args(union)}


def test_every_server_event_of_the_protocol_is_handled_or_passed_with_a_reason():
    assert HANDLERS.keys() | PASSED.keys() | SESSION_EVENTS == sdk_event_types() | BETA_NAMES


def test_events_without_memory_become_one_fact():
    assert HANDLERS["conversation.item.deleted"](None, {"item_id": "i"}, 0.0) == (ItemDeleted("i"),)


def test_no_event_is_both_handled_and_passed():
    assert not HANDLERS.keys() & PASSED.keys()
    assert all(PASSED.values())
