"""Failed responses: asked for again in a moment, and given up when the model fails again and again."""

from types import SimpleNamespace

import pytest

from bridge.call.again import MAX_FAILED, WAIT_S, Again
from bridge.errors import RemoteSessionError


def report(status="failed", code="", words=""):
    return SimpleNamespace(status=status, error_code=code, error_message=words)


def test_a_failed_response_is_asked_for_again_after_a_pause_that_doubles():
    again, first, second = Again(), report(), report()
    again.ended(first, 10.0)
    assert again.due_s == 10.0 + 2 * WAIT_S
    assert again.take(10.0) is None
    assert again.take(again.due_s) is first
    assert (again.due_s, again.take(99.0)) == (None, None)
    again.ended(second, 20.0)
    assert again.due_s == 20.0 + 4 * WAIT_S


def test_a_response_that_works_forgets_the_failures_before():
    again = Again()
    for _ in range(2 * MAX_FAILED):
        again.ended(report(), 1.0)
        again.ended(report("completed"), 2.0)
    assert again.due_s is not None


def test_too_many_failures_in_a_row_are_the_end_of_the_session():
    again = Again()
    for _ in range(MAX_FAILED - 1):
        again.ended(report(), 1.0)
    with pytest.raises(RemoteSessionError, match="server_error: it broke"):
        again.ended(report(code="server_error", words="it broke"), 1.0)
