"""What the stored events of calls add to the metrics (metrics_families.py): a machine that counts.

    committed events ─► Tally.take ─► Samples: (family, label values, amount) ─► bridge/control_metrics.py

Every event is counted once, when it is committed for the first time: a batch that a worker sends again brings nothing
new (bridge/store/store.py). Label values are words of closed lists, anything else is "other": the number of series is
fixed by FAMILIES, whatever callers, models and trunks say. The state of a running call is small; calls beyond
MAX_CALLS are counted without it. After a restart `prime` takes the events of the running calls and counts nothing.
A machine; called by control.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.records import moments
from bridge.records.cdr import CallEvent, number
from bridge.records.course import DIRECTIONS, Course
from bridge.records.ending import cause
from bridge.records.metrics_families import (
    EVENT_TYPES,
    LEGS,
    OTHER,
    RESPONSES,
    SESSION_FAILURES,
    TOKENS,
    TOOL_OUTCOMES,
    WHERE,
)
from bridge.records.mos import estimate, loss_percent

MAX_CALLS = 10_000
"""Running calls that are followed; a node carries some hundreds."""
BYE_LIMIT_S = 300.0
"""A call that is not over so long after its BYE did not end properly."""

_STATES = {"succeeded": "done"} | {name: name for name in TOOL_OUTCOMES if name != "done"}


@dataclass(frozen=True, slots=True)
class Sample:
    """Add `amount` to a counter, or observe it. `call_id`: whose it is, for an exemplar."""

    family: str
    labels: tuple[str, ...]
    amount: float
    call_id: str = ""


@dataclass(slots=True)
class _Call:
    course: Course = field(default_factory=Course)
    times: moments.CallMoments = field(default_factory=moments.CallMoments)
    tools: dict[str, str] = field(default_factory=dict)
    late: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """Calls that run: (direction, state) to their number, and how many are older than they may be."""

    calls: Mapping[tuple[str, str], int]
    overdue: int


class Tally:
    """Counts. `calls` that run are kept by id."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def prime(self, events: Iterable[CallEvent]) -> None:
        """Events of a running call that were counted by an earlier process."""
        for event in events:
            self._advance(event, keep=True)
            if event.type == "call.ended":
                self._calls.pop(event.call_id, None)

    def take(self, event: CallEvent, stored_at: float) -> tuple[list[Sample], Course | None]:
        """What a newly stored event adds; and how the call went, when this is its end. `stored_at`: unix seconds."""
        if not event.call_id:
            return [], None
        kind = event.type if event.type in EVENT_TYPES else None
        samples = [] if kind is None else [Sample("events", (kind,), 1.0)]
        handler = _COUNTS.get(event.type)
        samples += handler(event.data) if handler is not None else []
        call, found = self._advance(event, keep=event.type == "call.started")
        samples += [_moment(one) for one in found]
        samples += _of_call(call, event)
        over = None
        if event.type == "call.ended":
            at = number(event.at)
            end = moments.written(event.data, stored_at if at is None else at, stored_at)
            samples.append(_moment(end))
            samples += _ended(call.course)
            self._calls.pop(event.call_id, None)
            over = call.course
        return [_whose(one, event.call_id) for one in samples], over

    def overdue(self, now: float) -> list[str]:
        """Calls whose BYE was more than five minutes before `now` (monotonic) and that are not over: each told once."""
        late = [
            call_id
            for call_id, call in self._calls.items()
            if not call.late
            and call.course.closing_s is not None
            and now - call.course.closing_s > BYE_LIMIT_S
        ]
        for call_id in late:
            self._calls[call_id].late = True
        return late

    def running(self, boots: set[str], now: float, max_call_s: float) -> Running:
        """The calls of these boots. Older than they may be: answered more than `max_call_s` before `now`."""
        calls = dict.fromkeys(((one, state) for one in DIRECTIONS for state in STATES), 0)
        overdue = 0
        for call in self._calls.values():
            course = call.course
            if course.boot in boots:
                calls[course.direction, _state(course)] += 1
                overdue += course.answered_s is not None and now - course.answered_s > max_call_s
        return Running(calls, overdue)

    def _advance(self, event: CallEvent, *, keep: bool) -> tuple[_Call, list[moments.Moment]]:
        call = self._calls.get(event.call_id)
        if call is None:
            call = _Call()
            if keep and len(self._calls) < MAX_CALLS:  # a late word of a call that is over keeps nothing
                self._calls[event.call_id] = call
        call.course.take(event)
        return call, call.times.take(event)


STATES = ("ringing", "talking", "held", "closing")


def _state(course: Course) -> str:
    if course.closing_s is not None:
        return "closing"
    if course.answered_s is None:
        return "ringing"
    return "held" if course.held else "talking"


def word(value: Any, known: tuple[str, ...]) -> str:
    """A label value: one of `known`, or "other"."""
    found = value if isinstance(value, str) else ""
    return found if found in known else OTHER


_MOMENTS = {name: f"{name}_seconds" for name in moments.NAMES}


def _moment(found: moments.Moment) -> Sample:
    return Sample(_MOMENTS[found.name], (found.kind,) if found.kind else (), found.seconds)


def _whose(sample: Sample, call_id: str) -> Sample:
    return Sample(sample.family, sample.labels, sample.amount, call_id)


def _seconds(family: str, ms: Any, *labels: str) -> list[Sample]:
    found = number(ms)
    return [] if found is None else [Sample(family, labels, max(found, 0.0) / 1000)]


def _of_call(call: _Call, event: CallEvent) -> list[Sample]:
    """What an event adds that has to know the call."""
    data, direction = event.data, (call.course.direction,)
    if event.type == "call.started":
        return [Sample("calls_started", direction, 1.0)]
    if event.type == "call.answered":
        setup = _seconds("setup_seconds", data.get("answer_ms"), *direction)
        return [Sample("calls_answered", direction, 1.0), *setup]
    if event.type == "tool.state":
        if len(call.tools) < moments.MAX_OPEN_TOOLS:
            call.tools[str(data.get("call_id"))] = str(data.get("state"))
    elif event.type == "function_output":
        state = call.tools.pop(str(data.get("call_id")), "refused")
        return [Sample("tool_calls", (word(_STATES.get(state), TOOL_OUTCOMES),), 1.0)]
    return []


def _ended(course: Course) -> list[Sample]:
    found = cause(course)
    samples = [
        Sample("calls_ended", (course.direction, found.kind), 1.0),
        Sample("call_causes", (found.name,), 1.0),
    ]
    if course.talked_s is not None:
        samples.append(Sample("call_duration_seconds", (course.direction,), course.talked_s))
    return samples


def _response(data: Mapping[str, Any]) -> list[Sample]:
    usage = data.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    tokens = ((kind, number(counted.get(kind)) or 0.0) for kind in TOKENS)
    return [
        Sample("responses", (word(data.get("status"), RESPONSES),), 1.0),
        *_cost(data),
        *_seconds("model_latency_seconds", data.get("latency_ms")),
        *(Sample("tokens", (kind,), amount) for kind, amount in tokens if amount > 0),
    ]


def _cost(data: Mapping[str, Any]) -> list[Sample]:
    cost = number(data.get("cost_usd"))
    return [] if cost is None or cost <= 0 else [Sample("cost_usd", (), cost)]


def _error(data: Mapping[str, Any]) -> list[Sample]:
    dead_air = [Sample("dead_air", (), 1.0)] if data.get("code") == "dead_air" else []
    return [Sample("call_errors", (word(data.get("where"), WHERE),), 1.0), *dead_air]


def _underrun(data: Mapping[str, Any]) -> list[Sample]:
    return [Sample("underruns", (), 1.0), *_seconds("underrun_seconds", data.get("ms"))]


def _media(data: Mapping[str, Any]) -> list[Sample]:
    """RTP of a call that had any."""
    received, lost = number(data.get("rx_packets")), number(data.get("rx_lost"))
    dropped = _seconds("caller_audio_dropped_seconds", data.get("intake_dropped_ms"))
    if not received or lost is None:
        return dropped
    loss, jitter_ms = loss_percent(int(received), int(lost)), number(data.get("rx_jitter_ms")) or 0.0
    quality = number(data.get("mos"))
    if quality is None:
        quality = estimate(loss_pct=loss, jitter_ms=jitter_ms, rtt_ms=number(data.get("rtt_ms")) or 0.0)
    return [
        Sample("rtp_loss_ratio", (), loss / 100),
        Sample("rtp_jitter_seconds", (), max(jitter_ms, 0.0) / 1000),
        Sample("mos", (), quality),
        *dropped,
    ]


_COUNTS: Mapping[str, Callable[[Mapping[str, Any]], list[Sample]]] = {
    "session.ready": lambda data: _seconds("session_connect_seconds", data.get("ms")),
    "session.failed": lambda data: [
        Sample("session_failures", (word(data.get("code"), SESSION_FAILURES),), 1.0)
    ],
    "response": _response,
    "transcription": _cost,
    "error": _error,
    "underrun": _underrun,
    "media": _media,
    "leg.ended": lambda data: [Sample("second_legs", (LEGS[data.get("answered") is not True],), 1.0)],
    "step.failed": lambda _data: [Sample("steps_failed", (), 1.0)],
}
