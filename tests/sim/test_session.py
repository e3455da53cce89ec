"""How session.update changes the session object."""

import pytest
from openai.types.realtime import RealtimeSessionCreateResponse

from bridge.sim.protocol import Refusal, SessionPart
from bridge.sim.session import Session, bytes_per_ms


@pytest.fixture
def session():
    return Session("sess_1", "gpt-realtime-2.1", 1_800_000_000)


def update(session, **fields):
    return session.update(SessionPart.model_validate({"type": "realtime"} | fields))


def test_the_object_is_what_the_service_documents(session):
    assert RealtimeSessionCreateResponse.model_validate(session.to_dict()).expires_at == 1_800_000_000


def test_the_object_shown_is_a_copy(session):
    session.to_dict()["audio"]["input"]["format"]["type"] = "changed"
    assert session.input_format == "audio/pcm"


def test_only_fields_present_change(session):
    update(session, audio={"input": {"format": {"type": "audio/pcmu"}}})
    update(session, audio={"output": {"speed": 1.2}})
    assert (session.input_format, session.output_format, session.speed) == ("audio/pcmu", "audio/pcm", 1.2)
    assert session.voice == "marin"
    assert session.turn_detection["type"] == "server_vad"


def test_null_switches_off_what_can_be_off(session):
    update(session, audio={"input": {"transcription": {"model": "x"}}, "output": None})
    assert session.transcription == {"model": "x"}
    update(session, audio={"input": {"transcription": None, "turn_detection": None}})
    assert session.transcription is None
    assert session.vad() is None
    update(session, instructions=None)
    assert session.instructions == ""


def test_turn_detection_is_completed_with_defaults(session):
    update(session, audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}})
    assert session.turn_detection["silence_duration_ms"] == 500
    assert session.vad().threshold == 0.7
    update(session, audio={"input": {"turn_detection": {"type": "semantic_vad", "create_response": False}}})
    assert session.turn_detection["eagerness"] == "auto"
    assert session.vad().create_response is False


def test_the_model_stays(session):
    update(session, model="gpt-realtime-2.1")
    with pytest.raises(Refusal, match="model"):
        update(session, model="other")


def test_the_voice_stays_after_the_first_audio(session):
    update(session, audio={"output": {"voice": "cedar"}})
    session.spoke = True
    update(session, audio={"output": {"voice": "cedar"}})
    with pytest.raises(Refusal) as refused:
        update(session, audio={"output": {"voice": "ash"}}, instructions="not taken over")
    assert refused.value.code == "cannot_update_voice"
    assert session.instructions == ""


def test_a_new_prompt_is_told(session):
    assert update(session, instructions="x") is True
    assert update(session, instructions="x") is False
    assert update(session, tools=[{"type": "function", "name": "f"}]) is True
    assert [tool["name"] for tool in session.tools] == ["f"]
    assert session.get("tool_choice") == "auto"
    assert (session.id, session.model, session.expires_at) == ("sess_1", "gpt-realtime-2.1", 1_800_000_000)


def test_bytes_of_a_millisecond():
    assert [bytes_per_ms(name) for name in ("audio/pcm", "audio/pcmu", "audio/pcma")] == [48, 8, 8]
