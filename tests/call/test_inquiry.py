from bridge.call.inquiry import NOT_SAID, PLAYS_S, START_S, Inquired, Inquiry

TEXT = "Which order is it, please?"


def put():
    return Inquiry("f1", "refund", TEXT, 0.0)


def test_it_is_over_when_the_caller_has_heard_it():
    inquiry = put()
    assert inquiry.agent_said("a", "One moment.", 1.0) is None
    assert inquiry.played("a", whole=True) is None
    assert inquiry.agent_said("b", "which order is it please", 2.0) is None
    assert inquiry.being_said
    assert inquiry.played("b", whole=True) == Inquired("f1")


def test_a_caller_who_speaks_into_it_is_told_of():
    inquiry = put()
    inquiry.agent_said("b", TEXT, 2.0)
    assert inquiry.played("b", whole=False) == Inquired("f1", interrupted=True)


def test_the_transcript_may_come_after_the_sound():
    inquiry = put()
    assert inquiry.played("b", whole=True) is None
    assert inquiry.agent_said("b", TEXT, 2.0) == Inquired("f1")


def test_an_agent_that_says_something_else_is_told_once_more_and_then_it_was_not_asked():
    inquiry = put()
    assert inquiry.due_s == START_S
    assert inquiry.late(START_S) is None
    assert inquiry.due_s == 2 * START_S
    assert inquiry.late(2 * START_S) == Inquired("f1", NOT_SAID)


def test_what_is_being_said_is_waited_for_but_not_for_ever():
    inquiry = put()
    inquiry.agent_said("b", TEXT, 2.0)
    assert inquiry.due_s == 2.0 + PLAYS_S
    assert inquiry.late(2.0 + PLAYS_S) == Inquired("f1")


def test_what_a_lost_session_said_does_not_count():
    inquiry = put()
    inquiry.agent_said("b", TEXT, 2.0)
    inquiry.say_again(3.0)
    assert not inquiry.being_said
    assert inquiry.played("b", whole=True) is None


def test_it_remembers_a_few_sounds_only():
    inquiry = put()
    for number in range(100):
        inquiry.played(str(number), whole=True)
    assert inquiry.agent_said("99", TEXT, 2.0) is None
