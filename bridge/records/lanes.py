"""A call as lanes on one time axis: who spoke, what was waited for, what the line did, and where nobody said anything.

    caller     ▇▇▇      ▇▇▇▇▇        said by bridge/records/timeline.py
    agent   ▇▇▇▇   ▇▇▇x       ▇▇▇    x: cut off; prompts too
    tools                  ▇▇▇▇      a function from the model's wish to its output
    person                  ▇▇       the caller's own yes, or somebody who approves
    line             ▇▇▇▇▇▇▇▇▇       hold, another leg, a queue, a park place, a pause of the recording
    silence      ░░                  neither side for longer than AIR_S, while the agent has the call
    wait      ·                      caller's last word to the answer

Seconds from the answer (the first event when nobody answered), on the worker's monotonic clock. A stretch without end
lasts to the call's last event. Unknown events and values of a wrong type change nothing. Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.records.cdr import CallEvent, number
from bridge.records.timeline import Span, build

AIR_S = 3.0
"""Silence of both sides that people notice (ops/console.md says it too)."""
WAIT_S = 10.0
"""A longer wait between two words is no latency: the caller's words were no question, or it is silence."""
LANES = ("caller", "agent", "tools", "person", "line", "silence", "wait")
MAX_STRETCHES = 3000
CHARS_A_SECOND = 15.0
"""Of English speech: what was not heard of a text is estimated by it where nobody counted."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something that lasted. `name`: what (a function's, a target's); `key`: what it belongs to, such as a request."""

    lane: str
    kind: str
    start_s: float
    end_s: float
    name: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something at one moment: a barge-in, a digit, an error."""

    kind: str
    at_s: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Something that was said. `heard`, `unheard`: the text in two parts, the second empty when all was heard."""

    who: str
    start_s: float
    end_s: float
    heard: str
    unheard: str = ""


@dataclass(frozen=True, slots=True)
class Lanes:
    """A call. `recording_s`: where on this axis its recording begins; None: there was none."""

    start_s: float
    end_s: float
    answered: bool
    stretches: tuple[Stretch, ...]
    moments: tuple[Moment, ...]
    lines: tuple[Line, ...]
    recording_s: float | None = None


def lanes(events: Iterable[CallEvent]) -> Lanes:
    """The lanes of one call from its events in the order they happened."""
    ordered = list(events)
    timeline, zero = build(ordered), zero_of(ordered)
    state = _State(timeline.end_s)
    for event in ordered:
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(state, event.data, (number(event.mono) or 0.0) - zero)
    spoken = [
        Stretch(span.who, "cut" if span.interrupted else "speech", span.start_s, span.end_s)
        for span in timeline.spans
    ]
    found = [*spoken, *state.finished()]
    answered = any(event.type == "call.answered" for event in ordered)
    silent = _silences(found, timeline.end_s) if answered else []
    everything = sorted([*found, *silent, *_waits(spoken)], key=lambda one: (one.start_s, one.lane))
    return Lanes(
        timeline.start_s,
        timeline.end_s,
        answered,
        tuple(everything[:MAX_STRETCHES]),
        tuple(state.moments[:MAX_STRETCHES]),
        tuple(_lines(timeline.spans, state)),
        state.recording_s,
    )


def zero_of(events: Sequence[CallEvent]) -> float:
    """The monotonic second that the axis begins at: that of bridge/records/timeline.py."""
    times = [number(event.mono) or 0.0 for event in events]
    answered = (at for event, at in zip(events, times, strict=True) if event.type == "call.answered")
    return next(answered, times[0] if times else 0.0)


def split_heard(text: str, heard_ms: float | None, dropped_ms: float | None) -> tuple[str, str]:
    """What of a text that was cut off the caller heard, and what not: an estimate, by time, at a word's end.

    `dropped_ms`: audio that was thrown away; what the model had not spoken yet is nobody's, so the text's own length
    counts where it says more.
    """
    if heard_ms is None:
        return text, ""
    spoken_ms = max(heard_ms + (dropped_ms or 0.0), len(text) / CHARS_A_SECOND * 1000)
    if heard_ms >= spoken_ms or not text:
        return text, ""
    at = int(len(text) * max(heard_ms, 0.0) / spoken_ms)
    while at < len(text) and at > 0 and not text[at - 1].isspace():
        at += 1
    return text[:at].rstrip(), text[at:].strip()


@dataclass(slots=True)
class _State:
    end_s: float
    stretches: list[Stretch] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    prompts: list[Line] = field(default_factory=list)
    prompt: int | None = None
    dropped_ms: dict[str, float] = field(default_factory=dict)
    recording_s: float | None = None

    def begin(self, key: str, stretch: Stretch) -> None:
        """Under `key`; what was open under it ends."""
        self.end(key, stretch.start_s)
        self.open[key] = len(self.stretches)
        self.stretches.append(stretch)

    def end(self, key: str, at_s: float, kind: str = "") -> None:
        index = self.open.pop(key, None)
        if index is not None:
            one = self.stretches[index]
            self.stretches[index] = replace(one, end_s=max(at_s, one.start_s), kind=kind or one.kind)

    def finished(self) -> list[Stretch]:
        for key in list(self.open):
            self.end(key, self.end_s)
        return self.stretches


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)[:200]


def _function(state: _State, data: Mapping[str, Any], at_s: float) -> None:
    key = _text(data, "call_id")
    state.begin(f"tool {key}", Stretch("tools", "tool", at_s, at_s, _text(data, "name"), key))


def _output(state: _State, data: Mapping[str, Any], at_s: float) -> None:
    state.end(f"tool {_text(data, 'call_id')}", at_s)
    state.end(f"person {_text(data, 'call_id')}", at_s)


def _tool_state(state: _State, data: Mapping[str, Any], at_s: float) -> None:
    key, kind = _text(data, "call_id"), _text(data, "state")
    state.end(f"person {key}", at_s)
    if kind in {"pending", "confirming"}:
        waits = Stretch("person", kind, at_s, at_s, _text(data, "tool"), _text(data, "request_id"))
        state.begin(f"person {key}", waits)


def _prompt(state: _State, data: Mapping[str, Any], at_s: float) -> None:
    """Told when it begins; what is played next may cut it short."""
    end_s = min(at_s + (number(data.get("ms")) or 0.0) / 1000, state.end_s)
    if state.prompt is not None and state.stretches[state.prompt].end_s > at_s:
        state.stretches[state.prompt] = replace(state.stretches[state.prompt], end_s=at_s)
    state.prompt = len(state.stretches)
    state.stretches.append(Stretch("agent", "prompt", at_s, max(end_s, at_s)))
    if text := str(data.get("text") or "").strip():
        state.prompts.append(Line("prompt", at_s, end_s, text))


def _recording(state: _State, _data: Mapping[str, Any], at_s: float) -> None:
    """Told when the file begins, and again when it is closed."""
    if state.recording_s is None:
        state.recording_s = at_s


def _barge_in(state: _State, data: Mapping[str, Any], at_s: float) -> None:
    state.moments.append(Moment("barge_in", at_s))
    dropped_ms = number(data.get("dropped_ms"))
    if dropped_ms is not None:
        state.dropped_ms[_text(data, "item_id")] = dropped_ms


def _leg_ended(state: _State, data: Mapping[str, Any], at_s: float) -> None:
    key = f"leg {_text(data, 'leg')}"
    state.end(key, at_s)


def _leg(kind: str) -> "Handler":
    def handler(state: _State, data: Mapping[str, Any], at_s: float) -> None:
        name = _text(data, "leg")
        state.begin(f"leg {name}", Stretch("line", kind, at_s, at_s, name))

    return handler


def _begins(key: str, kind: str, name: str = "") -> "Handler":
    return lambda state, data, at_s: state.begin(
        key, Stretch("line", kind, at_s, at_s, _text(data, name) if name else "")
    )


def _ends(key: str) -> "Handler":
    return lambda state, _data, at_s: state.end(key, at_s)


def _happens(kind: str, name: str = "") -> "Handler":
    return lambda state, data, at_s: state.moments.append(
        Moment(kind, at_s, _text(data, name) if name else "")
    )


Handler = Callable[[_State, Mapping[str, Any], float], None]
_HANDLERS: Mapping[str, Handler] = {
    "function_call": _function,
    "function_output": _output,
    "tool.state": _tool_state,
    "prompt": _prompt,
    "recording": _recording,
    "barge_in": _barge_in,
    "call.held": _begins("hold", "hold"),
    "call.resumed": _ends("hold"),
    "recording.paused": _begins("pause", "pause"),
    "recording.resumed": _ends("pause"),
    "leg.dialled": _leg("ringing"),
    "leg.answered": _leg("leg"),
    "leg.connected": _leg("people"),
    "leg.ended": _leg_ended,
    "supervisor.joined": _leg("supervisor"),
    "supervisor.left": _leg_ended,
    "queue.position": _begins("queue", "queue", "queue"),
    "queue.connected": _ends("queue"),
    "park.parked": _begins("park", "park", "slot"),
    "park.picked_up": _ends("park"),
    "transfer.started": _begins("transfer", "transfer", "target"),
    "dtmf": _happens("dtmf"),
    "error": _happens("error", "where"),
    "session.failed": _happens("error", "code"),
    "agent.hand_off": _happens("hand_off", "to"),
    "call.answered": _happens("answered"),
    "call.ended": _happens("ended", "by"),
}
_NOT_THE_AGENTS = frozenset({"hold", "people", "queue", "park", "transfer"})
"""Of the line: while they last, silence between caller and agent is nothing to wonder about."""


def _silences(found: Sequence[Stretch], end_s: float) -> list[Stretch]:
    """Where neither side says anything for AIR_S, from the answer to the end."""
    busy = [
        one
        for one in found
        if one.lane in {"caller", "agent"} or (one.lane == "line" and one.kind in _NOT_THE_AGENTS)
    ]
    gaps, at_s = [], 0.0
    for one in sorted(busy, key=lambda one: one.start_s):
        if one.start_s - at_s >= AIR_S:
            gaps.append(Stretch("silence", "silence", at_s, one.start_s))
        at_s = max(at_s, one.end_s)
    if end_s - at_s >= AIR_S:
        gaps.append(Stretch("silence", "silence", at_s, end_s))
    return gaps


def _waits(spoken: Sequence[Stretch]) -> list[Stretch]:
    """From the caller's last word to the agent's first."""
    waits, since_s = list[Stretch](), None
    edges = [(one.end_s, "caller") for one in spoken if one.lane == "caller"]
    edges += [(one.start_s, "agent") for one in spoken if one.lane == "agent"]
    for at_s, who in sorted(edges):
        if who == "caller":
            since_s = at_s
        elif since_s is not None:
            if at_s - since_s <= WAIT_S:
                waits.append(Stretch("wait", "wait", since_s, at_s))
            since_s = None
    return waits


def _lines(spans: Sequence[Span], state: _State) -> list[Line]:
    lines = list(state.prompts)
    for span in spans:
        if not span.text:
            continue
        heard, unheard = span.text, ""
        if span.who == "agent" and span.interrupted:
            heard, unheard = split_heard(span.text, span.heard_ms, state.dropped_ms.get(span.item_id))
        lines.append(Line(span.who, span.start_s, span.end_s, heard, unheard))
    return sorted(lines, key=lambda line: line.start_s)
