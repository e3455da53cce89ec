"""The record of one call (call detail record), folded from its events one by one.

`apply` is a pure function of a record and an event: unknown events change nothing, missing ones leave
their fields empty, values of a wrong type count as missing, a second `call.ended` does not overwrite the
first. So a record can always be made again from the stored events, and a strange event can never stop the
ones behind it. Called by control for every stored event, and by tests. No I/O, any thread.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bridge.records.mos import estimate, loss_percent

MAX_TEXT = 500
"""Characters of one text field of a record; SIP headers come from strangers."""
_MAX_INT = 2**63 - 1
NODE_LOST = "node_lost"
"""`end_reason` of a call whose node was not heard of any more; not the last word if the node comes back."""
LOST_BOOT = "lost."
"""Events under boots of this kind are told about a lost node by another one."""
_ENDING = ("ended_at", "duration_s", "ended_by", "end_status", "end_reason", "end_detail")


class CallEvent(Protocol):
    """What a fold needs of an event. `at` is unix seconds, `mono` monotonic seconds of the same machine."""

    @property
    def call_id(self) -> str: ...
    @property
    def boot(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def mono(self) -> float: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call; None: not known, or did not happen. Times are unix seconds, `duration_s` is from the answer."""

    call_id: str
    boot: str
    started_at: float
    worker: str | None = None
    direction: str | None = None
    from_uri: str | None = None
    to_uri: str | None = None
    from_display: str | None = None
    sip_call_id: str | None = None
    remote: str | None = None
    route: str | None = None
    agent: str | None = None
    plan_version: str | None = None
    answered_at: float | None = None
    answered_mono: float | None = None
    ended_at: float | None = None
    duration_s: float | None = None
    ended_by: str | None = None
    end_status: int | None = None
    end_reason: str | None = None
    end_detail: str | None = None
    codec: str | None = None
    ptime_ms: float | None = None
    provider: str | None = None
    model: str | None = None
    session_id: str | None = None
    session_ms: float | None = None
    session_error: str | None = None
    rx_packets: int | None = None
    rx_lost: int | None = None
    rx_loss_pct: float | None = None
    rx_jitter_ms: float | None = None
    tx_packets: int | None = None
    rtt_ms: float | None = None
    mos: float | None = None
    responses: int = 0
    cost_usd: float | None = None
    worst_latency_ms: float | None = None
    barge_ins: int = 0
    holds: int = 0
    dtmf_digits: int = 0
    function_calls: int = 0
    errors: int = 0
    recording_path: str | None = None
    recording_s: float | None = None
    node: str = ""

    @property
    def state(self) -> str:
        """`ringing`, `answered` or `ended`."""
        if self.ended_at is not None:
            return "ended"
        return "ringing" if self.answered_at is None else "answered"


Changes = dict[str, Any]


def fold(events: Iterable[CallEvent], record: CallRecord | None = None) -> CallRecord | None:
    """The record after all these events of one call; None when there is neither record nor event."""
    for event in events:
        record = apply(record, event)
    return record


def apply(record: CallRecord | None, event: CallEvent) -> CallRecord:
    """The record after one more event; None for a call nothing is known of yet."""
    if record is None:
        record = CallRecord(_text(event.call_id) or "", event.boot, number(event.at) or 0.0)
    if record.end_reason == NODE_LOST and not event.boot.startswith(LOST_BOOT):
        # Another node took the call's node for dead; whoever carries the call knows better.
        nothing: Changes = dict.fromkeys(_ENDING)
        record = replace(record, **nothing)
    handler = _HANDLERS.get(event.type)
    return record if handler is None else replace(record, **handler(record, event))


def number(value: Any) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    # A lone surrogate from a careless peer is legal JSON and illegal UTF-8.
    return str(value)[:MAX_TEXT].encode("utf-8", "replace").decode()


def _int(value: Any) -> int | None:
    found = number(value)
    return None if found is None or abs(found) > _MAX_INT // 2 else int(found)


def _started(_record: CallRecord, event: CallEvent) -> Changes:
    data = event.data
    texts = {
        "worker": "worker",
        "direction": "direction",
        "from_uri": "from",
        "to_uri": "to",
        "from_display": "from_display",
        "sip_call_id": "sip_call_id",
        "remote": "remote",
        "route": "route",
        "agent": "agent",
        "plan_version": "plan_version",
    }
    return {"started_at": number(event.at) or 0.0, **{to: _text(data.get(key)) for to, key in texts.items()}}


def _dialled(_record: CallRecord, event: CallEvent) -> Changes:
    return {"sip_call_id": _text(event.data.get("sip_call_id"))}


def _answered(record: CallRecord, event: CallEvent) -> Changes:
    media = _codec(record, event)
    if record.answered_at is not None:
        return media
    return {"answered_at": number(event.at), "answered_mono": number(event.mono), **media}


def _codec(record: CallRecord, event: CallEvent) -> Changes:
    codec, ptime_ms = _text(event.data.get("codec")), number(event.data.get("ptime_ms"))
    return {
        "codec": codec or record.codec,
        "ptime_ms": record.ptime_ms if ptime_ms is None else ptime_ms,
    }


def _ended(record: CallRecord, event: CallEvent) -> Changes:
    if record.ended_at is not None:
        return {}
    at, mono = number(event.at), number(event.mono)
    talked = None if record.answered_mono is None or mono is None else max(mono - record.answered_mono, 0.0)
    return {
        "ended_at": record.started_at if at is None else at,
        "duration_s": talked,
        "ended_by": _text(event.data.get("by")),
        "end_status": _int(event.data.get("status")),
        "end_reason": _text(event.data.get("reason")),
        "end_detail": _text(event.data.get("detail")),
    }


def _connecting(record: CallRecord, event: CallEvent) -> Changes:
    return {
        "provider": _text(event.data.get("provider")),
        "model": _text(event.data.get("model")),
        "agent": _text(event.data.get("agent")) or record.agent,
    }


def _ready(_record: CallRecord, event: CallEvent) -> Changes:
    return {"session_id": _text(event.data.get("session_id")), "session_ms": number(event.data.get("ms"))}


def _failed(_record: CallRecord, event: CallEvent) -> Changes:
    words = (_text(event.data.get("code")), _text(event.data.get("message")))
    return {"session_error": ": ".join(word for word in words if word) or "failed"}


def _response(record: CallRecord, event: CallEvent) -> Changes:
    cost, latency = number(event.data.get("cost_usd")), number(event.data.get("latency_ms"))
    return {
        "responses": record.responses + 1,
        "cost_usd": record.cost_usd if cost is None else (record.cost_usd or 0.0) + cost,
        "worst_latency_ms": max(
            (ms for ms in (latency, record.worst_latency_ms) if ms is not None), default=None
        ),
    }


def _media(_record: CallRecord, event: CallEvent) -> Changes:
    data = event.data
    received, lost = _int(data.get("rx_packets")), _int(data.get("rx_lost"))
    jitter_ms, rtt_ms = number(data.get("rx_jitter_ms")), number(data.get("rtt_ms"))
    loss_pct = None if received is None or lost is None else loss_percent(received, lost)
    quality = number(data.get("mos"))
    if quality is None and received and loss_pct is not None:
        quality = estimate(loss_pct=loss_pct, jitter_ms=jitter_ms or 0.0, rtt_ms=rtt_ms or 0.0)
    return {
        "rx_packets": received,
        "rx_lost": lost,
        "rx_loss_pct": loss_pct,
        "rx_jitter_ms": jitter_ms,
        "tx_packets": _int(data.get("tx_packets")),
        "rtt_ms": rtt_ms,
        "mos": quality,
    }


def _recording(_record: CallRecord, event: CallEvent) -> Changes:
    return {
        "recording_path": _text(event.data.get("path")),
        "recording_s": number(event.data.get("seconds")),
    }


def _count(field: str) -> Callable[[CallRecord, CallEvent], Changes]:
    return lambda record, _event: {field: getattr(record, field) + 1}


_HANDLERS: dict[str, Callable[[CallRecord, CallEvent], Changes]] = {
    "call.started": _started,
    "call.dialled": _dialled,
    "call.answered": _answered,
    "call.ended": _ended,
    "media.started": _codec,
    "call.held": _count("holds"),
    "session.connecting": _connecting,
    "session.ready": _ready,
    "session.failed": _failed,
    "response": _response,
    "barge_in": _count("barge_ins"),
    "dtmf": _count("dtmf_digits"),
    "function_call": _count("function_calls"),
    "error": _count("errors"),
    "media": _media,
    "recording": _recording,
}
