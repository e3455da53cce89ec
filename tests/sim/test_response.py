"""One response: event order, pacing, ends, usage."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim.items import Tokens
from bridge.sim.protocol import ResponsePart
from bridge.sim.response import BURST_MS, CHUNK_MS, SOUNDLESS_MS, SPEEDUP, Response, plan_for, prompt_tokens
from bridge.sim.script import Failure, ResponseFault
from bridge.sim.session import Session

MS = 8
"""Bytes of a millisecond of PCMU."""


def response(fault=None, audio_format="audio/pcmu", **part):
    session = Session("s", "m", 0)
    part.setdefault("audio", {"output": {"format": {"type": audio_format}}})
    plan = plan_for(ResponsePart.model_validate(part), session, "resp_1", "conv_1")
    return Response(plan, ResponseFault.model_validate(fault or {}))


def types(events):
    return [event["type"] for event in events]


def deltas(events):
    return [
        base64.b64decode(event["delta"]) for event in events if event["type"] == "response.output_audio.delta"
    ]


def test_the_plan_is_the_sessions_unless_overridden():
    session = Session("s", "m", 0)
    plan = plan_for(ResponsePart(), session, "r", "c")
    assert (plan.modality, plan.audio_format, plan.voice, plan.max_tokens) == (
        "audio",
        "audio/pcm",
        "marin",
        None,
    )
    part = {"max_output_tokens": 50, "output_modalities": ["text"], "audio": {"output": {"voice": "ash"}}}
    plan = plan_for(ResponsePart.model_validate(part | {"conversation": "none"}), session, "r", "c")
    assert (plan.modality, plan.voice, plan.max_tokens, plan.default_conversation) == (
        "text",
        "ash",
        50,
        False,
    )
    part = {"audio": {"output": {"voice": {"id": "voice_1"}}}}
    assert plan_for(ResponsePart.model_validate(part), session, "r", "c").voice == "marin"


def test_one_sentence_is_asked_for_at_a_time():
    run = response()
    run.speak("item_1", "One. Two! Three")
    assert run.next_sentence() == "One. "
    assert run.next_sentence() is None
    run.push(bytes(100 * MS))
    assert run.next_sentence() is None
    run.due(0.0)
    assert run.next_sentence() == "Two! "
    run.push(bytes(100 * MS))
    run.due(0.0)
    assert run.next_sentence() == "Three"
    run.push(bytes(100 * MS))
    assert types(run.due(0.0))[-1] == "response.done"
    assert run.next_sentence() is None


@given(st.integers(1, 5000))
def test_every_byte_leaves_once_in_order_and_not_before_its_time(ms):
    run = response()
    run.speak("item_1", "Text.")
    run.next_sentence()
    payload = bytes(i % 251 for i in range(ms * MS))
    run.push(payload)
    now, sent, events = 5.0, b"", []
    while not run.done:
        new = run.due(now)
        sent += b"".join(deltas(new))
        assert len(sent) / MS - CHUNK_MS <= BURST_MS + (now - 5.0) * 1000 * SPEEDUP + 1
        events += new
        now = run.wake_at(now) or now
    assert sent == payload
    assert run.audio_ms == ms
    assert now - 5.0 <= ms / 1000 / SPEEDUP


def test_a_sentence_without_sound_is_a_short_silence():
    run = response()
    run.speak("item_1", "…")
    run.next_sentence()
    run.push(b"")
    events = run.due(0.0)
    assert deltas(events) == [b"\xff" * SOUNDLESS_MS * MS]
    assert types(events)[-1] == "response.done"


@pytest.mark.parametrize(
    ("audio_format", "byte"), [("audio/pcm", 0), ("audio/pcmu", 0xFF), ("audio/pcma", 0xD5)]
)
def test_scripted_silence_keeps_length_and_format(audio_format, byte):
    run = response({"silence": True}, audio_format)
    run.speak("item_1", "Hello.")
    run.next_sentence()
    run.push(b"\x11" * 480)
    assert deltas(run.due(0.0)) == [bytes([byte]) * 480]


def test_scripted_delays_hold_audio_back():
    run = response({"first_audio_ms": 1000, "delta_gap_ms": 300})
    run.speak("item_1", "Hello.")
    run.next_sentence()
    run.push(bytes(2 * CHUNK_MS * MS))
    assert run.due(10.0) == []
    assert run.wake_at(10.0) == 11.0
    assert len(deltas(run.due(11.0))) == 1
    assert run.wake_at(11.0) == pytest.approx(11.3)
    assert len(deltas(run.due(11.3))) == 1


def test_too_many_tokens_leave_it_incomplete():
    run = response(max_output_tokens=5)
    run.speak("item_1", "Hello there.")
    run.next_sentence()
    run.push(bytes(2000 * MS))
    done = run.due(0.0)[-1]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert done["max_output_tokens"] == 5
    assert done["output"][0]["status"] == "incomplete"


def test_text_is_written_whole():
    run = response(output_modalities=["text"])
    opened = run.speak("item_1", "One. Two.")
    assert opened[-1]["part"] == {"type": "text", "text": ""}
    events = run.write()
    assert types(events)[:3] == [
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
    ]
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "output_text", "text": "One. Two."}]


def test_failing_before_anything_was_made():
    run = response()
    assert types(run.created()) == ["response.created", "rate_limits.updated"]
    (event,) = run.finish("failed", None, Failure(code="c", message="m"))
    assert event["response"]["status_details"]["error"] == {
        "type": "server_error",
        "code": "c",
        "message": "m",
    }
    assert event["response"]["output"] == []
    assert run.audio_ms == 0


def test_out_of_band_items_stay_out_of_the_conversation():
    run = response(conversation="none")
    events = run.speak("item_1", "Hello.") + run.finish("cancelled", "client_cancelled")
    assert not [name for name in types(events) if name.startswith("conversation.")]
    assert events[-1]["response"]["conversation_id"] is None


def test_a_function_call_is_one_item():
    run = response()
    events = run.invoke("item_1", "call_1", "refund", "{}")
    done = events[-1]["response"]
    assert (done["status"], done["output"][0]["call_id"]) == ("completed", "call_1")
    assert [item.id for item in run.output()] == ["item_1"]
    assert done["usage"]["output_token_details"] == {"text_tokens": 3, "audio_tokens": 0}


def test_usage_adds_up():
    run = response()
    run.input_tokens, run.cached_tokens = Tokens(30, 20), Tokens(10, 5)
    run.speak("item_1", "Four")
    run.next_sentence()
    run.push(bytes(100 * MS))
    usage = run.due(0.0)[-1]["response"]["usage"]
    assert usage["total_tokens"] == 50 + 1 + 2
    assert usage["input_token_details"]["cached_tokens"] == 15
    assert usage["output_token_details"] == {"text_tokens": 1, "audio_tokens": 2}


def test_tools_and_instructions_are_the_prompt():
    assert prompt_tokens("abcd", []) == Tokens(1)
    assert prompt_tokens("abcd", [{"name": "f"}]).text > 1
