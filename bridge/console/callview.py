"""Everything a page says about one call, as plain values: from its record, its events and its requests. Pure.

    OneCall ─► view ─► templates/history_parts.html

Without the right to personal data there are times, causes, figures and names of the plan: no number but its last two
digits, no word, no digit, no argument, no address. A shared page (`shared`) leaves out what is the operator's own:
costs, hints, SIP.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.console.historyrow import clock, ending_of, shown
from bridge.console.picture import Ladder, Picture, ladder, picture
from bridge.console.texts import text
from bridge.media.peaks import Peaks
from bridge.records.cdr import CallRecord, number
from bridge.records.course import Course
from bridge.records.ending import explain
from bridge.records.lanes import Lanes, lanes, zero_of
from bridge.records.moments import all_moments
from bridge.records.sipmessages import SipLine, messages
from bridge.store.callrows import StoredEvent
from bridge.store.gaterows import StoredRequest
from bridge.store.historystore import OneCall

MAX_RESPONSES = 500
Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model wanted. `request_id`: where the gate's part of it is shown, "" when it has none."""

    name: str
    at_s: float
    took_s: float | None
    state: str
    request_id: str
    people: str


@dataclass(frozen=True, slots=True)
class Response:
    """One response of the model, and what it used. Milliseconds, tokens, US dollars; None: not known."""

    status: str
    latency_ms: float | None
    duration_ms: float | None
    text_in: int
    audio_in: int
    cached: int
    text_out: int
    audio_out: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class View:
    """One call for one visitor. `recording`, `words`: how they are, of the names in words/history.py."""

    record: CallRecord
    who: str
    other: str
    display: str
    ending: str
    kind: str
    why: str
    hint: str
    facts: Facts
    quality: Facts
    moments: Facts
    lanes: Lanes
    picture: Picture
    tools: tuple[Tool, ...]
    responses: tuple[Response, ...]
    cost: Facts
    ladder: Ladder | None
    words: str
    events: int
    complete: bool


def view(one: OneCall, peaks: Peaks | None, *, personal: bool, shared: bool = False) -> View:
    """All of it. Takes a moment for a long call: from a loop, in a thread."""
    record, events = one.record, one.events
    found, zero = lanes(events), zero_of(events)
    course = Course()
    for event in events:
        course.take(event)
    told = explain(course) if course.by else {}
    name, kind = ending_of(record)
    lines = tuple(found.lines) if personal else ()
    sip = () if shared else messages(events, zero)
    return View(
        record=record,
        who=shown(record.from_uri, personal=personal),
        other=shown(record.to_uri, personal=personal),
        display=(record.from_display or "") if personal else "",
        ending=text(f"history.is.cause.{told.get('cause', name)}"),
        kind=kind,
        why=_why(told, name) if personal else "",
        hint=str(told.get("hint", "")) if personal and not shared else "",
        facts=_facts(record, personal=personal, shared=shared),
        quality=_quality(record, events),
        moments=_moments(events),
        lanes=replace(found, lines=lines),
        picture=picture(found, peaks),
        tools=_tools(found, one.requests, personal=personal and not shared),
        responses=() if shared else _responses(events),
        cost=() if shared else _cost(record, events),
        ladder=ladder(sip if personal else tuple(_bare(line) for line in sip)),
        words=words_of(one, found) if personal else "hidden",
        events=len(events),
        complete=one.complete,
    )


def _why(told: Mapping[str, Any], name: str) -> str:
    """The sentence, where it says more than the cause's own words."""
    why = str(told.get("why", ""))
    return "" if why.removeprefix("the ") == text(f"history.is.cause.{told.get('cause', name)}") else why


def words_of(one: OneCall, found: Lanes) -> str:
    """How the transcript is: there, none (nothing was said), or erased."""
    if found.lines:
        return "there"
    lanes_of = {stretch.lane for stretch in found.stretches}
    spoke = one.record.responses or not one.events or lanes_of & {"caller", "agent"}
    return "erased" if spoke else "none"


def _facts(record: CallRecord, *, personal: bool, shared: bool) -> Facts:
    rang_s = None
    if record.answered_at is not None:
        rang_s = record.answered_at - record.started_at
    rows: list[tuple[str, Any]] = [
        ("direction", text(f"history.is.{record.direction}") if record.direction in _DIRECTIONS else ""),
        ("rang", "" if rang_s is None else f"{max(rang_s, 0.0):.1f} s"),
        ("talked", clock(record.duration_s)),
        ("ended_by", text(f"history.is.by.{record.ended_by}") if record.ended_by in _BY else ""),
        ("status", record.end_status),
        ("route", record.route),
        ("agent", record.agent),
        ("codec", _joined(record.codec, record.ptime_ms and f"{record.ptime_ms:g} ms")),
    ]
    if not shared:
        rows += [
            ("plan", record.plan_version),
            ("worker", _joined(record.worker, record.node and f"@{record.node}")),
            ("model", _joined(record.provider, record.model)),
            ("session", "" if record.session_ms is None else f"{record.session_ms:.0f} ms"),
        ]
    if personal and not shared:
        rows += [("remote", record.remote), ("sip_call_id", record.sip_call_id)]
    return tuple((text(f"history.is.fact.{name}"), str(value)) for name, value in rows if value)


_DIRECTIONS = ("inbound", "outbound")
_BY = ("caller", "agent", "operator", "bridge", "network")


def _joined(*parts: Any) -> str:
    return " ".join(str(part) for part in parts if part)


def _quality(record: CallRecord, events: Sequence[StoredEvent]) -> Facts:
    """The line as it was: RTP from the media event, and what the playout and the recording had to mend."""
    media = _last(events, "media")
    rows = [
        ("mos", _figure(record.mos, "{:.2f}")),
        ("loss", _figure(record.rx_loss_pct, "{:.2f} %")),
        ("jitter", _figure(record.rx_jitter_ms, "{:.1f} ms")),
        ("rtt", _figure(record.rtt_ms, "{:.0f} ms")),
        ("rx", _figure(record.rx_packets, "{:.0f}")),
        ("tx", _figure(record.tx_packets, "{:.0f}")),
    ]
    rows += [(name, _figure(number(media.get(name)) or None, shape)) for name, shape in _MENDED]
    underruns = [number(event.data.get("ms")) or 0.0 for event in events if event.type == "underrun"]
    if underruns:
        rows.append(("underruns", f"{len(underruns)} ({sum(underruns):.0f} ms)"))
    recording = _last(events, "recording")
    rows.append(("recording_gaps", _figure(number(recording.get("dropped_ms")) or None, "{:.0f} ms")))
    return tuple((text(f"history.is.quality.{name}"), value) for name, value in rows if value)


_MENDED = (
    ("rx_discarded", "{:.0f}"), ("rx_reordered", "{:.0f}"), ("rx_duplicated", "{:.0f}"), ("tx_lost", "{:.0f}"),
    ("tx_jitter_ms", "{:.1f} ms"), ("intake_dropped_ms", "{:.0f} ms"), ("lost_digits", "{:.0f}"),
)  # fmt: skip


def _moments(events: Sequence[StoredEvent]) -> Facts:
    """The six moments by which callers judge a call: how often, and the figures."""
    groups: dict[str, list[float]] = {}
    for moment in all_moments(events):
        groups.setdefault(moment.name, []).append(moment.seconds * 1000)
    return tuple((text(f"history.is.moment.{name}"), _spread(values)) for name, values in groups.items())


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.0f} ms"
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    return text("history.spread", count=len(values), middle=f"{middle:.0f}", worst=f"{ordered[-1]:.0f}")


def _tools(found: Lanes, requests: Iterable[StoredRequest], *, personal: bool) -> tuple[Tool, ...]:
    gate = {one.function_call_id: one for one in requests}
    tools = []
    for one in found.stretches:
        if one.lane == "tools":
            request = gate.get(one.key)
            people = ", ".join(request.gate.get("approved_by") or ()) if request and personal else ""
            state = request.state if request else ""
            request_id = request.request_id if request else ""
            tools.append(Tool(one.name, one.start_s, one.end_s - one.start_s, state, request_id, people))
    return tuple(tools)


def _responses(events: Sequence[StoredEvent]) -> tuple[Response, ...]:
    return tuple(_response(event.data) for event in events if event.type == "response")[:MAX_RESPONSES]


def _response(data: Mapping[str, Any]) -> Response:
    usage = data.get("usage")
    tokens = usage if isinstance(usage, dict) else {}

    def count(*names: str) -> int:
        return round(sum(number(tokens.get(name)) or 0.0 for name in names))

    return Response(
        _joined(data.get("status"), data.get("reason"))[:100],
        number(data.get("latency_ms")),
        number(data.get("duration_ms")),
        count("text_in"),
        count("audio_in"),
        count("text_cached", "audio_cached", "image_cached"),
        count("text_out"),
        count("audio_out"),
        number(data.get("cost_usd")),
    )


def _cost(record: CallRecord, events: Sequence[StoredEvent]) -> Facts:
    heard = [number(event.data.get("cost_usd")) for event in events if event.type == "transcription"]
    transcription = sum(value for value in heard if value is not None)
    used = Counter[str]()
    for event in events:
        usage = event.data.get("usage") if event.type == "response" else None
        used.update(
            {name: round(number(value) or 0.0) for name, value in (usage or {}).items()}
            if isinstance(usage, dict)
            else {}
        )
    rows = [
        ("responses", _figure(record.cost_usd, "${:.4f}")),
        ("transcription", _figure(transcription or None, "${:.4f}")),
        ("tokens", f"{used['total']:,}" if used["total"] else ""),
        (
            "audio_tokens",
            _joined(used["audio_in"] and f"{used['audio_in']:,}", "/", f"{used['audio_out']:,}")
            if used["audio_out"]
            else "",
        ),
    ]
    return tuple((text(f"history.is.cost.{name}"), value) for name, value in rows if value)


def _bare(line: SipLine) -> SipLine:
    """A message without what says who it was."""
    return SipLine(line.leg, line.at_s, line.sent, line.what, line.cseq)


def _last(events: Sequence[StoredEvent], kind: str) -> Mapping[str, Any]:
    return next((event.data for event in reversed(events) if event.type == kind), {})


def _figure(value: float | None, shape: str) -> str:
    return "" if value is None else shape.format(value)
