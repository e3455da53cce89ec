"""What an error of the model side means for the call: one table for each place it can show itself.

Pure data and look-ups. FATAL: another try fails the same way (key, quota, settings). RETRY: this session or
response is lost, a new one may work. IGNORE: only one event of ours was refused, the session goes on.
Sources: OpenAI error codes, the list of codes that must not be retried, the close codes the official client
reconnects on (1001 1005 1006 1011 1012 1013 1015), RFC 6455 section 7.4. 1000 in mid-call: the peer ended this
session, and a new one may work.
"""

from collections.abc import Mapping
from types import MappingProxyType

from bridge.errors import FailureKind

_FATAL_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "invalid_api_key",
    "authentication_error",
    "permission_error",
    "account_deactivated",
    "billing_hard_limit_reached",
    "billing_not_active",
    "forbidden",
    "beta_api_shape_disabled",
    "model_not_found",
    "unsupported_country_region_territory",
)
_RETRY_CODES = (
    "session_expired",
    "rate_limit_exceeded",
    "inference_rate_limit_exceeded",
    "rate_limit_error",
    "server_overloaded",
    "inference_error",
)

ERROR_KINDS: Mapping[str, FailureKind] = MappingProxyType(
    dict.fromkeys(_FATAL_CODES, FailureKind.FATAL) | dict.fromkeys(_RETRY_CODES, FailureKind.RETRY)
)
ENDING_CODES = frozenset({"session_expired"})
CLOSE_KINDS: Mapping[int, FailureKind] = MappingProxyType(
    dict.fromkeys((1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003, 4001, 4003, 4004), FailureKind.FATAL)
)
HTTP_KINDS: Mapping[int, FailureKind] = MappingProxyType(
    dict.fromkeys((408, 409, 425, 429, 500, 502, 503, 504), FailureKind.RETRY)
)


def error_kind(code: str, error_type: str) -> FailureKind:
    """Kind of an `error` event or of a failed response; the table matches its code or its type, unknown is IGNORE."""
    return ERROR_KINDS.get(code) or ERROR_KINDS.get(error_type) or FailureKind.IGNORE


def ends_session(kind: FailureKind, code: str) -> bool:
    """Whether nothing more comes of the session after this error, though the server may be slow to close it."""
    return kind is FailureKind.FATAL or code in ENDING_CODES


def close_kind(code: int) -> FailureKind:
    """Kind of a WebSocket close code. An unlisted one may be a passing fault: RETRY."""
    return CLOSE_KINDS.get(code, FailureKind.RETRY)


def http_kind(status: int) -> FailureKind:
    """Kind of an HTTP answer that is not 101. Unlisted ones (redirects, 4xx) fail the same way again: FATAL."""
    return HTTP_KINDS.get(status, FailureKind.FATAL)
