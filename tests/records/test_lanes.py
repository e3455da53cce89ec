"""A call as lanes: who spoke, what was waited for, where nobody said anything."""

import pytest

from bridge.records.lanes import AIR_S, Lanes, lanes, split_heard
from tests.fakes.events import Script, conversation


def of(found, lane):
    return [
        (one.kind, round(one.start_s, 2), round(one.end_s, 2), one.name)
        for one in found.stretches
        if one.lane == lane
    ]


def call():
    return Script().tell("call.started").tell("call.answered", 2.0)


def test_both_sides_their_barge_in_and_the_recording_stand_on_one_axis_from_the_answer():
    found = lanes(conversation())
    assert found.answered
    assert found.start_s == pytest.approx(-0.1)
    assert of(found, "agent") == [("speech", 0.2, 1.7, ""), ("cut", 4.5, 5.5, "")]
    assert of(found, "caller")[0] == ("speech", 2.5, 3.7, "")
    assert [(one.kind, round(one.at_s, 2)) for one in found.moments if one.kind == "barge_in"] == [
        ("barge_in", 5.5)
    ]
    assert found.recording_s == pytest.approx(found.end_s)


def test_the_wait_is_from_the_callers_last_word_to_the_answer():
    assert of(lanes(conversation()), "wait") == [("wait", 3.7, 4.5, "")]


def test_what_the_caller_did_not_hear_is_apart_from_what_they_heard():
    lines = lanes(conversation()).lines
    assert [(line.who, line.heard, line.unheard) for line in lines] == [
        ("agent", "Hello, how can I help?", ""),
        ("caller", "Where is my order?", ""),
    ]
    script = call().tell("agent.started", 1.0, item_id="i")
    script.tell("barge_in", 1.0, item_id="i", heard_ms=1000, dropped_ms=1000)
    script.tell("agent.finished", item_id="i", heard_ms=1000, interrupted=True)
    script.tell("transcript", who="agent", item_id="i", text="Your parcel is on its way today")
    (line,) = lanes(script.events).lines
    assert (line.heard, line.unheard) == ("Your parcel is", "on its way today")


@pytest.mark.parametrize(
    ("text", "heard_ms", "dropped_ms", "parts"),
    [
        ("one two", None, None, ("one two", "")),
        ("one two", 5000, 0, ("one two", "")),
        ("one two", 0, 1000, ("", "one two")),
        ("one two three four", 100, 1100, ("one", "two three four")),
        ("", 0, 0, ("", "")),
        ("a long text that was never spoken " * 5, 1000, 0, ("a long text that", None)),
    ],
)
def test_what_was_heard_ends_with_a_word(text, heard_ms, dropped_ms, parts):
    heard, unheard = split_heard(text, heard_ms, dropped_ms)
    assert heard == parts[0]
    assert parts[1] is None or unheard == parts[1]
    assert f"{heard} {unheard}".split() == text.split()


def test_a_function_and_who_was_asked_about_it_lie_under_one_another():
    script = call().tell("function_call", 1, name="refund", function="f1", arguments="{}")
    script.tell("tool.state", 0.1, function="f1", state="confirming", tool="refund", request_id="r1")
    script.tell("tool.state", 2, function="f1", state="pending", tool="refund", request_id="r1")
    script.tell("tool.state", 5, function="f1", state="approved", tool="refund", request_id="r1")
    script.tell("function_output", 1, function="f1", output="ok")
    found = lanes(script.events)
    assert of(found, "tools") == [("tool", 1, 9.1, "refund")]
    assert of(found, "person") == [("confirming", 1.1, 3.1, "refund"), ("pending", 3.1, 8.1, "refund")]
    assert {one.key for one in found.stretches if one.lane == "person"} == {"r1"}


def test_the_line_tells_of_hold_legs_queues_and_pauses():
    script = call().tell("call.held", 1).tell("call.resumed", 2).tell("recording.paused", 1, by="tool")
    script.tell("recording.resumed", 1, by="tool").tell("leg.dialled", 1, leg="sales")
    script.tell("leg.answered", 2, leg="sales").tell("leg.connected", 1, leg="sales").tell(
        "leg.ended", 9, leg="sales"
    )
    script.tell("queue.position", 1, queue="q", position=1).tell("queue.connected", 3, queue="q", member="m")
    assert of(lanes(script.events), "line") == [
        ("hold", 1, 3, ""), ("pause", 4, 5, ""), ("ringing", 6, 8, "sales"), ("leg", 8, 9, "sales"),
        ("people", 9, 18, "sales"), ("queue", 19, 22, "q"),
    ]  # fmt: skip


def test_silence_of_both_sides_is_dead_air_but_not_while_people_talk_or_on_hold():
    script = (
        call().tell("agent.started", 1, item_id="a").tell("agent.finished", 1, item_id="a", heard_ms=1000)
    )
    script.tell("speech.started", AIR_S + 1, item_id="c").tell("speech.stopped", 1, item_id="c")
    script.tell("call.held", 0.5).tell("call.resumed", 20)
    script.tell("leg.connected", 0.5, leg="sales").tell("leg.ended", 30, leg="sales").tell(
        "call.ended", AIR_S + 2
    )
    found = lanes(script.events)
    assert of(found, "silence") == [
        ("silence", 2, 2 + AIR_S + 1, ""),
        ("silence", round(found.end_s - AIR_S - 2, 2), round(found.end_s, 2), ""),
    ]


def test_nothing_is_dead_air_in_a_call_that_nobody_answered():
    script = Script().tell("call.started").tell("call.ended", 60, by="caller")
    assert lanes(script.events).stretches == ()


def test_prompts_are_the_agents_and_one_ends_where_the_next_begins():
    script = call().tell("prompt", 1, text="Welcome", ms=3000).tell("prompt", 2, text="Press one", ms=1000)
    script.tell("call.ended", 9)
    found = lanes(script.events)
    assert of(found, "agent") == [("prompt", 1, 3, ""), ("prompt", 3, 4, "")]
    assert [(line.who, line.heard) for line in found.lines] == [
        ("prompt", "Welcome"),
        ("prompt", "Press one"),
    ]


def test_what_has_no_end_lasts_to_the_last_event():
    script = (
        call()
        .tell("function_call", 1, name="x", function="f")
        .tell("call.held", 1)
        .tell("dtmf", 3, digit="4")
    )
    found = lanes(script.events)
    assert [one.end_s for one in found.stretches] == [5.0, 5.0, *[one.end_s for one in found.stretches[2:]]]
    assert [(one.kind, one.name) for one in found.moments] == [("answered", ""), ("dtmf", "")]


@pytest.mark.parametrize("value", [None, True, "x", [], {}, float("nan"), 1e400, -5])
def test_strange_values_break_nothing(value):
    script = call()
    for kind in (
        "prompt", "barge_in", "function_call", "function_output", "tool.state", "agent.finished", "leg.dialled",
        "queue.position", "recording", "error", "speech.stopped", "transcript",
    ):  # fmt: skip
        names = (
            "ms",
            "item_id",
            "dropped_ms",
            "name",
            "state",
            "heard_ms",
            "leg",
            "queue",
            "path",
            "where",
            "text",
        )
        script.tell(kind, 0.1, **dict.fromkeys(names, value))
    assert isinstance(lanes(script.events), Lanes)


def test_a_call_of_which_nothing_is_known_is_empty():
    assert lanes([]) == Lanes(0.0, 0.0, False, (), (), ())
