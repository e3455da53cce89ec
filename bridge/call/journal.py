"""What the call tells the record: one method a kind of fact, each one event on the link.

The vocabulary is the store's (records/cdr.py folds it). Journal only names and shapes; `emit` keeps the event
on disk and gets it to control. Digits, numbers and transcripts travel to the store; they are not logged here.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from bridge.media.recorder import RecordingFacts
from bridge.realtime.events import ResponseReport
from bridge.sip.events import HangUpBy, HungUp, Invite, MediaStarted, MediaStats

Emit = Callable[[str, str, Mapping[str, Any]], None]
OnWords = Callable[[str, str, str], None]
Messages = Callable[[], Sequence[Mapping[str, Any]]]
MAX_RECORDED_HEADERS = 40
MAX_RECORDED_ERRORS = 50
NOTHING: Mapping[str, str] = {}
MAX_HIDDEN_ITEMS = 256
HIDDEN = "…"
MESSAGES_AT_ONCE = 20
_TELLS_MESSAGES = frozenset({"agent.started", "call.held", "call.resumed", "leg.connected", "call.ended"})
"""Events before which the record is told what SIP messages there were: not each by itself, and none after the end."""
_HIDES: Mapping[str, str] = {
    "dtmf": "digit", "transcript": "text", "function_call": "arguments", "function_output": "output",
    "collect": "digits", "switch": "value", "menu": "key", "menu.heard": "text",
    "supervisor.whispered": "text",
}  # fmt: skip


def _nobody(_who: str, _item_id: str, _words: str) -> None:
    """Nobody looks at words before they are whole."""


class Journal:
    """The record of one call, as it is written. `emit(call_id, type, data)` never waits and never raises.

    `on_words(who, item_id, text so far)` gets what is not whole yet, hidden as the record would have it.

    `messages`: the SIP messages of the caller's leg since the last time.
    """

    def __init__(self, call_id: str, emit: Emit, messages: Messages = list) -> None:
        self.call_id = call_id
        self._emit = emit
        self._messages = messages
        self._errors = 0
        self._hidden = False
        self._hidden_items: deque[str] = deque(maxlen=MAX_HIDDEN_ITEMS)
        self._speaking: dict[str, str] = {}
        self._closing_s: float | None = None
        self.on_words: OnWords = _nobody

    def partial(self, who: str, item_id: str, words: str) -> None:
        """What was said of an item so far: for people who look, not for the record."""
        self.on_words(who, item_id, self._shown("transcript", {"item_id": item_id, "text": words})["text"])

    def hide(self, *, hidden: bool) -> None:
        """While hidden, digits, words and arguments are not recorded; nor are, later, words of speech begun then."""
        self._hidden = hidden
        if hidden:
            self._hidden_items.extend(self._speaking.values())

    def note(self, event_type: str, **data: Any) -> None:
        """An event as it stands. Errors beyond the first fifty are only counted: a broken peer sends thousands."""
        if event_type == "error":
            self._errors += 1
            if self._errors > MAX_RECORDED_ERRORS:
                return
        if event_type in _TELLS_MESSAGES:
            self.sip("caller", self._messages())
        self._emit(self.call_id, event_type, self._shown(event_type, data))

    def sip(self, leg: str, messages: Sequence[Mapping[str, Any]]) -> None:
        """SIP messages of a leg since the last time (sip/ladder.py)."""
        for first in range(0, len(messages), MESSAGES_AT_ONCE):
            piece = list(messages[first : first + MESSAGES_AT_ONCE])
            self._emit(self.call_id, "sip.messages", {"leg": leg, "messages": piece})

    def _shown(self, event_type: str, data: dict[str, Any]) -> dict[str, Any]:
        item_id = data.get("item_id", "")
        if event_type in {"speech.started", "agent.started"}:
            self._speaking[event_type] = item_id
        if self._hidden and item_id:
            self._hidden_items.append(item_id)
        key = _HIDES.get(event_type)
        if key is None or not (self._hidden or (item_id and item_id in self._hidden_items)):
            return data
        return {**data, key: HIDDEN}

    def started(
        self,
        invite: Invite,
        *,
        route: str,
        plan_version: str,
        worker: str,
        seen: Mapping[str, str] = NOTHING,
        direction: str = "inbound",
    ) -> None:
        """The INVITE came and was routed; or ("outbound") it is about to be sent.

        `seen`: what the dialplan made of its numbers.
        """
        headers = dict(list(invite.headers.items())[:MAX_RECORDED_HEADERS])
        self._emit(
            self.call_id,
            "call.started",
            {
                "direction": direction,
                "from": invite.caller.user,
                "from_display": invite.caller.display,
                "to": invite.called.user,
                "sip_call_id": invite.sip_call_id,
                "remote": invite.remote,
                "route": route,
                "plan_version": plan_version,
                "worker": worker,
                "headers": headers,
                **seen,
            },
        )

    def media_started(self, event: MediaStarted) -> None:
        """Audio flows in this codec."""
        self.note("media.started", codec=event.codec, ptime_ms=event.ptime_ms, remote_rtp=event.remote)

    def response(self, report: ResponseReport) -> None:
        """One response of the model ended: what it cost and how long it took."""
        usage = report.usage
        first_audio_ms = (
            None if report.first_audio_s is None else (report.first_audio_s - report.created_s) * 1000
        )
        self._emit(
            self.call_id,
            "response",
            {
                "response_id": report.response_id,
                "status": report.status,
                "reason": report.reason or report.error_code,
                "usage": {**asdict(usage), "total": usage.total},
                "cost_usd": _money(report.cost_usd),
                "latency_ms": _rounded(report.latency_ms),
                "first_audio_ms": _rounded(first_audio_ms),
                "duration_ms": _rounded((report.ended_s - report.created_s) * 1000),
            },
        )

    def media(self, stats: MediaStats, **more: Any) -> None:
        """RTP counters of the whole call."""
        self._emit(self.call_id, "media", asdict(stats) | more)

    def recording(self, facts: RecordingFacts, late_ms: int) -> None:
        """The file is closed. `late_ms`: caller audio that came too late for it."""
        self.note(
            "recording",
            path=str(facts.path),
            seconds=facts.seconds,
            dropped_ms=facts.dropped_ms,
            late_ms=late_ms,
            error=facts.error,
        )

    def closing(self, by: HangUpBy) -> None:
        """The leg is over, or we have just said goodbye: from here on the record is being closed. Told once."""
        if self._closing_s is None:
            self._closing_s = time.monotonic()
            self.note("call.closing", by=by.value)

    def ended(self, end: HungUp, detail: str = "") -> None:
        """The last event of every call."""
        more = self._errors - MAX_RECORDED_ERRORS
        facts: dict[str, Any] = {"errors_not_recorded": more} if more > 0 else {}
        if self._closing_s is not None:
            facts["closing_ms"] = _rounded((time.monotonic() - self._closing_s) * 1000)
        self.note("call.ended", by=end.by.value, status=end.status, reason=end.reason, detail=detail, **facts)


def _money(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)
