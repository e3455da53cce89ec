"""The moments by which callers judge a call, and ops the bridge: found in a call's events, as they come.

    greeting        answered ─► the first word is heard (agent or prompt)
    response        the caller's last word ─► the answer is heard
    barge_in        the model says that the caller speaks ─► the agent is silent
    tool_wait       the model wants a function ─► it has the output, all confirming and approving included
    transfer_start  the transfer is ordered ─► REFER or INVITE goes out
    record_written  the leg is over ─► the record is in the store (known to whoever stores: `written`)

A machine: one CallMoments a call, fed with its events in order; each event gives the moments that end with it. Ends
and beginnings are those that bridge/records/timeline.py draws, so the figures of a call are the same wherever they are
shown: /metrics, traces, `sipbridge calls show`. A moment whose beginning nobody saw is left out, never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.records.cdr import CallEvent, number

GREETING = "greeting"
RESPONSE = "response"
BARGE_IN = "barge_in"
TOOL_WAIT = "tool_wait"
TRANSFER_START = "transfer_start"
RECORD_WRITTEN = "record_written"
NAMES = (GREETING, RESPONSE, BARGE_IN, TOOL_WAIT, TRANSFER_START, RECORD_WRITTEN)

WAITED_FOR = ("nobody", "caller", "approver")
"""Who a function call waited for: nobody, the caller's own yes, or a person who approves."""
HOW = ("refer", "dial")
MAX_OPEN_TOOLS = 64


@dataclass(frozen=True, slots=True)
class Moment:
    """`name`: one of NAMES. `kind`: "" or a word of WAITED_FOR (tool_wait) or HOW (transfer_start)."""

    name: str
    seconds: float
    kind: str = ""


@dataclass(slots=True)
class _Tool:
    since_s: float
    waited_for: str = "nobody"


class CallMoments:
    """What has begun in one call and not ended yet."""

    def __init__(self) -> None:
        self._answered_s: float | None = None
        self._greeted = False
        self._speech: tuple[float, float | None] | None = None
        self._waits_since_s: float | None = None
        self._tools: dict[str, _Tool] = {}

    def take(self, event: CallEvent) -> list[Moment]:
        """The moments that end with this event. `mono` of the events counts."""
        handler = _HANDLERS.get(event.type)
        mono = number(event.mono)
        return [] if handler is None or mono is None else handler(self, event.data, mono)

    def _answered(self, _data: Mapping[str, Any], mono: float) -> list[Moment]:
        if self._answered_s is not None:
            return []
        self._answered_s = mono
        # What was made ready before, or is heard as early media already, is heard at once.
        return [Moment(GREETING, 0.0)] if self._greeted else []

    def _heard(self, _data: Mapping[str, Any], mono: float) -> list[Moment]:
        """Something is said to the caller."""
        found = []
        if not self._greeted:
            self._greeted = True
            if self._answered_s is not None:
                found.append(Moment(GREETING, max(mono - self._answered_s, 0.0)))
        return found

    def _agent_started(self, data: Mapping[str, Any], mono: float) -> list[Moment]:
        found = self._heard(data, mono)
        if self._waits_since_s is not None:
            found.append(Moment(RESPONSE, max(mono - self._waits_since_s, 0.0)))
            self._waits_since_s = None
        return found

    def _speech_started(self, data: Mapping[str, Any], mono: float) -> list[Moment]:
        self._speech, self._waits_since_s = (mono, number(data.get("audio_ms"))), None
        return []

    def _speech_stopped(self, data: Mapping[str, Any], mono: float) -> list[Moment]:
        """The model says so only after a stretch of silence; its positions in the audio tell the real length."""
        end_s, stopped_ms = mono, number(data.get("audio_ms"))
        if self._speech is not None:
            began_s, began_ms = self._speech
            if began_ms is not None and stopped_ms is not None:
                end_s = min(mono, began_s + max(stopped_ms - began_ms, 0.0) / 1000)
        self._speech, self._waits_since_s = None, end_s
        return []

    def _barge_in(self, data: Mapping[str, Any], _mono: float) -> list[Moment]:
        stop_ms = number(data.get("stop_ms"))
        return [] if stop_ms is None else [Moment(BARGE_IN, max(stop_ms, 0.0) / 1000)]

    def _function_call(self, data: Mapping[str, Any], mono: float) -> list[Moment]:
        if len(self._tools) >= MAX_OPEN_TOOLS:
            self._tools.pop(next(iter(self._tools)))
        self._tools[str(data.get("call_id"))] = _Tool(mono)
        return []

    def _tool_state(self, data: Mapping[str, Any], _mono: float) -> list[Moment]:
        tool = self._tools.get(str(data.get("call_id")))
        waits_for = {"confirming": "caller", "pending": "approver"}.get(str(data.get("state")))
        if tool is not None and waits_for is not None and tool.waited_for != "approver":
            tool.waited_for = waits_for
        return []

    def _function_output(self, data: Mapping[str, Any], mono: float) -> list[Moment]:
        tool = self._tools.pop(str(data.get("call_id")), None)
        return [] if tool is None else [Moment(TOOL_WAIT, max(mono - tool.since_s, 0.0), tool.waited_for)]

    def _refer(self, data: Mapping[str, Any], _mono: float) -> list[Moment]:
        return _ordered(data, "refer")

    def _dial(self, data: Mapping[str, Any], _mono: float) -> list[Moment]:
        return _ordered(data, "dial")


def written(data: Mapping[str, Any], ended_at: float, stored_at: float) -> Moment:
    """Of a `call.ended`, said at `ended_at` and stored at `stored_at` (unix seconds).

    `closing_ms`: what went by between the leg's end and the event.
    """
    closing_s = max(number(data.get("closing_ms")) or 0.0, 0.0) / 1000
    return Moment(RECORD_WRITTEN, closing_s + max(stored_at - ended_at, 0.0))


def all_moments(events: Sequence[CallEvent]) -> list[Moment]:
    """The moments of a call, in the order they ended."""
    call = CallMoments()
    found = [moment for event in events for moment in call.take(event)]
    ends = [event for event in events if event.type == "call.ended"]
    # When it was stored is not in the record; closing it is the part that the call knows.
    return found + [written(end.data, end.at, end.at) for end in ends[:1] if "closing_ms" in end.data]


def _ordered(data: Mapping[str, Any], how: str) -> list[Moment]:
    """A leg that no transfer asked for (a supervisor's) says nothing of the order."""
    after_ms = number(data.get("after_ms"))
    return [] if after_ms is None else [Moment(TRANSFER_START, max(after_ms, 0.0) / 1000, how)]


_HANDLERS = {
    "call.answered": CallMoments._answered,  # noqa: SLF001  # the class's own table
    "prompt": CallMoments._heard,  # noqa: SLF001
    "agent.started": CallMoments._agent_started,  # noqa: SLF001
    "speech.started": CallMoments._speech_started,  # noqa: SLF001
    "speech.stopped": CallMoments._speech_stopped,  # noqa: SLF001
    "barge_in": CallMoments._barge_in,  # noqa: SLF001
    "function_call": CallMoments._function_call,  # noqa: SLF001
    "tool.state": CallMoments._tool_state,  # noqa: SLF001
    "function_output": CallMoments._function_output,  # noqa: SLF001
    "transfer.started": CallMoments._refer,  # noqa: SLF001
    "leg.dialled": CallMoments._dial,  # noqa: SLF001
}
