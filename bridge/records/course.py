"""What of a call's events says how it went: kept while it runs, in a few fields, however long the call is.

`Course.take` folds one event after the other; bridge/records/ending.py reads the result. As in cdr.py, unknown events
change nothing and values of a wrong type count as missing. A machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.records.cdr import CallEvent, CallRecord, number

MAX_CHARS = 300
DIRECTIONS = ("inbound", "outbound")


@dataclass(slots=True)
class Course:
    """One call so far. Times are monotonic seconds; texts are cut, "" when there is nothing to say."""

    call_id: str = ""
    boot: str = ""
    direction: str = "inbound"
    worker: str = ""
    route: str = ""
    trunk: str = ""
    provider: str = ""
    started_s: float | None = None
    answered_s: float | None = None
    closing_s: float | None = None
    ended_s: float | None = None
    held: bool = False
    by: str = ""
    status: int = 0
    reason: str = ""
    detail: str = ""
    session_error: str = ""
    """The model was lost, and no session came up since."""
    error: str = ""
    """The last trouble that was noted."""
    step: str = ""
    step_error: str = ""
    leg: str = ""
    leg_error: str = ""
    connected: bool = False
    """The caller was with a person, or was sent on."""
    not_placed: str = ""

    def take(self, event: CallEvent) -> None:
        """One more event of this call."""
        self.call_id, self.boot = self.call_id or event.call_id, self.boot or event.boot
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event.data, number(event.mono))

    @property
    def answered(self) -> bool:
        """Whether the two sides could talk. Of a call whose beginning nobody saw, a success at the end says so."""
        return self.answered_s is not None or (self.started_s is None and 200 <= self.status < 300)

    @property
    def rang_s(self) -> float | None:
        """From the INVITE to the answer, or to the end."""
        until_s = self.ended_s if self.answered_s is None else self.answered_s
        return None if self.started_s is None or until_s is None else max(until_s - self.started_s, 0.0)

    @property
    def talked_s(self) -> float | None:
        """From the answer to the end."""
        if self.answered_s is None or self.ended_s is None:
            return None
        return max(self.ended_s - self.answered_s, 0.0)

    def _started(self, data: Mapping[str, Any], mono: float | None) -> None:
        direction = text(data.get("direction"))
        self.direction = direction if direction in DIRECTIONS else DIRECTIONS[0]
        self.worker, self.route = text(data.get("worker")), text(data.get("route"))
        self.trunk = text(data.get("trunk"))
        self.started_s = mono

    def _answered(self, _data: Mapping[str, Any], mono: float | None) -> None:
        if self.answered_s is None:
            self.answered_s = mono

    def _session_connecting(self, data: Mapping[str, Any], _mono: float | None) -> None:
        self.provider = text(data.get("provider"))

    def _session_ready(self, _data: Mapping[str, Any], _mono: float | None) -> None:
        self.session_error = ""

    def _session_failed(self, data: Mapping[str, Any], _mono: float | None) -> None:
        self.session_error = _joined(data, "code", "message") or "failed"

    def _error(self, data: Mapping[str, Any], _mono: float | None) -> None:
        self.error = _joined(data, "where", "code", "message")

    def _step_failed(self, data: Mapping[str, Any], _mono: float | None) -> None:
        self.step, self.step_error = text(data.get("step")), text(data.get("reason"))

    def _leg_ended(self, data: Mapping[str, Any], _mono: float | None) -> None:
        if data.get("answered") is not True:
            self.leg = text(data.get("leg"))
            self.leg_error = " ".join(text(data[key]) for key in ("status", "reason") if data.get(key))

    def _with_people(self, _data: Mapping[str, Any], _mono: float | None) -> None:
        self.connected = True

    def _hold(self, held: bool) -> None:
        self.held = held

    def _closing(self, _data: Mapping[str, Any], mono: float | None) -> None:
        if self.closing_s is None:
            self.closing_s = mono

    def _not_placed(self, data: Mapping[str, Any], _mono: float | None) -> None:
        self.not_placed = text(data.get("reason")) or "not placed"

    def _ended(self, data: Mapping[str, Any], mono: float | None) -> None:
        if self.by:
            return
        self.by, self.reason = text(data.get("by")) or "nobody", text(data.get("reason"))
        self.detail, self.status = text(data.get("detail")), int(number(data.get("status")) or 0)
        self.ended_s = mono


def course_of(record: CallRecord) -> Course:
    """The course of a call as far as its record tells it: without steps, legs and errors. Times are unix seconds."""
    return Course(
        call_id=record.call_id,
        boot=record.boot,
        direction="outbound" if record.direction == "outbound" else "inbound",
        worker=text(record.worker),
        route=text(record.route),
        provider=text(record.provider),
        started_s=record.started_at,
        answered_s=record.answered_at,
        ended_s=record.ended_at,
        by=text(record.ended_by) or ("nobody" if record.ended_at is not None else ""),
        status=record.end_status or 0,
        reason=text(record.end_reason),
        detail=text(record.end_detail),
        session_error=text(record.session_error) if record.session_ms is None else "",
    )


def text(value: Any) -> str:
    """A value as one line of text, cut; "" for None."""
    if value is None:
        return ""
    return "".join(char if char.isprintable() else " " for char in str(value)[:MAX_CHARS])


def _joined(data: Mapping[str, Any], *keys: str) -> str:
    return ": ".join(word for word in (text(data.get(key)) for key in keys) if word)[:MAX_CHARS]


Handler = Callable[[Course, Mapping[str, Any], float | None], None]
_HANDLERS: Mapping[str, Handler] = {
    "call.started": Course._started,  # noqa: SLF001  # the class's own table
    "call.answered": Course._answered,  # noqa: SLF001
    "call.held": lambda call, _data, _mono: call._hold(held=True),  # noqa: SLF001
    "call.resumed": lambda call, _data, _mono: call._hold(held=False),  # noqa: SLF001
    "call.closing": Course._closing,  # noqa: SLF001
    "call.not_placed": Course._not_placed,  # noqa: SLF001
    "call.ended": Course._ended,  # noqa: SLF001
    "session.connecting": Course._session_connecting,  # noqa: SLF001
    "session.ready": Course._session_ready,  # noqa: SLF001
    "session.failed": Course._session_failed,  # noqa: SLF001
    "step.failed": Course._step_failed,  # noqa: SLF001
    "leg.ended": Course._leg_ended,  # noqa: SLF001
    "leg.connected": Course._with_people,  # noqa: SLF001
    "queue.connected": Course._with_people,  # noqa: SLF001
    "park.picked_up": Course._with_people,  # noqa: SLF001
    "error": Course._error,  # noqa: SLF001
}
