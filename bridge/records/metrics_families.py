"""The families of metrics that control counts: names, what they mean, closed lists of label values, buckets.

The number of series follows from this table alone. Seconds and ratios are base units, names follow
prometheus.io/docs/practices/naming. What each is good for: ops/observe.md. Pure values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.records import moments
from bridge.records.course import DIRECTIONS
from bridge.records.ending import CAUSES, CLASSES

_QUICK = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_SLOW = (0.1, 0.3, 1.0, 3.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_LONG = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)

EVENT_TYPES = (
    "call.started", "call.answered", "call.ended", "session.ready", "session.failed", "response", "barge_in", "dtmf",
    "function_call", "error",
)  # fmt: skip
RESPONSES = ("completed", "cancelled", "failed", "incomplete")
SESSION_FAILURES = (
    "connect_timeout", "connect_failed", "dns_failed", "tls_failed", "bad_url", "bad_handshake", "http_401", "http_403",
    "http_429", "http_500", "http_503", "insufficient_quota", "invalid_api_key", "model_not_found",
    "rate_limit_exceeded",
    "session_expired", "server_overloaded", "silent_model", "send_timeout", "close_1000", "close_1006", "close_1011",
    "response_failed", "ended",
)  # fmt: skip
TOOL_OUTCOMES = ("done", "denied", "expired", "cancelled", "failed", "unknown", "refused")
TOKENS = (
    "text_in",
    "audio_in",
    "image_in",
    "text_cached",
    "audio_cached",
    "image_cached",
    "text_out",
    "audio_out",
)
WHERE = (
    "session", "model", "tools", "transcription", "recording", "prompt", "music", "answer", "hand_off", "queue",
    "callback",
)  # fmt: skip
LEGS = ("answered", "not_answered")
DECISIONS = ("approved", "denied", "expired", "cancelled")
OTHER = "other"
"""Instead of a label value that is in no list."""


@dataclass(frozen=True, slots=True)
class Family:
    """`kind`: counter, or histogram with `buckets`. `labels`: name to all its values, "other" not named."""

    name: str
    kind: str
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()


def _histogram(
    name: str, words: str, buckets: tuple[float, ...], **labels: tuple[str, ...]
) -> tuple[str, Family]:
    return name, Family(f"sipbridge_{name}", "histogram", words, labels, buckets)


def _counter(name: str, words: str, **labels: tuple[str, ...]) -> tuple[str, Family]:
    return name, Family(f"sipbridge_{name}_total", "counter", words, labels)


FAMILIES: Mapping[str, Family] = dict(
    (
        _histogram("greeting_seconds", "From the answer to the first word heard.", _QUICK),
        _histogram("response_seconds", "From the caller's last word to the answer heard.", _QUICK),
        _histogram(
            "barge_in_seconds",
            "From the model's word that the caller speaks to the agent's silence.",
            (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6),
        ),
        _histogram(
            "tool_wait_seconds",
            "From the model's function call to its output, confirming and approving included.",
            _SLOW,
            waited_for=moments.WAITED_FOR,
        ),
        _histogram(
            "transfer_start_seconds",
            "From the order of a transfer to its REFER or INVITE.",
            (0.05, 0.3, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0),
            how=moments.HOW,
        ),
        _histogram(
            "record_written_seconds",
            "From the end of a call's leg to its record in the store.",
            (0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 300.0, 3600.0),
        ),
        _histogram("setup_seconds", "From the INVITE to the answer.", (*_QUICK, 20.0, 60.0), direction=DIRECTIONS),
        _histogram("session_connect_seconds", "From the connection's start to the session's readiness.", _QUICK),
        _histogram("model_latency_seconds", "From the question's end to the response's first audio.", _QUICK),
        _histogram("call_duration_seconds", "From the answer to the end.", _LONG, direction=DIRECTIONS),
        _histogram("rtp_loss_ratio", "Share of the peer's packets that did not come, a call.", (
            0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3,
        )),
        _histogram("rtp_jitter_seconds", "Jitter of the peer's packets, a call.", (
            0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1,
        )),
        _histogram("mos", "Estimated listening quality (E-model, 1 to 4.5), a call.", (
            1.5, 2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.2, 4.3, 4.4,
        )),
        _counter("events", "Call events stored, by type.", type=EVENT_TYPES),
        _counter("calls_started", "Calls that came in or were placed.", direction=DIRECTIONS),
        _counter("calls_answered", "Calls that were answered.", direction=DIRECTIONS),
        _counter("calls_ended", "Calls that are over, by how.", direction=DIRECTIONS, kind=CLASSES),
        _counter("call_causes", "Calls that are over, by cause (ops/observe.md).", cause=CAUSES),
        _counter("calls_not_ended", "Calls that were not over five minutes after their BYE."),
        _counter("session_failures", "Sessions with a model that failed.", code=SESSION_FAILURES),
        _counter("responses", "Responses of models, by how they ended.", status=RESPONSES),
        _counter("tokens", "Tokens of models, by kind.", kind=TOKENS),
        _counter("cost_usd", "Cost of model responses and transcription."),
        _counter("tool_calls", "Function calls of models and steps that have an output.", outcome=TOOL_OUTCOMES),
        _counter("dead_air", "Times the model was silent for too long and was asked again."),
        _counter("call_errors", "Troubles noted in calls, by where.", where=WHERE),
        _counter("underruns", "Gaps in what the agent said: its audio came too late."),
        _counter("underrun_seconds", "How long these gaps were."),
        _counter("caller_audio_dropped_seconds", "Audio of callers that was dropped: the model was too slow."),
        _counter("second_legs", "Legs that calls placed themselves, when they are over.", outcome=LEGS),
        _counter("steps_failed", "Steps of the dialplan that failed."),
        _counter("approvals", "Requests that waited for a person and wait no more.", outcome=DECISIONS),
        _histogram("approval_seconds", "From the question to the approvers to its end.", _SLOW, outcome=DECISIONS),
        _histogram("store_write_seconds", "How long the store took for one batch of events.", (
            0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0,
        )),
    )
)  # fmt: skip
