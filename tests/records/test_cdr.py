import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.link.messages import Event
from bridge.records.cdr import CallRecord, apply, fold
from tests.fakes.events import Script, conversation

TYPES = sorted(
    {event.type for event in conversation()} | {"session.failed", "call.held", "error", "function_call"}
)
KEYS = [
    "from",
    "codec",
    "by",
    "status",
    "cost_usd",
    "latency_ms",
    "rx_packets",
    "rx_lost",
    "mos",
    "path",
    "digit",
]
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just({"a": [1]})
STRANGE = st.builds(
    Event,
    st.integers(1, 9),
    st.just("b1"),
    st.text(max_size=4),
    st.sampled_from(TYPES) | st.text(max_size=6),
    st.floats(),
    st.floats(),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
)


def test_a_whole_call_becomes_a_whole_record():
    record = fold(conversation())
    assert (record.from_uri, record.to_uri, record.from_display) == (
        "sip:alice@host",
        "sip:100@bridge",
        "Alice",
    )
    assert (record.route, record.agent, record.plan_version, record.worker) == (
        "reception",
        "default",
        "v1",
        "worker-0",
    )
    assert (record.provider, record.model, record.session_id, record.session_ms) == (
        "local",
        "gpt-realtime-2.1",
        "sess_1",
        40.0,
    )
    assert (record.codec, record.ptime_ms, record.state) == ("PCMU", 20.0, "ended")
    assert record.answered_at == pytest.approx(1000.1)
    assert record.duration_s == pytest.approx(7.6)
    assert (record.ended_by, record.end_status, record.end_reason, record.end_detail) == (
        "caller",
        200,
        "normal",
        "BYE",
    )
    assert (record.responses, record.cost_usd, record.worst_latency_ms) == (2, pytest.approx(0.03), 420.0)
    assert (record.barge_ins, record.dtmf_digits, record.holds, record.errors) == (1, 1, 0, 0)
    assert (record.rx_loss_pct, record.rx_packets, record.recording_path) == (0.0, 400, "/rec/call-1.wav")
    assert record.mos > 4.3


def test_the_state_follows_the_call():
    events = conversation()
    assert [fold(events[:count]).state for count in (1, 4, len(events))] == ["ringing", "answered", "ended"]
    assert fold([]) is None


def test_the_first_answer_and_the_first_end_count():
    script = Script().tell("call.answered", codec="PCMU").tell("call.answered", 5, codec="PCMA")
    script.tell("call.ended", by="caller").tell("call.ended", 5, by="bridge", reason="worker_died")
    record = fold(script.events)
    assert (record.answered_at, record.codec, record.ended_by, record.end_reason) == (
        1000.0,
        "PCMA",
        "caller",
        None,
    )
    assert record.duration_s == 5.0


def test_the_codec_is_that_of_the_media_and_an_answer_without_one_keeps_it():
    script = Script().tell("media.started", codec="PCMA", ptime_ms=20).tell("call.answered")
    script.tell("session.connecting", provider="p", agent="sales")
    record = fold(script.events)
    assert (record.codec, record.ptime_ms, record.agent) == ("PCMA", 20.0, "sales")


def test_a_call_that_was_never_answered_has_no_duration():
    record = fold(Script().tell("call.started").tell("call.ended", 3, by="caller", status=487).events)
    assert (record.duration_s, record.answered_at, record.ended_at, record.end_status) == (
        None,
        None,
        1003.0,
        487,
    )


def test_an_end_without_a_beginning_still_makes_a_record():
    record = fold(Script().tell("call.ended", by="bridge").events)
    assert (record.state, record.started_at, record.route) == ("ended", 1000.0, None)


def test_an_end_at_no_known_time_ends_the_call_when_it_started():
    record = fold([Event(1, "b1", "c", "call.started", 7.0, 7.0, {})])
    assert apply(record, Event(2, "b1", "c", "call.ended", math.nan, 9.0, {})).ended_at == 7.0


def test_unknown_events_change_nothing():
    record = fold(conversation())
    assert apply(record, Event(99, "b1", "call-1", "moon.rose", 1.0, 1.0, {"by": "x"})) == record


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"code": "insufficient_quota", "message": "pay"}, "insufficient_quota: pay"),
        ({"code": "close_1006"}, "close_1006"),
        ({}, "failed"),
    ],
)
def test_a_failed_session_says_why(data, error):
    assert fold(Script().tell("session.failed", **data).events).session_error == error


def test_costs_that_are_not_known_are_not_zero():
    assert fold(Script().tell("response", status="failed").events).cost_usd is None
    known = Script().tell("response", cost_usd=0.5).tell("response", cost_usd=None, latency_ms=None)
    assert (fold(known.events).cost_usd, fold(known.events).worst_latency_ms) == (0.5, None)


@pytest.mark.parametrize(
    ("data", "quality"),
    [({"mos": 3.9, "rx_packets": 1, "rx_lost": 0}, 3.9), ({}, None), ({"rx_packets": 0, "rx_lost": 0}, None)],
)
def test_quality_is_taken_as_measured_or_left_out(data, quality):
    assert fold(Script().tell("media", **data).events).mos == quality


def test_counters_count():
    script = Script()
    for name in ("call.held", "error", "function_call", "dtmf", "barge_in"):
        script.tell(name).tell(name)
    record = fold(script.events)
    assert {record.holds, record.errors, record.function_calls, record.dtmf_digits, record.barge_ins} == {2}


def test_text_is_cut_and_made_storable():
    record = fold(Script().tell("call.started", **{"from": "x" * 9999, "to": "\ud800", "route": ""}).events)
    assert (len(record.from_uri), record.to_uri, record.route) == (500, "?", None)


@given(st.lists(STRANGE, min_size=1, max_size=12))
def test_no_event_however_strange_stops_the_ones_behind_it(events):
    record = fold(events)
    assert isinstance(record, CallRecord)
    for name in CallRecord.__slots__:
        value = getattr(record, name)
        assert value is None or isinstance(value, str | int | float)
        assert not isinstance(value, float) or math.isfinite(value)
        assert not isinstance(value, int) or abs(value) < 2**63
        json.dumps(value).encode()


@given(st.integers(0, len(conversation())))
def test_folding_in_two_parts_is_folding_at_once(cut):
    events = conversation()
    assert fold(events[cut:], fold(events[:cut])) == fold(events)


def test_a_call_we_place_gets_its_sip_call_id_when_it_is_dialled():
    kinds = {"call.started": {"direction": "outbound"}, "call.dialled": {"sip_call_id": "x@y"}}
    record = fold([Event(1, "b", "c", kind, 1.0, 1.0, data) for kind, data in kinds.items()])
    assert (record.direction, record.sip_call_id) == ("outbound", "x@y")
