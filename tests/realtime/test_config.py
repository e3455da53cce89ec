"""Demands: OpenAI Realtime GA session object; compatible servers refuse keys they do not know (reference, 7)."""

import json

import pytest

from bridge.errors import LocalSessionError
from bridge.realtime import wire
from bridge.realtime.config import BYTES_PER_MS, UNSET, SessionConfig
from tests.fakes.realtime_events import checked

FULL = SessionConfig(
    model="gpt-realtime-2.1",
    instructions="Be brief.",
    output_modalities=("audio",),
    voice="marin",
    speed=1.1,
    input_format="pcmu",
    output_format="pcma",
    turn_detection={"type": "server_vad", "idle_timeout_ms": 8000, "create_response": True, "threshold": 0.5},
    noise_reduction={"type": "near_field"},
    transcription={"model": "gpt-transcribe", "language": "en"},
    tools=({"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},),
    tool_choice={"type": "function", "name": "f"},
    parallel_tool_calls=True,
    reasoning_effort="low",
    max_output_tokens=500,
    truncation={
        "type": "retention_ratio",
        "retention_ratio": 0.8,
        "token_limits": {"post_instructions": 8000},
    },
    greeting="Hello",
)


def sent(config: SessionConfig, **kwargs) -> dict:
    return checked(wire.dumps(wire.session_update(config.to_session(**kwargs))))["session"]


def test_a_bare_config_sends_type_and_formats_only():
    assert sent(SessionConfig(model="m")) == {
        "type": "realtime",
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}},
        },
    }


def test_a_full_config_is_the_nested_session_of_the_ga_protocol():
    assert sent(FULL) == {
        "type": "realtime",
        "instructions": "Be brief.",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-transcribe", "language": "en"},
                "turn_detection": dict(FULL.turn_detection),
            },
            "output": {"format": {"type": "audio/pcma"}, "voice": "marin", "speed": 1.1},
        },
        "tools": [dict(FULL.tools[0])],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low"},
        "max_output_tokens": 500,
        "truncation": dict(FULL.truncation),
    }


@pytest.mark.parametrize(
    "values",
    [
        {"turn_detection": {"type": "semantic_vad", "eagerness": "low", "interrupt_response": False}},
        {"noise_reduction": {"type": "far_field", "strength": 0.5}, "max_output_tokens": "inf"},
        {"voice": {"id": "voice_1"}, "truncation": "disabled", "tool_choice": "required"},
        {"tool_choice": {"type": "mcp", "server_label": "crm", "name": "find"}, "truncation": "auto"},
        {
            "tools": (
                {
                    "type": "mcp",
                    "server_label": "crm",
                    "server_url": "https://x",
                    "require_approval": "always",
                },
            )
        },
        {"transcription": {"model": "gpt-live-transcribe", "languages": ["de", "en"], "keywords": ["Raute"]}},
        {"output_modalities": ("text",), "reasoning_effort": "minimal", "instructions": "", "tools": ()},
    ],
)
def test_every_other_form_is_known_to_the_sdk_too(values):
    sent(SessionConfig(**values))


def test_null_is_sent_where_it_has_a_meaning():
    session = sent(SessionConfig(turn_detection=None, noise_reduction=None, transcription=None, voice=None))
    audio_in = session["audio"]["input"]
    assert audio_in["turn_detection"] is None
    assert audio_in["noise_reduction"] is None
    assert audio_in["transcription"] is None
    assert "voice" not in session["audio"]["output"]


def test_a_change_in_mid_call_sends_only_what_changed():
    assert sent(FULL, only=["speed", "greeting"]) == {"type": "realtime", "audio": {"output": {"speed": 1.1}}}


def test_config_comes_from_plain_json_values():
    data = json.loads('{"model": "m", "tools": [{"type": "function", "name": "f"}], "turn_detection": null}')
    config = SessionConfig.from_mapping({**data, "output_modalities": None})
    assert config == SessionConfig(model="m", tools=({"type": "function", "name": "f"},), turn_detection=None)
    assert config.noise_reduction is UNSET


def test_a_setting_we_do_not_have_is_named():
    with pytest.raises(LocalSessionError, match="temperature"):
        SessionConfig.from_mapping({"model": "m", "temperature": 1})


@pytest.mark.parametrize(
    ("transcription", "model"),
    [({"model": "whisper-1"}, "whisper-1"), ({"language": "en"}, ""), (None, ""), (UNSET, "")],
)
def test_the_transcription_model_is_known_for_its_price(transcription, model):
    assert SessionConfig(transcription=transcription).transcription_model == model


def test_bytes_per_millisecond_follow_the_format():
    assert BYTES_PER_MS == {"pcm24": 48, "pcmu": 8, "pcma": 8}
