"""The six moments of calls, as their events say them."""

import pytest

from bridge.records.moments import NAMES, CallMoments, Moment, written
from bridge.records.timeline import build
from tests.fakes.events import Script, conversation


def moments(script):
    call = CallMoments()
    return [found for event in getattr(script, "events", script) for found in call.take(event)]


def seconds(script, name):
    return [round(found.seconds, 3) for found in moments(script) if found.name == name]


def test_the_greeting_counts_from_the_answer_to_the_first_word():
    script = Script().tell("call.started").tell("call.answered", 0.3)
    script.tell("agent.started", 0.25, item_id="i1").tell("agent.started", 5, item_id="i2")
    assert moments(script) == [Moment("greeting", pytest.approx(0.25))]


def test_a_prompt_that_was_ready_before_the_answer_is_heard_at_once():
    script = Script().tell("prompt", text="Welcome", ms=900).tell("call.answered", 0.3)
    assert moments(script) == [Moment("greeting", 0.0)]


def test_a_call_that_is_not_answered_has_no_greeting():
    assert moments(Script().tell("call.started").tell("agent.started", 0.2, item_id="i")) == []


def test_the_response_counts_from_the_callers_last_word_not_from_the_models_notice():
    """speech.stopped comes after a stretch of silence: its audio position is where the words ended."""
    script = Script().tell("speech.started", item_id="u", audio_ms=1000)
    script.tell("speech.stopped", 2.0, item_id="u", audio_ms=2500).tell("agent.started", 0.1, item_id="a")
    assert seconds(script, "response") == [0.6]


def test_words_without_a_position_end_when_the_model_says_so():
    script = Script().tell("speech.stopped", item_id="u").tell("agent.started", 0.4, item_id="a")
    assert seconds(script, "response") == [0.4]


def test_a_caller_who_goes_on_speaking_is_not_answered_yet():
    script = Script().tell("speech.started").tell("speech.stopped", 1).tell("speech.started", 1)
    script.tell("speech.stopped", 1).tell("agent.started", 0.2, item_id="a").tell(
        "agent.started", 3, item_id="b"
    )
    assert seconds(script, "response") == [0.2]


@pytest.mark.parametrize(
    ("states", "waited_for"),
    [
        ([], "nobody"),
        (["executing", "succeeded"], "nobody"),
        (["confirming", "executing"], "caller"),
        (["confirming", "pending", "executing"], "approver"),
        (["pending", "confirming"], "approver"),
    ],
)
def test_a_tool_wait_ends_with_its_output_and_says_who_was_waited_for(states, waited_for):
    script = Script().tell("function_call", name="refund", function="f1")
    for state in states:
        script.tell("tool.state", 1.0, function="f1", state=state)
    script.tell("function_output", 0.5, function="f1").tell("function_output", 9, function="f1")
    assert moments(script) == [Moment("tool_wait", pytest.approx(len(states) + 0.5), waited_for)]


def test_a_transfer_starts_when_its_refer_or_invite_goes_out():
    script = Script().tell("transfer.started", target="sales", after_ms=1200.0)
    script.tell("leg.dialled", leg="sales", after_ms=30).tell("leg.dialled", leg="supervisor")
    assert [(found.seconds, found.kind) for found in moments(script)] == [(1.2, "refer"), (0.03, "dial")]


def test_the_record_is_written_after_the_closing_and_the_way_to_the_store():
    assert written({"closing_ms": 250}, ended_at=1000.0, stored_at=1000.5).seconds == 0.75
    assert written({}, ended_at=1000.0, stored_at=999.0).seconds == 0.0


def test_strange_events_are_no_moments():
    script = Script().tell("barge_in", stop_ms="soon").tell("function_output").tell("tool.state", state=["x"])
    script.tell("call.answered").tell("call.answered", 5).tell("unheard.of")
    assert moments(script) == []


def test_more_open_functions_than_a_call_may_have_forget_the_oldest():
    script = Script()
    for number in range(70):
        script.tell("function_call", 1.0, function=f"f{number}")
    for number in range(70):
        script.tell("function_output", function=f"f{number}")
    assert len(seconds(script, "tool_wait")) == 64


def test_the_figures_are_those_of_the_timeline():
    """What /metrics counts and what `sipbridge calls show` draws is one thing."""
    events = conversation()
    timeline = build(events)
    caller = [span for span in timeline.spans if span.who == "caller"]
    agent = [span for span in timeline.spans if span.who == "agent"]
    assert seconds(events, "greeting") == [round(agent[0].start_s, 3)]
    assert seconds(events, "response") == [round(agent[1].start_s - caller[0].end_s, 3)]
    assert seconds(events, "barge_in") == [0.012]
    assert {found.name for found in moments(events)} <= set(NAMES)
