"""A call as a trace: its stored events become spans, the call itself the root (OpenTelemetry's words).

    call inbound ─┬ ring                       ├ execute_tool refund ─┬ caller confirms
                  ├ connect gpt-realtime       │                      └ approval wait
                  ├ caller speaks · agent speaks
                  ├ chat gpt-realtime (a response of the model, GenAI semantic conventions 1.41)
                  ├ transfer sales · leg sales · hold · queue support · park 7

Times are unix seconds on the call's own clock: the first event's wall time and monotonic distances from there. A span
that never ended lasts to the call's end. Without numbers, digits and words, unless `Show` says so. Pure; the shell that
sends them is bridge/control_tracing.py.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.records.cdr import CallEvent, number
from bridge.records.course import Course, text
from bridge.records.ending import FAULTS, explain

MAX_SPANS = 2000
"""Of one call; what comes after is left out."""
MAX_EVENTS = 200
ROOT = 0
NOTHING: Mapping[str, Any] = {}
_PROVIDERS = {"openai": "openai", "azure": "azure.ai.openai"}
_MARKS = {
    "barge_in": ("heard_ms", "dropped_ms", "stop_ms"),
    "dtmf": ("method",),
    "error": ("where", "code"),
    "session.failed": ("code",),
    "step.failed": ("step",),
    "agent.hand_off": ("from", "to"),
    "underrun": ("ms",),
    "call.closing": ("by",),
    "recording.paused": ("by",),
    "recording.resumed": ("by",),
}
"""Events that stand as such on the root span, and what of them is not personal."""


@dataclass(frozen=True, slots=True)
class Show:
    """What personal data may go into spans. `numbers`: who called whom. `words`: what was said, tools' arguments."""

    numbers: bool = False
    words: bool = False


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something at one moment of a span."""

    at_s: float
    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """`kind`: server, client or internal. `parent`: place in the list, None for the root. `error`: "" when fine."""

    name: str
    kind: str
    start_s: float
    end_s: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parent: int | None = ROOT
    error: str = ""
    events: tuple[SpanEvent, ...] = ()


def trace_id(call_id: str) -> int:
    """128 bits, always the same for a call: a second export is the same trace."""
    return int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:16], "big") or 1


def trace_id_text(call_id: str) -> str:
    """As 32 hex digits."""
    return f"{trace_id(call_id):032x}"


def spans(events: Iterable[CallEvent], show: Show = Show()) -> list[Span]:  # frozen
    """The root first; a child after its parent. Empty without events."""
    builder = _Builder(show)
    for event in events:
        builder.take(event)
    return builder.finished()


class _Builder:
    def __init__(self, show: Show) -> None:
        self.show = show
        self.course = Course()
        self.spans: list[Span] = []
        self.open: dict[str, int] = {}
        self.marks: list[SpanEvent] = []
        self.model, self.provider, self.agent = "", "", ""
        self.zero: tuple[float, float] | None = None
        self.last_s = 0.0

    def take(self, event: CallEvent) -> None:
        at_s = self._time(event)
        self.last_s = max(self.last_s, at_s)
        self.course.take(event)
        if not self.spans:
            self.begin("call", at_s, "call", kind="server", parent=None)
        if event.type in _MARKS and len(self.marks) < MAX_EVENTS:
            kept = {key: event.data[key] for key in _MARKS[event.type] if _plain(event.data.get(key))}
            self.marks.append(SpanEvent(at_s, event.type, kept))
        if (handler := _HANDLERS.get(event.type)) is not None:
            handler(self, event.data, at_s)

    def _time(self, event: CallEvent) -> float:
        at, mono = number(event.at) or 0.0, number(event.mono) or 0.0
        if self.zero is None:
            self.zero = (at, mono)
        return self.zero[0] + max(mono - self.zero[1], 0.0)

    def begin(  # what a span is
        self,
        key: str,
        at_s: float,
        name: str,
        attributes: Mapping[str, Any] = NOTHING,
        *,
        kind: str = "internal",
        parent: int | None = ROOT,
    ) -> None:
        """Open a span under `key`; one that was open under it ends."""
        self.end(key, at_s)
        if len(self.spans) < MAX_SPANS:
            self.open[key] = len(self.spans)
            self.spans.append(Span(name, kind, at_s, at_s, _dotted(attributes), parent))

    def end(self, key: str, at_s: float, error: str = "", attributes: Mapping[str, Any] = NOTHING) -> None:
        """Close what is open under `key`, if anything is."""
        index = self.open.pop(key, None)
        if index is not None:
            span = self.spans[index]
            more = {**span.attributes, **_dotted(attributes)}
            self.spans[index] = replace(
                span, end_s=max(at_s, span.start_s), attributes=more, error=error or span.error
            )

    def finished(self) -> list[Span]:
        if not self.spans:
            return []
        for key in [key for key in self.open if key != "call"]:
            self.end(key, self.last_s)
        course, root = self.course, self.spans[ROOT]
        facts = explain(course) if course.by else {"cause": "running", "kind": "success"}
        names = ("cause", "kind", "ended_by", "status", "reason", "route", "trunk", "worker")
        told = {f"sipbridge.{name}": facts[name] for name in names if name in facts}
        self.spans[ROOT] = replace(
            root,
            name=f"call {course.direction}",
            kind="server" if course.direction == "inbound" else "client",
            end_s=self.last_s,
            attributes={**root.attributes, **told, "gen_ai.conversation.id": course.call_id},
            error=facts["why"] if facts["kind"] in FAULTS else "",
            events=tuple(self.marks),
        )
        return self.spans

    def model_facts(self, operation: str) -> dict[str, Any]:
        """What every span of the model has."""
        return {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _PROVIDERS.get(self.provider, self.provider),
            "gen_ai.request.model": self.model,
            "gen_ai.agent.name": self.agent,
        }


Data = Mapping[str, Any]


def _started(builder: _Builder, data: Data, at_s: float) -> None:
    facts = {"sip_call_id": data.get("sip_call_id"), "plan_version": data.get("plan_version")}
    if builder.show.numbers:
        facts |= {"from": data.get("from"), "to": data.get("to"), "remote": data.get("remote")}
    root = builder.spans[ROOT]
    named = {f"sipbridge.{name}": value for name, value in facts.items()}
    builder.spans[ROOT] = replace(root, attributes={**root.attributes, **_dotted(named)})
    builder.begin("ring", at_s, "ring")


def _over(builder: _Builder, _data: Data, at_s: float) -> None:
    builder.end("ring", at_s)


def _connecting(builder: _Builder, data: Data, at_s: float) -> None:
    builder.model, builder.provider = text(data.get("model")), text(data.get("provider"))
    builder.agent = text(data.get("agent"))
    facts = builder.model_facts("connect")
    builder.begin("connect", at_s, f"connect {builder.model}", facts, kind="client")


def _session_failed(builder: _Builder, data: Data, at_s: float) -> None:
    code = text(data.get("code")) or "failed"
    builder.end("connect", at_s, f"{code}: {text(data.get('message'))}", {"error.type": code})


def _response(builder: _Builder, data: Data, at_s: float) -> None:
    """Told when it is over: its beginning is its length before that."""
    usage = data.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    tokens = {key: int(number(counted.get(key)) or 0) for key in counted}
    cached = sum(tokens.get(key, 0) for key in ("text_cached", "audio_cached", "image_cached"))
    status = text(data.get("status"))
    first_ms, latency_ms = number(data.get("first_audio_ms")), number(data.get("latency_ms"))
    failed = status == "failed"
    began_s = at_s - (number(data.get("duration_ms")) or 0.0) / 1000
    builder.begin(
        "response",
        max(began_s, builder.spans[ROOT].start_s),
        f"chat {builder.model}",
        {
            **builder.model_facts("chat"),
            "gen_ai.output.type": "speech",
            "gen_ai.response.id": data.get("response_id"),
            "gen_ai.response.finish_reasons": (text(data.get("reason")) or status,),
            "gen_ai.response.time_to_first_chunk": None if first_ms is None else first_ms / 1000,
            "gen_ai.usage.input_tokens": sum(
                tokens.get(key, 0) for key in ("text_in", "audio_in", "image_in")
            ),
            "gen_ai.usage.output_tokens": sum(tokens.get(key, 0) for key in ("text_out", "audio_out")),
            "gen_ai.usage.cache_read.input_tokens": cached,
            "sipbridge.cost_usd": data.get("cost_usd"),
            "sipbridge.latency_s": None if latency_ms is None else latency_ms / 1000,
            "error.type": (text(data.get("reason")) or "failed") if failed else None,
        },
        kind="client",
    )
    builder.end("response", at_s, "the response failed" if failed else "")


def _speaks(who: str) -> Callable[[_Builder, Data, float], None]:
    return lambda builder, _data, at_s: builder.begin(f"{who} speaks", at_s, f"{who} speaks")


def _silent(who: str) -> Callable[[_Builder, Data, float], None]:
    def take(builder: _Builder, data: Data, at_s: float) -> None:
        builder.end(f"{who} speaks", at_s, "", {"sipbridge.interrupted": data.get("interrupted")})

    return take


def _transcript(builder: _Builder, data: Data, _at_s: float) -> None:
    """It belongs to the newest words of that side."""
    name = f"{text(data.get('who'))} speaks"
    if builder.show.words:
        for index in range(len(builder.spans) - 1, 0, -1):
            span = builder.spans[index]
            if span.name == name:
                said = {**span.attributes, "sipbridge.text": text(data.get("text"))}
                builder.spans[index] = replace(span, attributes=said)
                return


def _function_call(builder: _Builder, data: Data, at_s: float) -> None:
    call_id, name = text(data.get("call_id")), text(data.get("name"))
    arguments = data.get("arguments") if builder.show.words else None
    builder.begin(
        f"tool {call_id}",
        at_s,
        f"execute_tool {name}",
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": call_id,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": None if arguments is None else text(arguments),
        },
    )


_WAITS = {"confirming": "caller confirms", "pending": "approval wait"}


def _tool_state(builder: _Builder, data: Data, at_s: float) -> None:
    call_id, state = text(data.get("call_id")), text(data.get("state"))
    tool, key = builder.open.get(f"tool {call_id}"), f"wait {call_id}"
    if tool is None:
        return
    span = builder.spans[tool]
    builder.spans[tool] = replace(span, attributes={**span.attributes, "sipbridge.tool.state": state})
    builder.end(key, at_s, "", {"sipbridge.outcome": state})
    if state in _WAITS:
        builder.begin(key, at_s, _WAITS[state], parent=tool)


def _function_output(builder: _Builder, data: Data, at_s: float) -> None:
    call_id = text(data.get("call_id"))
    builder.end(f"wait {call_id}", at_s)
    output = {"gen_ai.tool.call.result": text(data.get("output"))} if builder.show.words else {}
    builder.end(f"tool {call_id}", at_s, "", output)


def _keyed(kind: str, name: str) -> Callable[[_Builder, Data, float], None]:
    """Begins `kind NAME`, NAME being a field of the event."""

    def take(builder: _Builder, data: Data, at_s: float) -> None:
        key = f"{kind} {text(data.get(name))}".strip()
        if key not in builder.open:
            builder.begin(key, at_s, key)

    return take


def _ends(kind: str, name: str, *facts: str) -> Callable[[_Builder, Data, float], None]:
    def take(builder: _Builder, data: Data, at_s: float) -> None:
        told = {f"sipbridge.{fact}": data.get(fact) for fact in facts}
        builder.end(f"{kind} {text(data.get(name))}".strip(), at_s, "", told)

    return take


def _transfer_done(builder: _Builder, data: Data, at_s: float) -> None:
    """The command or the step that wanted the transfer says how it went."""
    if data.get("kind") != "transfer" and data.get("step") != "transfer":
        return
    error = text(data.get("error") or data.get("reason"))
    for key in [key for key in builder.open if key.startswith("transfer ")]:
        builder.end(key, at_s, error)


_HANDLERS: Mapping[str, Callable[[_Builder, Data, float], None]] = {
    "call.started": _started,
    "call.answered": _over,
    "call.ended": _over,
    "session.connecting": _connecting,
    "session.ready": lambda builder, _data, at_s: builder.end("connect", at_s),
    "session.failed": _session_failed,
    "response": _response,
    "speech.started": _speaks("caller"),
    "speech.stopped": _silent("caller"),
    "agent.started": _speaks("agent"),
    "agent.finished": _silent("agent"),
    "transcript": _transcript,
    "function_call": _function_call,
    "tool.state": _tool_state,
    "function_output": _function_output,
    "transfer.started": _keyed("transfer", "target"),
    "command": _transfer_done,
    "step.failed": _transfer_done,
    "leg.dialled": _keyed("leg", "leg"),
    "leg.ended": _ends("leg", "leg", "answered", "status", "reason"),
    "call.held": _keyed("hold", ""),
    "call.resumed": _ends("hold", ""),
    "queue.position": _keyed("queue", "queue"),
    "queue.connected": _ends("queue", "queue", "member", "waited_s"),
    "park.parked": _keyed("park", "slot"),
    "park.picked_up": _ends("park", "slot"),
}


def _plain(value: Any) -> bool:
    return isinstance(value, str | bool | int) or (isinstance(value, float) and number(value) is not None)


def _dotted(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenTelemetry takes: texts cut, nothing empty, no objects."""
    kept: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, tuple):
            kept[name] = tuple(text(one) for one in value)
        elif _plain(value) and value != "":
            kept[name] = text(value) if isinstance(value, str) else value
    return kept
