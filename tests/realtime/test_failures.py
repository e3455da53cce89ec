"""Demands: reference 1.1 and 1.9 (codes that must not be retried, close codes the official client reconnects on)."""

import pytest

from bridge.errors import FailureKind
from bridge.realtime.failures import close_kind, ends_session, error_kind, http_kind


@pytest.mark.parametrize(
    ("code", "error_type", "kind"),
    [
        ("insufficient_quota", "", FailureKind.FATAL),
        ("", "insufficient_quota", FailureKind.FATAL),
        ("invalid_api_key", "invalid_request_error", FailureKind.FATAL),
        ("beta_api_shape_disabled", "", FailureKind.FATAL),
        ("session_expired", "invalid_request_error", FailureKind.RETRY),
        ("inference_rate_limit_exceeded", "", FailureKind.RETRY),
        ("response_cancel_not_active", "invalid_request_error", FailureKind.IGNORE),
        ("conversation_already_has_active_response", "", FailureKind.IGNORE),
        ("something_new", "something_new", FailureKind.IGNORE),
        ("", "", FailureKind.IGNORE),
    ],
)
def test_an_error_means_what_the_table_says_by_code_or_type(code, error_type, kind):
    assert error_kind(code, error_type) is kind


@pytest.mark.parametrize(
    ("kind", "code", "over"),
    [
        (FailureKind.RETRY, "session_expired", True),
        (FailureKind.FATAL, "invalid_api_key", True),
        (FailureKind.RETRY, "rate_limit_exceeded", False),
        (FailureKind.IGNORE, "invalid_value", False),
    ],
)
def test_a_session_is_over_when_it_expired_or_nothing_can_mend_it(kind, code, over):
    assert ends_session(kind, code) is over


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1011, 1012, 1013, 1015, 4999])
def test_closes_the_official_client_reconnects_on_are_worth_a_retry(code):
    assert close_kind(code) is FailureKind.RETRY


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 3000])
def test_closes_that_would_come_again_are_fatal(code):
    assert close_kind(code) is FailureKind.FATAL


def test_http_refusals_are_fatal_but_for_the_passing_ones():
    assert {status: http_kind(status) for status in (301, 400, 401, 403, 404)} == dict.fromkeys(
        (301, 400, 401, 403, 404), FailureKind.FATAL
    )
    assert {http_kind(status) for status in (408, 429, 500, 502, 503, 504)} == {FailureKind.RETRY}
