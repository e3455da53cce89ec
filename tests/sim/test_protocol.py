"""Client events: what is accepted, and how the rest is refused."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim.protocol import Refusal, new_item, parse


def refused(data):
    with pytest.raises(Refusal) as caught:
        parse(data if isinstance(data, str | bytes) else json.dumps(data))
    return caught.value


def update(**session):
    return {"type": "session.update", "event_id": "e", "session": {"type": "realtime"} | session}


def test_a_full_telephony_configuration_is_accepted():
    session = {
        "output_modalities": ["audio"],
        "instructions": "…",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-transcribe"},
                "turn_detection": {"type": "server_vad", "idle_timeout_ms": 8000, "interrupt_response": True},
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
        },
        "tools": [
            {"type": "function", "name": "f", "parameters": {}},
            {"type": "mcp", "server_label": "s", "server_url": "https://x"},
        ],
        "tool_choice": "auto",
    }
    assert parse(json.dumps(update(**session))).session.audio.input.turn_detection.silence_duration_ms == 500


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("modalities", ["audio", "text"]),
        ("voice", "alloy"),
        ("input_audio_format", "g711_ulaw"),
        ("output_audio_format", "pcm16"),
        ("turn_detection", None),
        ("input_audio_transcription", {}),
        ("max_response_output_tokens", 5),
        ("temperature", 0.8),
    ],
)
def test_fields_of_the_beta_interface_are_unknown(field, value):
    refusal = refused(update(**{field: value}))
    assert (refusal.code, refusal.param, refusal.event_id) == ("unknown_parameter", f"session.{field}", "e")


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ("[]", "invalid_event", None),
        ({"type": "response.fly"}, "invalid_event", "type"),
        ({"no": "type"}, "invalid_event", "type"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_value", "session.type"),
        (
            update(audio={"input": {"format": {"type": "pcm16"}}}),
            "invalid_value",
            "session.audio.input.format",
        ),
        (
            update(audio={"input": {"format": {"type": "audio/pcm", "rate": 8000}}}),
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            update(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            update(audio={"input": {"turn_detection": {}}}),
            "missing_required_parameter",
            "session.audio.input.turn_detection",
        ),
        (update(output_modalities=["audio", "text"]), "invalid_value", "session.output_modalities"),
        ({"type": "conversation.item.delete", "event_id": 5}, "invalid_value", "event_id"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
    ],
)
def test_what_is_wrong_is_told(event, code, param):
    refusal = refused(event)
    assert (refusal.code, refusal.param) == (code, param)


def test_items_of_a_response_input_are_checked_too():
    assert new_item({"type": "function_call_output", "call_id": "c", "output": "x"}).output == "x"
    with pytest.raises(Refusal) as caught:
        new_item({"type": "message", "role": "user", "content": [{"type": "input_text", "txt": "x"}]})
    assert caught.value.param == "content[0].txt"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), st.lists, max_leaves=5))
def test_no_session_object_breaks_the_parser(value):
    for session in (value, {"type": "realtime", "audio": value}, {"type": "realtime", "tools": value}):
        with contextlib.suppress(Refusal):
            parse(json.dumps({"type": "session.update", "session": session}))
