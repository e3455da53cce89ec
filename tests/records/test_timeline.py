from hypothesis import given
from hypothesis import strategies as st

from bridge.records.timeline import MAX_BLOCKS, build, chart, listing
from tests.fakes.events import Script, conversation

TYPES = sorted(
    {event.type for event in conversation()} | {"call.ringing", "call.held", "error", "prompt", "xyz"}
)
DATA = st.dictionaries(
    st.sampled_from(["item_id", "audio_ms", "text", "who", "digit", "cost_usd", "latency_ms"]),
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.sampled_from(["i1", "i2", "caller"]),
    max_size=4,
)
STEPS = st.lists(st.tuples(st.sampled_from(TYPES), st.floats(-5, 5), DATA), max_size=25)


def spans(timeline):
    return [
        (span.who, round(span.start_s, 2), round(span.end_s, 2), span.interrupted) for span in timeline.spans
    ]


def test_who_spoke_when_counts_from_the_answer():
    timeline = build(conversation())
    assert spans(timeline) == [
        ("agent", 0.2, 1.7, False),
        ("caller", 2.5, 3.7, False),
        ("agent", 4.5, 5.5, True),
        ("caller", 5.5, 5.9, False),
    ]
    assert [span.text for span in timeline.spans] == ["Hello, how can I help?", "Where is my order?", "", ""]
    assert (round(timeline.start_s, 2), round(timeline.end_s, 2)) == (-0.1, 7.6)


def test_the_length_of_the_callers_speech_is_the_models_not_the_silence_after_it():
    """speech_stopped comes only after the silence the VAD waits for."""
    script = Script().tell("call.answered").tell("speech.started", 1, audio_ms=100)
    assert spans(build(script.tell("speech.stopped", 2, audio_ms=1300).events)) == [
        ("caller", 1.0, 2.2, False)
    ]
    script = Script().tell("call.answered").tell("speech.started", 1).tell("speech.stopped", 2, audio_ms=1300)
    assert spans(build(script.events)) == [("caller", 1.0, 3.0, False)]


def test_speech_without_an_end_lasts_to_the_end_of_the_call():
    script = Script().tell("call.answered").tell("agent.started", 1, item_id="i").tell("call.ended", 4)
    assert spans(build(script.events)) == [("agent", 1.0, 5.0, False)]


def test_a_second_beginning_ends_the_first_and_an_end_alone_is_nothing():
    script = Script().tell("call.answered").tell("agent.finished", 1).tell("speech.stopped", audio_ms=5)
    script.tell("agent.started", item_id="a").tell("agent.started", 1, item_id="b").tell("agent.finished", 1)
    assert spans(build(script.events)) == [("agent", 1.0, 2.0, False), ("agent", 2.0, 3.0, False)]


def test_the_chart_shows_lanes_interruption_and_marks():
    ruler, caller, agent, marks = chart(build(conversation()), width=80)
    assert ruler.split() == ["seconds", "0", "1", "2", "3", "4", "5", "6", "7"]
    assert caller.startswith("caller    " + "·" * 25 + "█" * 13)
    assert agent[10:].rstrip("·") == "··" + "█" * 16 + "·" * 27 + "█" * 10 + "x"
    assert marks.split() == ["marks", "B", "5"]
    assert marks.index("B") == 10 + 55


def test_a_quiet_call_has_no_line_of_marks_and_an_empty_one_has_lanes():
    assert len(chart(build(Script().tell("call.answered").events))) == 3
    assert len(chart(build([]))) == 3


def test_a_long_call_is_drawn_in_few_blocks():
    script = (
        Script().tell("call.answered").tell("agent.started", 100, item_id="i").tell("agent.finished", 700)
    )
    lines = chart(build(script.events), width=72)
    assert len(lines) <= 6 * 4
    assert lines[0].startswith("seconds   0         20        40")
    assert "".join(line for line in lines if line.startswith("agent")).count("█") == 351


def test_a_broken_clock_draws_no_endless_chart():
    script = Script().tell("call.answered").tell("agent.started", 1e250, item_id="i")
    assert len(chart(build(script.events))) <= 4 * MAX_BLOCKS


def test_the_listing_tells_everything_in_order():
    lines = listing(build(conversation()))
    assert lines == sorted(lines, key=lambda line: float(line.split()[0]))
    text = "\n".join(lines)
    assert "   -0.10  started   in from sip:alice@host to sip:100@bridge" in text
    assert "    0.00  answered  PCMU 20 ms" in text
    assert "    0.20  agent     “Hello, how can I help?” (1.50 s)" in text
    assert "    4.50  agent     (1.00 s, interrupted after 1.00 s heard)" in text
    assert "    5.50  barge-in  heard 1000 ms, dropped 2500 ms, stopped in 12 ms" in text
    assert "response  cancelled, latency 420 ms, $0.0200" in text
    assert "ended     by caller, 200 normal" in text


def test_an_interruption_without_a_figure_is_still_told():
    script = Script().tell("agent.started", item_id="i").tell("agent.finished", 1, interrupted=True)
    script.tell("response", status="failed").tell("prompt", text="One moment").tell("call.ended")
    assert listing(build(script.events)) == [
        "    0.00  agent     (1.00 s, interrupted)",
        "    1.00  response  failed",
        "    1.00  prompt    “One moment”",
        "    1.00  ended     by -",
    ]


def test_an_end_without_a_status_leaves_it_out_and_ringing_is_told_once():
    script = Script().tell("call.ringing").tell("call.ringing").tell("call.ringing", 1)
    script.tell("call.ended", 1, by="bridge", status=None, reason="worker_died")
    assert listing(build(script.events)) == [
        "    0.00  ringing",
        "    2.00  ended     by bridge, worker_died",
    ]


@given(STEPS)
def test_whatever_the_events_are_the_drawing_works_and_spans_do_not_overlap_themselves(steps):
    script = Script()
    for type_, after_s, data in steps:
        script.tell(type_, after_s, **data)
    timeline = build(script.events)
    assert all(span.end_s >= span.start_s for span in timeline.spans)
    assert all(len(line) <= 10 + 40 + 10 for line in chart(timeline, width=40))
    assert len(listing(timeline)) == len(timeline.spans) + len(timeline.marks)


def test_what_an_operator_did_is_told_with_their_name():
    script = Script().tell("call.answered")
    script.tell("command", 1.0, kind="supervise", by="ann", target="boss", mode="listen", ok=True)
    script.tell("command", 1.0, kind="transfer", by="bob", target="x", ok=False, error="busy")
    script.tell("command", 1.0, kind="hang_up", ok=True)
    timeline = build(script.events)
    assert [mark.text for mark in timeline.marks[1:]] == [
        "supervise boss listen by ann",
        "transfer x by bob: busy",
        "hang_up by a tool",
    ]
    assert [mark.sign for mark in timeline.marks[1:]] == ["O", "O", ""]
