"""One call's course, folded from its events: what was said, what of it was not heard, and how it stands."""

import pytest

from bridge.console.callstory import MAX_ENTRIES, Story
from tests.fakes.events import Script, conversation


def story_of(events):
    story = Story()
    for place, one in enumerate(events, 1):
        story.take(place, one.type, one.at, one.mono, one.data)
    return story


def lines(story):
    return [
        (one.name, one.text, one.unheard, one.state) for one in story.entries.values() if one.kind == "line"
    ]


def test_a_call_is_its_lines_in_the_order_they_began():
    story = story_of(conversation())
    assert lines(story) == [
        ("agent", "Hello, how can I help?", "", "said"),
        ("caller", "Where is my order?", "", "said"),
        ("agent", "", "", "cut"),
        ("caller", "", "", "coming"),
    ]
    assert story.now.ended == ("caller", "normal")
    assert story.now.doing == "ended"


def interrupted(*order):
    """The agent is interrupted after a second of four; `order`: when its words come."""
    script = Script().tell("agent.started", item_id="i1")
    words = {"who": "agent", "item_id": "i1", "text": "One two three four five six seven eight"}
    if "before" in order:
        script.tell("transcript", **words)
    script.tell("agent.finished", 1.0, item_id="i1", heard_ms=1000, interrupted=True)
    script.tell("barge_in", item_id="i1", heard_ms=1000, dropped_ms=3000, stop_ms=38.2)
    if "after" in order:
        script.tell("transcript", **words, interrupted=True)
    return story_of(script.events)


@pytest.mark.parametrize("order", ["before", "after"])
def test_of_an_interrupted_line_what_was_not_heard_stands_apart(order):
    (line,) = lines(interrupted(order))
    assert line == ("agent", "One two three", " four five six seven eight", "cut")


def test_how_fast_the_agent_was_silent_stands_beside_the_line():
    story = interrupted("before")
    (entry,) = story.entries.values()
    assert [(one.name, one.ms) for one in entry.figures] == [("silence", 38.2)]
    assert story.figures == {"silence": [38.2]}


def test_an_answer_that_never_began_was_not_heard_at_all():
    script = (
        Script()
        .tell("agent.started", item_id="i1")
        .tell("transcript", who="agent", item_id="i1", text="One.")
    )
    script.tell("transcript", who="agent", item_id="i2", text="Two.")
    script.tell("agent.finished", item_id="i1", heard_ms=10, interrupted=True)
    script.tell("transcript", who="agent", item_id="i3", text="Three.", interrupted=True)
    assert lines(story_of(script.events))[1:] == [
        ("agent", "", "Two.", "lost"),
        ("agent", "", "Three.", "lost"),
    ]


def test_words_grow_until_they_are_whole():
    story = story_of(Script().tell("speech.started", item_id="i1").events)
    story.hear("caller", "i1", "Where is", 1.0)
    assert lines(story) == [("caller", "Where is", "", "coming")]
    story.take(2, "transcript", 1.0, 1.0, {"who": "caller", "item_id": "i1", "text": "Where is it?"})
    story.hear("caller", "i1", "Where is", 1.0)  # a late one
    assert lines(story) == [("caller", "Where is it?", "", "said")]


def test_a_function_call_has_its_state_request_answer_and_time():
    script = Script().tell("function_call", function="f1", name="refund", arguments='{"amount": 40}')
    script.tell("tool.state", function="f1", request_id="r1", state="pending", tool="refund")
    story = story_of(script.events)
    (entry,) = story.entries.values()
    assert (entry.name, entry.state, entry.request_id, story.now.doing) == (
        "refund",
        "pending",
        "r1",
        "approval",
    )
    script.tell("tool.state", 3.2, function="f1", request_id="r1", state="succeeded")
    script.tell("function_output", function="f1", name="refund", output='{"ok": true}')
    (entry,) = story_of(script.events).entries.values()
    assert (entry.state, entry.answer, round(entry.figures[0].ms)) == ("succeeded", '{"ok": true}', 3200)


def test_the_time_of_an_answer_belongs_to_the_agents_line():
    script = (
        Script().tell("agent.started", item_id="i1").tell("response", status="completed", latency_ms=640.0)
    )
    (entry,) = story_of(script.events).entries.values()
    assert [(one.name, one.ms) for one in entry.figures] == [("answer", 640.0)]


def test_how_the_call_stands():
    script = (
        Script().tell("call.answered").tell("session.connecting", agent="front").tell("recording", path="x")
    )
    script.tell("recording.paused", by="operator").tell("recording.paused", by="tool")
    script.tell("recording.resumed", by="tool").tell("supervisor.took_over", leg="boss")
    now = story_of(script.events).now
    assert (now.agent, now.recorded, now.paused_by, now.person) == ("front", True, {"operator"}, "boss")
    script.tell("supervisor.gave_back", leg="boss").tell("agent.hand_off", to="billing")
    now = story_of(script.events).now
    assert (now.person, now.agent) == ("", "billing")


def test_damaged_and_doubled_events_change_nothing():
    story = story_of(conversation())
    before = dict(story.entries)
    for one in conversation():
        story.take(1, one.type, one.at, one.mono, one.data)
    assert story.entries == before
    for event_type in ("transcript", "agent.finished", "barge_in", "function_call", "tool.state", "response"):
        story_of(
            Script().tell(event_type).tell(event_type, item_id=[1], text=3, heard_ms="x", call_id={}).events
        )


def test_a_call_without_end_has_a_page_with_one():
    story = Story()
    for place in range(1, MAX_ENTRIES + 50):
        story.take(place, "dtmf", 1.0, 1.0, {"digit": "1", "method": "rfc4733"})
    assert len(story.entries) == MAX_ENTRIES
