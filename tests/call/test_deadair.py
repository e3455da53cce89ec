"""The model's turn does not last for ever."""

from bridge.call.deadair import BUSY_PATIENCE, DeadAir, Remedy


def idle(air, now):
    return air.poll(now, answering=False)


def test_nothing_is_due_while_nobody_waits_for_the_model():
    air = DeadAir(6.0)
    assert air.due_s is None
    assert idle(air, 100.0) is None


def test_a_model_that_answers_in_time_is_left_alone():
    air = DeadAir(6.0)
    air.caller_finished(10.0)
    assert air.due_s == 16.0
    assert idle(air, 15.9) is None
    air.broken()
    assert idle(air, 30.0) is None


def test_a_silent_model_is_asked_once_more_and_then_given_up():
    air = DeadAir(6.0)
    air.caller_finished(10.0)
    assert idle(air, 16.0) is Remedy.ASK_AGAIN
    assert idle(air, 21.9) is None
    assert idle(air, 22.0) is Remedy.GIVE_UP
    assert idle(air, 60.0) is None


def test_a_new_turn_of_the_caller_starts_the_patience_anew():
    air = DeadAir(6.0)
    air.caller_finished(10.0)
    assert idle(air, 16.0) is Remedy.ASK_AGAIN
    air.caller_finished(17.0)
    assert idle(air, 23.0) is Remedy.ASK_AGAIN


def test_a_model_that_is_thinking_is_not_asked_twice_and_gets_more_time():
    air = DeadAir(6.0)
    air.caller_finished(0.0)
    answers = []
    while air.due_s is not None:
        now = air.due_s
        answers.append(air.poll(now, answering=True))
    assert answers[:-1] == [None] * (BUSY_PATIENCE - 1)
    assert answers[-1] is Remedy.GIVE_UP
    assert now == 6.0 * BUSY_PATIENCE


def test_an_answer_that_was_asked_for_is_waited_for():
    air = DeadAir(6.0)
    air.asked(10.0)
    assert air.due_s == 16.0
    assert idle(air, 16.0) is Remedy.ASK_AGAIN


def test_asking_once_more_is_no_new_patience():
    air = DeadAir(6.0)
    air.caller_finished(10.0)
    assert idle(air, 16.0) is Remedy.ASK_AGAIN
    air.asked(16.0)
    assert idle(air, 22.0) is Remedy.GIVE_UP


def test_an_answer_that_breaks_off_and_never_ends_is_given_up():
    air = DeadAir(6.0)
    air.caller_finished(0.0)
    air.heard(10.0)
    assert air.poll(15.9, answering=True) is None
    assert air.due_s == 16.0
    while air.due_s is not None:
        now = air.due_s
        remedy = air.poll(now, answering=True)
    assert (now, remedy) == (10.0 + 6.0 * BUSY_PATIENCE, Remedy.GIVE_UP)


def test_an_answer_that_was_heard_and_is_over_leaves_nothing_to_wait_for():
    air = DeadAir(6.0)
    assert air.heard(10.0)
    assert not air.heard(11.0)
    air.answer_over()
    assert air.due_s is None


def test_an_answer_of_which_nothing_was_heard_is_waited_for_on():
    air = DeadAir(6.0)
    air.caller_finished(0.0)
    air.answer_over()
    assert air.due_s == 6.0
    air.heard(3.0)
    air.broken()
    air.caller_finished(4.0)
    air.answer_over()
    assert air.due_s == 10.0
