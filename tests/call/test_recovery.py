import pytest

from bridge.call.recovery import FIRST_PAUSE_S, MAX_OUTAGES, OUTAGES_WITHIN_S, Recovery
from bridge.errors import FailureKind, RemoteSessionError

LOST = RemoteSessionError(FailureKind.RETRY, "close_1006", "gone")
REFUSED = RemoteSessionError(FailureKind.FATAL, "invalid_api_key", "no")


@pytest.mark.parametrize("spoke", [True, False])
def test_what_another_try_cannot_mend_is_final_at_once(spoke):
    assert Recovery(8.0, 0.0).after(REFUSED, spoke=spoke, now=0.0) is None


def test_tries_of_one_outage_come_slower_and_end_with_the_budget():
    recovery = Recovery(8.0, 0.0)
    now, pauses = 0.0, []
    while (pause_s := recovery.after(LOST, spoke=False, now=now)) is not None:
        pauses.append(pause_s)
        now += pause_s
    assert pauses == [pytest.approx(FIRST_PAUSE_S * 2**n) for n in range(len(pauses))]
    assert len(pauses) == 5
    assert now < 8.0


def test_a_session_that_was_heard_opens_a_new_budget():
    recovery = Recovery(8.0, 0.0)
    assert recovery.after(LOST, spoke=True, now=500.0) == pytest.approx(FIRST_PAUSE_S)
    assert recovery.due_s == 508.0


def test_a_model_side_that_comes_and_goes_is_given_up():
    recovery = Recovery(8.0, 0.0)
    answers = [recovery.after(LOST, spoke=True, now=10.0 * n) for n in range(MAX_OUTAGES)]
    assert None not in answers[:-1]
    assert answers[-1] is None


def test_outages_far_apart_do_not_add_up():
    recovery = Recovery(8.0, 0.0)
    answers = [recovery.after(LOST, spoke=True, now=OUTAGES_WITHIN_S * n) for n in range(3 * MAX_OUTAGES)]
    assert None not in answers
