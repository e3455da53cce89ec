"""The model's turn does not last for ever."""

from bridge.call.deadair import DeadAir, Remedy


def test_nothing_is_due_while_nobody_waits_for_the_model():
    air = DeadAir(6.0)
    assert air.due_s is None
    assert air.poll(100.0) is None


def test_a_model_that_answers_in_time_is_left_alone():
    air = DeadAir(6.0)
    air.caller_finished(10.0)
    assert air.due_s == 16.0
    assert air.poll(15.9) is None
    air.broken()
    assert air.poll(30.0) is None


def test_a_silent_model_is_asked_once_more_and_then_given_up():
    air = DeadAir(6.0)
    air.caller_finished(10.0)
    assert air.poll(16.0) is Remedy.ASK_AGAIN
    assert air.poll(21.9) is None
    assert air.poll(22.0) is Remedy.GIVE_UP
    assert air.poll(60.0) is None


def test_a_new_turn_of_the_caller_starts_the_patience_anew():
    air = DeadAir(6.0)
    air.caller_finished(10.0)
    assert air.poll(16.0) is Remedy.ASK_AGAIN
    air.caller_finished(17.0)
    assert air.poll(23.0) is Remedy.ASK_AGAIN
