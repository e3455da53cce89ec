"""Demands: GA client events by the SDK's types; tolerance list of the reference, section 7."""

import json
from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.realtime import wire
from tests.fakes.realtime_events import checked


@pytest.mark.parametrize(
    "frame", ["", "nope", "[]", "3", "{}", '{"type": 5}', b"\xff\x00", "[" * 100_000, "9" * 5000]
)
def test_a_frame_that_is_no_event_is_malformed(frame):
    with pytest.raises(wire.MalformedEventError):
        wire.parse(frame)


@settings(deadline=None)
@given(st.one_of(st.text(), st.binary()))
def test_parsing_raises_nothing_but_malformed(frame):
    try:
        event = wire.parse(frame)
    except wire.MalformedEventError:
        return
    assert isinstance(event["type"], str)


def test_bytes_and_text_are_read_alike():
    assert wire.parse(b'{"type":"ping"}') == wire.parse('{"type":"ping"}') == {"type": "ping"}


@pytest.mark.parametrize("source", [None, 3, [], {}, {"k": None}, {"k": 7}, {"k": []}])
def test_a_missing_or_odd_string_is_empty(source):
    assert wire.text(source, "k") == ""


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (3.9, 3),
        ("3", 0),
        (None, 0),
        (True, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        ({}, 0),
        (10**400, 0),
    ],
)
def test_numbers_are_whole_and_never_fail(value, number):
    assert wire.number({"k": value}, "k") == number
    assert wire.number(value, "k") == 0
    assert int(wire.real({"k": value}, "k")) == number
    assert wire.real(value, "k") == 0.0


def test_parts_leave_out_what_is_no_object():
    assert wire.part({"k": {"a": 1}}, "k") == {"a": 1}
    assert wire.part({"k": 1}, "k") == wire.part(None, "k") == {}
    assert wire.parts({"k": [{"a": 1}, 2, None]}, "k") == [{"a": 1}]
    assert wire.parts({"k": {}}, "k") == wire.parts(None, "k") == []
    assert wire.strings({"m": {"a": "b", "c": 1}}, "m") == {"a": "b"}


def test_messages_of_the_other_side_are_cut_and_cleaned():
    assert wire.message_text({"m": "a\x1b[31m\nb\x85c" + "x" * 900}, "m") == ("a [31m b c" + "x" * 900)[:500]


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_append_carries_the_audio_exactly(payload):
    event = checked(wire.append_json(payload))
    assert event["type"] == "input_audio_buffer.append"
    assert b64decode(event["audio"], validate=True) == payload


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_audio_deltas_give_their_bytes_back(payload):
    encoded = json.loads(wire.append_json(payload))["audio"]
    assert wire.audio({"delta": encoded}) == payload


@pytest.mark.parametrize("delta", [None, 3, "A", "AAA", "AA=A", "A A A A", "äöüß", "====", "AAAA\n"])
def test_audio_that_is_not_base64_is_malformed(delta):
    with pytest.raises(wire.MalformedEventError):
        wire.audio({"delta": delta})


@pytest.mark.parametrize(
    "event",
    [
        wire.session_update({"type": "realtime"}),
        wire.response_create({}),
        wire.response_create({"conversation": "none", "input": [], "metadata": {"a": "b"}}),
        wire.response_cancel(""),
        wire.response_cancel("resp_1"),
        wire.item_create(wire.text_item("i", "user", "hello")),
        wire.item_create(wire.text_item("i", "system", "hello")),
        wire.item_create(wire.output_item("i", "call_1", "{}")),
        wire.item_create(wire.approval_item("i", "req", approve=True, reason="")),
        wire.item_create(wire.approval_item("i", "req", approve=False, reason="no")),
        wire.item_delete("i"),
        wire.item_retrieve("i"),
        wire.item_truncate("i", 0, 1500),
        wire.input_commit(),
        wire.input_clear(),
    ],
)
def test_every_client_event_is_what_the_sdk_would_send(event):
    assert checked(wire.dumps({"event_id": "e", **event})) == {"event_id": "e", **event}


def test_an_empty_override_is_left_out():
    assert wire.response_create({}) == {"type": "response.create"}
    assert wire.response_cancel("") == {"type": "response.cancel"}
    assert "reason" not in wire.approval_item("i", "r", approve=True, reason="")


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "Cs", "Cc", "So"])))
def test_any_text_of_a_tool_can_be_sent(words):
    frame = wire.dumps(wire.item_create(wire.output_item("i", "c", words)))
    assert frame.isascii()
    assert json.loads(frame)["item"]["output"] == words
