"""What happened in one call so far, as its page shows it: lines, function calls and notes, folded from its events.

    event ─► Story.take ─► entries, each with a key of its own          words on their way ─► Story.hear

An interrupted line has what the caller did not hear apart (records/heard.py: an estimate). Events of one call come in
order; unknown, doubled and damaged ones change nothing. A machine: bounded, no clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bridge.console.doing import doing
from bridge.console.pieces import key_of
from bridge.records.cdr import number
from bridge.records.heard import heard_chars
from bridge.records.timeline import mark_of

MAX_ENTRIES = 2000
MAX_CHARS = 20_000
Kind = Literal["line", "tool", "note"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured time. `name`: answer, silence, tool (texts `call.ms.…`)."""

    name: str
    ms: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing on the page. `name`: who speaks, a function, or what a note is about.

    `state` of a line: coming, said, cut, lost; of a function call: as the gate's, or running, done. `text`, `unheard`:
    what was said and what the caller did not hear of it, the `share` that they heard being known.
    """

    key: str
    kind: Kind
    at: float
    name: str
    text: str = ""
    unheard: str = ""
    state: str = ""
    answer: str = ""
    request_id: str = ""
    figures: tuple[Figure, ...] = ()
    share: float = 1.0
    began_mono: float = 0.0


@dataclass(frozen=True, slots=True)
class Now:
    """How the call stands. `paused_by`: who keeps the recording silent. `person`: who has taken over."""

    doing: str = "ringing"
    answered_at: float | None = None
    agent: str = ""
    recorded: bool = False
    paused_by: frozenset[str] = frozenset()
    person: str = ""
    ended: tuple[str, str] | None = None
    """Who ended it, and the reason; None: it is live."""


class Story:
    """`entries` in order by key; `now`; `place`: of the newest event; `changes`: how often anything changed."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.now = Now()
        self.place = 0
        self.changes = 0
        self.figures: dict[str, list[float]] = {}
        self._started: set[str] = set()
        self._agent_line = ""

    @property
    def name(self) -> str:
        """Of this state, for a page that was made of it."""
        return f"{self.place}"

    @property
    def waits(self) -> bool:
        """Whether a function call waits for a person, whatever is said meanwhile."""
        return any(one.kind == "tool" and one.state == "pending" for one in self.entries.values())

    def take(self, place: int, event_type: str, at: float, mono: float, data: Mapping[str, Any]) -> None:
        """One event; `place` grows."""
        if place <= self.place:
            return
        self.place, self.changes = place, self.changes + 1
        if word := doing(event_type, data):
            self.now = replace(self.now, doing=word)
        change = _NOW.get(event_type)
        if change is not None:
            self.now = change(self.now, data, at)
        handler = _HANDLERS.get(event_type)
        if handler is not None:
            handler(self, data, at, mono)
        elif (mark := mark_of(event_type, data)) is not None:
            self._put(Entry(key_of(f"note {place}"), "note", at, mark[0], mark[1][:MAX_CHARS]))

    def hear(self, who: str, item_id: str, words: str, at: float) -> None:
        """Words that are on their way: they are said, or will be in a moment."""
        entry = self._line(who, item_id, at)
        if entry.state in {"", "coming"} and entry.text != words:
            self.changes += 1
            self._put(replace(entry, text=words[:MAX_CHARS], state="coming"))

    # ---- lines -----------------------------------------------------------------------------------------------

    def _line(self, who: str, item_id: str, at: float) -> Entry:
        key = key_of(f"{who} {item_id}")
        return self.entries.get(key) or Entry(key, "line", at, "agent" if who == "agent" else "caller")

    def _put(self, entry: Entry) -> None:
        self.entries[entry.key] = entry
        if entry.kind == "line" and entry.name == "agent":
            self._agent_line = entry.key
        while len(self.entries) > MAX_ENTRIES:
            del self.entries[next(iter(self.entries))]

    def speaks(self, who: str, data: Mapping[str, Any], at: float) -> None:
        """Somebody begins."""
        item_id = str(data.get("item_id"))
        entry = self._line(who, item_id, at)
        if who == "agent":
            self._started.add(entry.key)
        self._put(replace(entry, state=entry.state or "coming"))

    def said(self, data: Mapping[str, Any], at: float) -> None:
        """The whole words of a line."""
        who, text = str(data.get("who")), str(data.get("text") or "").strip()[:MAX_CHARS]
        entry = self._line(who, str(data.get("item_id")), at)
        if data.get("interrupted") is True and entry.key not in self._started:
            entry = replace(entry, state="lost", share=0.0)
        self._put(
            _split(replace(entry, state=entry.state if entry.state in {"cut", "lost"} else "said"), text)
        )

    def finished(self, data: Mapping[str, Any], at: float) -> None:
        """The caller heard an item of the agent's to its end, or was in the middle of it."""
        entry = self._line("agent", str(data.get("item_id")), at)
        if data.get("interrupted") is not True:
            return
        self._put(replace(entry, state="cut"))
        for other in list(self.entries.values()):  # what was to come after it
            waits = other.kind == "line" and other.name == "agent" and other.key not in self._started
            if waits and other.state in {"coming", "said"} and other.at <= at and other.text:
                self._put(_split(replace(other, state="lost", share=0.0), other.text))

    def barged_in(self, data: Mapping[str, Any], at: float) -> None:
        """How much of the item was heard, and how fast the agent was silent."""
        entry = self._line("agent", str(data.get("item_id")), at)
        heard_ms, dropped_ms = number(data.get("heard_ms")) or 0.0, number(data.get("dropped_ms")) or 0.0
        share = heard_ms / (heard_ms + dropped_ms) if heard_ms + dropped_ms else 0.0
        figures = (*entry.figures, *self._figure("silence", data.get("stop_ms")))
        cut = replace(entry, state="cut", share=share, figures=figures)
        self._put(_split(cut, entry.text + entry.unheard))

    def answered(self, data: Mapping[str, Any], _at: float, _mono: float) -> None:
        """A response ended; the time it took to begin belongs to what the agent said."""
        entry = self.entries.get(self._agent_line)
        if entry is not None and not any(one.name == "answer" for one in entry.figures):
            found = self._figure("answer", data.get("latency_ms"))
            self._put(replace(entry, figures=(*entry.figures, *found)))

    def _figure(self, name: str, ms: Any) -> tuple[Figure, ...]:
        found = number(ms)
        if found is None:
            return ()
        known = self.figures.setdefault(name, [])
        known.append(found)
        del known[:-MAX_ENTRIES]
        return (Figure(name, found),)

    # ---- functions -------------------------------------------------------------------------------------------

    def _tool(self, data: Mapping[str, Any], at: float) -> Entry:
        key = key_of(f"tool {data.get('call_id')}")
        return self.entries.get(key) or Entry(
            key, "tool", at, str(data.get("name") or data.get("tool") or "")
        )

    def invoked(self, data: Mapping[str, Any], at: float, mono: float) -> None:
        """The model wants a function run."""
        words = str(data.get("arguments") or "")[:MAX_CHARS]
        self._put(replace(self._tool(data, at), text=words, state="running", began_mono=mono))

    def ruled(self, data: Mapping[str, Any], at: float, _mono: float) -> None:
        """Where the gate stands with it."""
        entry = self._tool(data, at)
        request_id = str(data.get("request_id") or "") or entry.request_id
        self._put(replace(entry, state=str(data.get("state") or entry.state), request_id=request_id))

    def returned(self, data: Mapping[str, Any], at: float, mono: float) -> None:
        """What the model was told of it."""
        entry = self._tool(data, at)
        took = self._figure("tool", (mono - entry.began_mono) * 1000) if entry.began_mono else ()
        state = "done" if entry.state == "running" else entry.state
        words = str(data.get("output") or "")[:MAX_CHARS]
        self._put(replace(entry, answer=words, state=state, figures=(*entry.figures, *took)))


def _split(entry: Entry, words: str) -> Entry:
    heard = heard_chars(words, entry.share, 1.0 - entry.share)
    return replace(entry, text=words[:heard], unheard=words[heard:])


Handler = Callable[[Story, Mapping[str, Any], float, float], None]
_HANDLERS: Mapping[str, Handler] = {
    "speech.started": lambda story, data, at, _mono: story.speaks("caller", data, at),
    "speech.stopped": lambda _story, _data, _at, _mono: None,
    "agent.started": lambda story, data, at, _mono: story.speaks("agent", data, at),
    "agent.finished": lambda story, data, at, _mono: story.finished(data, at),
    "transcript": lambda story, data, at, _mono: story.said(data, at),
    "barge_in": lambda story, data, at, _mono: story.barged_in(data, at),
    "response": Story.answered,
    "function_call": Story.invoked,
    "tool.state": Story.ruled,
    "function_output": Story.returned,
}

Change = Callable[[Now, Mapping[str, Any], float], Now]
_NOW: Mapping[str, Change] = {
    "call.answered": lambda now, _data, at: replace(now, answered_at=now.answered_at or at),
    "session.connecting": lambda now, data, _at: replace(now, agent=str(data.get("agent") or now.agent)),
    "agent.hand_off": lambda now, data, _at: replace(now, agent=str(data.get("to") or now.agent)),
    "recording": lambda now, _data, _at: replace(now, recorded=True),
    "recording.paused": lambda now, data, _at: replace(now, paused_by=now.paused_by | {str(data.get("by"))}),
    "recording.resumed": lambda now, data, _at: replace(now, paused_by=now.paused_by - {str(data.get("by"))}),
    "supervisor.took_over": lambda now, data, _at: replace(now, person=str(data.get("leg") or "")),
    "supervisor.gave_back": lambda now, _data, _at: replace(now, person=""),
    "call.ended": lambda now, data, _at: replace(
        now, ended=now.ended or (str(data.get("by") or ""), str(data.get("reason") or ""))
    ),
}
