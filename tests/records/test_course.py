from hypothesis import given
from hypothesis import strategies as st

from bridge.records.course import _HANDLERS, MAX_CHARS, Course, text
from tests.fakes.events import Script, conversation

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.lists(st.none(), max_size=2)
)
KEYS = st.sampled_from(
    ["direction", "by", "status", "reason", "code", "message", "leg", "answered", "step", "ms"]
)


def course(script):
    call = Course()
    for event in getattr(script, "events", script):
        call.take(event)
    return call


def test_a_whole_call_has_its_times_and_its_end():
    call = course(conversation())
    assert (call.by, call.status, call.reason, call.detail) == ("caller", 200, "normal", "BYE")
    assert (call.route, call.worker, call.provider) == ("reception", "worker-0", "local")
    assert round(call.rang_s, 2) == 0.1
    assert call.answered
    assert round(call.talked_s, 2) == 7.6


def test_a_session_that_came_back_is_not_lost():
    script = Script().tell("session.failed", code="close_1006", message="gone")
    assert course(script).session_error == "close_1006: gone"
    assert course(script.tell("session.ready")).session_error == ""


def test_only_a_leg_that_was_not_answered_is_a_failed_leg():
    script = Script().tell("leg.ended", leg="sales", answered=True, status=200, reason="OK")
    assert course(script).leg == ""
    call = course(script.tell("leg.ended", leg="boss", answered=False, status=486, reason="Busy Here"))
    assert (call.leg, call.leg_error) == ("boss", "486 Busy Here")


def test_the_second_end_of_a_call_does_not_count():
    script = (
        Script().tell("call.ended", by="caller", status=200).tell("call.ended", 9, by="bridge", status=500)
    )
    assert course(script).by == "caller"


def test_a_call_that_rings_has_not_talked():
    call = course(Script().tell("call.started").tell("call.ended", 4.0, by="caller", status=487))
    assert (call.rang_s, call.talked_s, call.answered) == (4.0, None, False)


def test_texts_of_strangers_are_one_short_line():
    assert text("a\nb\x1b[31m") == "a b [31m"
    assert len(text("x" * 9999)) == MAX_CHARS
    assert text(None) == ""


@given(st.lists(st.tuples(st.sampled_from(sorted(_HANDLERS)), st.dictionaries(KEYS, VALUES)), max_size=8))
def test_no_event_whatever_it_holds_breaks_the_course(told):
    script = Script()
    for type_, data in told:
        script.tell(type_, **data)
    call = course(script)
    assert isinstance(call.status, int)
    assert call.direction in {"inbound", "outbound"}
