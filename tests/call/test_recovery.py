import pytest

from bridge.call.recovery import FIRST_PAUSE_S, FORGET_AFTER_S, MAX_TRIES_IN_CALL, Recovery
from bridge.errors import FailureKind, RemoteSessionError

LOST = RemoteSessionError(FailureKind.RETRY, "close_1006", "gone")
REFUSED = RemoteSessionError(FailureKind.FATAL, "invalid_api_key", "no")


def test_what_another_try_cannot_mend_is_final_at_once():
    assert Recovery().after(REFUSED, answer_due_s=None, now=0.0) is None
    assert Recovery().after(REFUSED, answer_due_s=100.0, now=0.0) is None


def test_in_a_call_the_pauses_double_and_end():
    recovery = Recovery()
    pauses = [recovery.after(LOST, answer_due_s=None, now=10.0) for _ in range(MAX_TRIES_IN_CALL + 1)]
    assert pauses[:-1] == [pytest.approx(FIRST_PAUSE_S * 2**n) for n in range(MAX_TRIES_IN_CALL)]
    assert pauses[-1] is None


def test_while_it_rings_there_are_tries_until_the_answer_is_due():
    recovery = Recovery()
    now, tries = 0.0, 0
    while (pause_s := recovery.after(LOST, answer_due_s=8.0, now=now)) is not None:
        now += pause_s
        tries += 1
    assert tries == 5
    assert now < 8.0


def test_a_session_that_held_for_long_starts_the_count_anew():
    recovery = Recovery()
    for _ in range(MAX_TRIES_IN_CALL):
        recovery.after(LOST, answer_due_s=None, now=10.0)
    later = 10.0 + FORGET_AFTER_S + 1
    assert recovery.after(LOST, answer_due_s=None, now=later) == pytest.approx(FIRST_PAUSE_S)
