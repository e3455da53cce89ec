"""What events add to the metrics."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bridge.records.metrics import BYE_LIMIT_S, MAX_CALLS, Sample, Tally, word
from bridge.records.metrics_families import FAMILIES, OTHER
from tests.fakes.events import Script, conversation

STORED_AT = 2000.0


def samples(script, tally=None):
    tally = tally or Tally()
    return [one for event in getattr(script, "events", script) for one in tally.take(event, STORED_AT)[0]]


def amounts(found):
    total = Counter()
    for sample in found:
        total[(sample.family, *sample.labels)] += sample.amount
    return total


def test_a_whole_call_adds_what_it_was():
    found = amounts(samples(conversation()))
    assert found["calls_started", "inbound"] == found["calls_answered", "inbound"] == 1
    assert found["calls_ended", "inbound", "success"] == found["call_causes", "caller"] == 1
    assert found["responses", "completed"] == found["responses", "cancelled"] == 1
    assert round(found["cost_usd",], 6) == 0.03
    assert found["barge_in_seconds",] == 0.012
    assert found["events", "dtmf"] == 1
    assert found["session_connect_seconds",] == 0.04


def test_every_sample_says_whose_it_is():
    assert {sample.call_id for sample in samples(conversation())} == {"call-1"}


def test_rtp_is_told_once_a_call_and_only_of_calls_that_had_some():
    found = amounts(samples(Script().tell("media", rx_packets=990, rx_lost=10, rx_jitter_ms=2.0, rtt_ms=40)))
    assert found["rtp_loss_ratio",] == 0.01
    assert found["rtp_jitter_seconds",] == 0.002
    assert 4.0 < found["mos",] < 4.4
    assert not samples(Script().tell("media", rx_packets=0, rx_lost=0))


def test_a_tool_call_counts_by_what_became_of_it():
    script = Script().tell("call.started")
    for number, state in enumerate(("succeeded", "denied", "expired", "unknown", None)):
        script.tell("function_call", function=f"f{number}")
        if state:
            script.tell("tool.state", function=f"f{number}", state="executing")
            script.tell("tool.state", function=f"f{number}", state=state)
        script.tell("function_output", function=f"f{number}")
    found = amounts(samples(script))
    outcomes = ("done", "denied", "expired", "unknown", "refused")
    assert [found["tool_calls", outcome] for outcome in outcomes] == [1, 1, 1, 1, 1]


def test_dead_air_is_a_trouble_and_a_count_of_its_own():
    found = amounts(samples(Script().tell("error", where="model", code="dead_air").tell("error", where="x")))
    assert found["dead_air",] == found["call_errors", "model"] == found["call_errors", OTHER] == 1


def test_events_without_a_call_count_nothing():
    assert samples(Script().tell("call.ended", call_id="")) == []


def test_the_course_comes_with_the_end_and_only_then():
    tally = Tally()
    courses = [tally.take(event, STORED_AT)[1] for event in conversation()]
    assert courses[:-1] == [None] * (len(courses) - 1)
    assert courses[-1].call_id == "call-1"
    assert sum(tally.running({"b1"}, 0.0, 1e9).calls.values()) == 0


def test_a_call_that_an_earlier_process_began_goes_on_without_being_counted_twice():
    events = conversation()
    tally = Tally()
    tally.prime(events[:9])
    found = amounts(samples(events[9:], tally))
    assert found["calls_started", "inbound"] == found["greeting_seconds",] == 0
    assert round(found["response_seconds",], 2) == 0.8
    assert found["calls_ended", "inbound", "success"] == 1


def test_running_calls_count_by_direction_and_state():
    tally = Tally()
    for call_id, types in {
        "a": ["call.started"],
        "b": ["call.started", "call.answered"],
        "c": ["call.started", "call.answered", "call.held"],
        "d": ["call.started", "call.answered", "call.held", "call.resumed", "call.closing"],
    }.items():
        script = Script(call_id)
        for type_ in types:
            script.tell(type_, **({"direction": "outbound"} if type_ == "call.started" else {}))
        samples(script, tally)
    states = {state: count for (_, state), count in tally.running({"b1"}, 0.0, 1e9).calls.items() if count}
    assert states == {"ringing": 1, "talking": 1, "held": 1, "closing": 1}
    assert not sum(tally.running({"other"}, 0.0, 1e9).calls.values())


def test_a_call_that_is_not_over_five_minutes_after_its_bye_is_told_once():
    tally = Tally()
    samples(
        Script(mono=100.0).tell("call.started").tell("call.answered").tell("call.closing", by="caller"), tally
    )
    samples(Script("fine", mono=100.0).tell("call.started").tell("call.answered"), tally)
    assert tally.overdue(100.0 + BYE_LIMIT_S) == []
    assert tally.overdue(101.0 + BYE_LIMIT_S) == ["call-1"]
    assert tally.overdue(999.0 + BYE_LIMIT_S) == []


def test_a_late_word_of_a_call_that_is_over_leaves_nothing_behind():
    tally = Tally()
    samples(conversation(), tally)
    samples(Script().tell("call.dialled", sip_call_id="x"), tally)
    assert not sum(tally.running({"b1"}, 0.0, 1e9).calls.values())


def test_calls_beyond_what_is_followed_are_counted_all_the_same():
    tally = Tally()
    for number in range(MAX_CALLS):
        tally.take(Script(f"c{number}").tell("call.started").events[0], STORED_AT)
    found = amounts(samples(conversation(call_id="one-more"), tally))
    assert found["calls_started", "inbound"] == 1
    assert found["calls_ended", "inbound", "success"] == 1
    assert sum(tally.running({"b1"}, 0.0, 1e9).calls.values()) == MAX_CALLS


def test_a_word_that_is_in_no_list_is_other():
    assert word("done", ("done",)) == "done"
    assert word("evil\n", ("done",)) == word(None, ("done",)) == word(["done"], ("done",)) == OTHER


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6))
DATA = st.dictionaries(
    st.sampled_from(
        ["direction", "status", "by", "reason", "code", "where", "state", "function", "ms", "cost_usd", "usage",
         "rx_packets", "rx_lost", "rx_jitter_ms", "answer_ms", "stop_ms", "latency_ms", "audio_ms", "mos"]
    ),
    VALUES,
)  # fmt: skip
TYPES = st.sampled_from(
    ["call.started", "call.answered", "call.ended", "session.failed", "response", "error", "media", "underrun",
     "function_call", "function_output", "tool.state", "leg.ended", "leg.dialled", "transcription", "barge_in", "?"]
)  # fmt: skip


@given(st.lists(st.tuples(TYPES, st.sampled_from(["a", "b", ""]), DATA), max_size=12))
def test_whatever_events_say_labels_come_from_closed_lists_and_amounts_only_grow(told):
    tally = Tally()
    script = Script()
    for type_, call_id, data in told:
        script.tell(type_, call_id=call_id, **data)
    for sample in samples(script, tally):
        assert isinstance(sample, Sample)
        family = FAMILIES[sample.family]
        assert len(sample.labels) == len(family.labels)
        for value, known in zip(sample.labels, family.labels.values(), strict=True):
            assert value in (*known, OTHER)
        assert sample.amount >= 0
