"""Who spoke when: a call's events as spans and marks on one time axis, and as text.

    seconds   0         5         10
    caller    ···████·········███····      █ speaks
    agent     ██·······█████x·····████     x was interrupted
    marks               5   B              B barge-in, a digit DTMF, F function, H hold, A agent, O operator, ! error

Zero is the answer (the first event when nobody answered). Times come from the monotonic clock of the worker.
Tolerates missing, doubled and unknown events: a span without an end lasts until the call's last event.
Pure, any thread. Called by `sipbridge calls show` and the demo.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.records.cdr import CallEvent, number

SCALES_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds a column may stand for."""
ROWS = 6
MAX_BLOCKS = 60
"""A call of three days at the coarsest scale; a broken clock draws no more than this."""


@dataclass(frozen=True, slots=True)
class Span:
    """Somebody (`who`: caller or agent) spoke from `start_s` to `end_s`."""

    who: str
    item_id: str
    start_s: float
    end_s: float
    interrupted: bool = False
    heard_ms: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one moment. `sign` is one character of the chart, '' for the list only."""

    at_s: float
    sign: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Spans and marks in time order; `end_s` is the last moment there is."""

    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    start_s: float
    end_s: float


@dataclass(slots=True)
class _Open:
    zero: float
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    audio_ms: dict[str, float] = field(default_factory=dict)
    speaking: dict[str, int] = field(default_factory=dict)

    def begin(self, who: str, item_id: str, at_s: float) -> None:
        """A second beginning of the same speaker ends the first."""
        self.end(who, at_s)
        self.speaking[who] = len(self.spans)
        self.spans.append(Span(who, item_id, at_s, at_s))

    def end(self, who: str, at_s: float, **facts: Any) -> None:
        index = self.speaking.pop(who, None)
        if index is not None:
            self.spans[index] = replace(
                self.spans[index], end_s=max(at_s, self.spans[index].start_s), **facts
            )


def build(events: Iterable[CallEvent]) -> Timeline:
    """The timeline of one call from its events in the order they happened."""
    ordered = list(events)
    times = [number(event.mono) or 0.0 for event in ordered]
    answered = [at for event, at in zip(ordered, times, strict=True) if event.type == "call.answered"]
    zero = (answered or times or [0.0])[0]
    state, seen = _Open(zero), set[str]()
    for event, mono in zip(ordered, times, strict=True):
        at_s = mono - zero
        if event.type in _SPEECH:
            _SPEECH[event.type](state, event.data, at_s)
        elif event.type in _MARKS and not (event.type in _ONCE and event.type in seen):
            name, sign, words = _MARKS[event.type]
            seen.add(event.type)
            state.marks.append(Mark(at_s, sign(event.data), name, words(event.data)))
    last_s = max((at - zero for at in times), default=0.0)
    for who in list(state.speaking):
        state.end(who, last_s)
    texts = _transcripts(ordered)
    spans = (replace(span, text=texts.get((span.who, span.item_id), "")) for span in state.spans)
    return Timeline(
        tuple(sorted(spans, key=lambda span: span.start_s)),
        tuple(sorted(state.marks, key=lambda mark: mark.at_s)),
        min((at - zero for at in times), default=0.0),
        last_s,
    )


def mark_of(event_type: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and words of the mark that an event makes; None: it makes none."""
    found = _MARKS.get(event_type)
    return None if found is None else (found[0], found[2](data))


def chart(timeline: Timeline, width: int = 72) -> list[str]:
    """The lanes as text, at most about ROWS blocks of four lines, `width` columns of time each."""
    total_s = max(timeline.end_s, 0.0)
    fitting = (scale for scale in SCALES_S if total_s <= scale * width * ROWS)
    scale_s = next(fitting, SCALES_S[-1])
    lines: list[str] = []
    for block in range(min(int(total_s / (scale_s * width)), MAX_BLOCKS - 1) + 1):
        from_s = block * scale_s * width
        columns = min(width, int((total_s - from_s) / scale_s) + 1)
        window = _Window(from_s, scale_s, columns)
        lines += [window.ruler(), *(window.lane(who, timeline.spans) for who in ("caller", "agent"))]
        lines += [marks] if (marks := window.signs(timeline.marks)) else []
    return lines


def listing(timeline: Timeline) -> list[str]:
    """Everything in time order, one line each: seconds since the answer, who or what, words."""
    lines = [(span.start_s, _span_words(span)) for span in timeline.spans]
    lines += [(mark.at_s, f"{mark.name:<10}{mark.text}".rstrip()) for mark in timeline.marks]
    return [
        f"{round(at_s, 2) + 0.0:8.2f}  {words}" for at_s, words in sorted(lines, key=lambda line: line[0])
    ]


@dataclass(frozen=True, slots=True)
class _Window:
    from_s: float
    scale_s: float
    columns: int

    def column(self, at_s: float) -> int:
        return math.floor((at_s - self.from_s) / self.scale_s)

    def ruler(self) -> str:
        labels = "".join(
            f"{self.from_s + column * self.scale_s:<10g}" for column in range(0, self.columns, 10)
        )
        return f"{'seconds':<9} {labels.rstrip()}"

    def lane(self, who: str, spans: Sequence[Span]) -> str:
        cells = ["·"] * self.columns
        for span in spans:
            first, last = self.column(span.start_s), self.column(span.end_s)
            if span.who != who or last < 0 or first >= self.columns:
                continue
            for column in range(max(first, 0), min(last, self.columns - 1) + 1):
                cells[column] = "█"
            if span.interrupted and last < self.columns:
                cells[last] = "x"
        return f"{who:<9} {''.join(cells)}"

    def signs(self, marks: Sequence[Mark]) -> str:
        cells = [" "] * self.columns
        for mark in marks:
            column = self.column(mark.at_s)
            if mark.sign and 0 <= column < self.columns:
                cells[column] = mark.sign
        text = "".join(cells).rstrip()
        return f"{'marks':<9} {text}" if text else ""


def _span_words(span: Span) -> str:
    length = f"{span.end_s - span.start_s:.2f} s"
    cut = ""
    if span.interrupted:
        heard = "" if span.heard_ms is None else f" after {span.heard_ms / 1000:.2f} s heard"
        cut = f", interrupted{heard}"
    said = f"“{span.text}” " if span.text else ""
    return f"{span.who:<10}{said}({length}{cut})"


def _transcripts(events: Sequence[CallEvent]) -> dict[tuple[str, str], str]:
    texts: dict[tuple[str, str], str] = {}
    for event in events:
        if event.type == "transcript":
            key = (str(event.data.get("who")), str(event.data.get("item_id")))
            texts[key] = str(event.data.get("text") or "").strip()
    return texts


def _caller_started(state: _Open, data: Mapping[str, Any], at_s: float) -> None:
    state.begin("caller", str(data.get("item_id")), at_s)
    audio_ms = number(data.get("audio_ms"))
    if audio_ms is not None:
        state.audio_ms["caller"] = audio_ms


def _caller_stopped(state: _Open, data: Mapping[str, Any], at_s: float) -> None:
    """The model says "stopped" only after a stretch of silence; its audio positions tell the real length."""
    stopped_ms, started_ms = number(data.get("audio_ms")), state.audio_ms.pop("caller", None)
    if stopped_ms is not None and started_ms is not None and "caller" in state.speaking:
        began_s = state.spans[state.speaking["caller"]].start_s
        at_s = min(at_s, began_s + max(stopped_ms - started_ms, 0.0) / 1000)
    state.end("caller", at_s)


def _agent_started(state: _Open, data: Mapping[str, Any], at_s: float) -> None:
    state.begin("agent", str(data.get("item_id")), at_s)


def _agent_finished(state: _Open, data: Mapping[str, Any], at_s: float) -> None:
    state.end(
        "agent", at_s, interrupted=data.get("interrupted") is True, heard_ms=number(data.get("heard_ms"))
    )


_SPEECH: dict[str, Callable[[_Open, Mapping[str, Any], float], None]] = {
    "speech.started": _caller_started,
    "speech.stopped": _caller_stopped,
    "agent.started": _agent_started,
    "agent.finished": _agent_finished,
}

Words = Callable[[Mapping[str, Any]], str]


def _sign(sign: str) -> Words:
    return lambda _data: sign


def _words(template: str) -> Words:
    """`{name}` is the event's field, `-` when it is missing."""
    return lambda data: template.format_map(
        _Fields({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in data.items()})
    )


class _Fields(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "-"


def _codec_words(data: Mapping[str, Any]) -> str:
    codec, ptime_ms = data.get("codec"), number(data.get("ptime_ms"))
    return f"{codec} {ptime_ms or 0:g} ms" if codec else ""


def _response_words(data: Mapping[str, Any]) -> str:
    latency, cost = number(data.get("latency_ms")), number(data.get("cost_usd"))
    parts = [str(data.get("status", "-"))]
    parts += [f"latency {latency:.0f} ms"] if latency is not None else []
    parts += [f"${cost:.4f}"] if cost is not None else []
    return ", ".join(parts)


def _command_words(data: Mapping[str, Any]) -> str:
    """Who had the call do what, and how it went; a tool's command has no name beside it."""
    names = ("target", "agent", "mode", "action")
    words = [str(data.get("kind", "-")), *(str(data[name]) for name in names if data.get(name))]
    words += ["stop"] if data.get("stop") else []
    by = f"by {data.get('by') or 'a tool'}"
    went = "" if data.get("ok") else f": {data.get('error') or 'not done'}"
    return f"{' '.join(words)} {by}{went}"


def _ending_words(data: Mapping[str, Any]) -> str:
    """A call that its worker's death ended has no status."""
    words = " ".join(str(data[key]) for key in ("status", "reason") if data.get(key))
    return f"by {data.get('by') or '-'}" + (f", {words}" if words else "")


_ONCE = frozenset({"call.ringing"})
"""Said once, however often the phone was told."""
_MARKS: dict[str, tuple[str, Words, Words]] = {
    "call.started": ("started", _sign(""), _words("{direction} from {from} to {to}")),
    "call.ringing": ("ringing", _sign(""), _words("")),
    "call.answered": ("answered", _sign(""), _codec_words),
    "call.early_media": ("early", _sign(""), _words("media before the answer")),
    "call.replaced": ("replaced", _sign("T"), _words("by another call (Replaces) from {source}")),
    "menu": ("menu", _sign("K"), _words("key {key}, try {attempt}")),
    "menu.heard": ("menu", _sign("K"), _words("heard “{text}”: key {key}")),
    "collect": ("collect", _sign("K"), _words("{into} = {digits}, try {attempt}")),
    "switch": ("switch", _sign(""), _words("{value}")),
    "flow": ("flow", _sign(""), _words("{name}")),
    "step.failed": ("failed", _sign("!"), _words("{step}: {reason}")),
    "voicemail": ("voicemail", _sign("V"), _words("{seconds} s for {mailbox}")),
    "transfer.started": ("transfer", _sign("T"), _words("to {target}")),
    "leg.dialled": ("leg", _sign(""), _words("{leg} is called")),
    "leg.answered": ("leg", _sign("T"), _words("{leg} answered")),
    "leg.asked": ("leg", _sign("T"), _words("{leg} was asked, accepted: {accepted}")),
    "leg.connected": ("leg", _sign("T"), _words("{leg} and the caller talk")),
    "leg.ended": ("leg", _sign("T"), _words("{leg} after {seconds} s, {status} {reason}")),
    "conference.started": ("room", _sign("T"), _words("with {legs}")),
    "queue.position": ("queue", _sign("Q"), _words("number {position} of {waiting}")),
    "queue.connected": ("queue", _sign("Q"), _words("{member}")),
    "queue.no_answer": ("queue", _sign("Q"), _words("{member} did not answer: {reason}")),
    "callback": ("callback", _sign("C"), _words("accepted: {accepted}, after {after_s} s")),
    "park.parked": ("park", _sign("Q"), _words("on {slot}")),
    "park.picked_up": ("park", _sign("Q"), _words("picked up")),
    "supervisor.joined": ("listener", _sign("S"), _words("{leg}, {mode}")),
    "supervisor.left": ("listener", _sign("S"), _words("{leg} left")),
    "supervisor.took_over": ("listener", _sign("S"), _words("took over")),
    "supervisor.gave_back": ("listener", _sign("S"), _words("gave the caller back to the agent")),
    "supervisor.whispered": ("whisper", _sign("S"), _words("{by} to the agent: “{text}”")),
    "tool.question": ("question", _sign("O"), _words("{by}: “{text}”")),
    "tool.confirmation": ("confirm", _sign("F"), _words("yes: {yes} ({how})")),
    "amd": ("who", _sign("?"), _words("{verdict}: {why}, after {ms} ms")),
    "amd.message": ("who", _sign("?"), _words("message after: {why}")),
    "media.started": ("media", _sign(""), _codec_words),
    "call.held": ("held", _sign("H"), _words("")),
    "call.resumed": ("resumed", _sign("H"), _words("")),
    "session.ready": ("session", _sign(""), _words("ready after {ms} ms")),
    "session.failed": ("session", _sign("!"), _words("failed: {code} {message}")),
    "barge_in": (
        "barge-in",
        _sign("B"),
        _words("heard {heard_ms} ms, dropped {dropped_ms} ms, stopped in {stop_ms} ms"),
    ),
    "dtmf": ("dtmf", lambda data: str(data.get("digit") or "#")[0], _words("{digit} by {method}")),
    "function_call": ("function", _sign("F"), _words("{name} {arguments}")),
    "response": ("response", _sign(""), _response_words),
    "agent.hand_off": ("hand-off", _sign("A"), _words("{from} to {to}: {note}")),
    "command": ("command", lambda data: "O" if data.get("by") else "", _command_words),
    "agent.limit": ("limit", _sign("L"), _words("{what}, ${cost_usd}, {tokens} tokens")),
    "recording.consent": ("consent", _sign("R"), _words("{how}")),
    "recording.paused": ("recording", _sign("R"), _words("paused by {by}")),
    "recording.resumed": ("recording", _sign("R"), _words("resumed by {by}")),
    "prompt": ("prompt", _sign("P"), _words("“{text}”")),
    "error": ("error", _sign("!"), _words("{where}: {code} {message}")),
    "call.ended": ("ended", _sign(""), _ending_words),
}
