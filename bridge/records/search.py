"""Which calls are looked for: a filter over records, read from what a form or a command line says. Pure.

    {"number": "4711", "outcome": "missed"} ─► read ─► (Filter, what could not be understood)

Calls are listed the newest first and paged by their place (start, id), never by a number of rows: a page stays true
while calls come in and retention takes others away. What a filter means as SQL is bridge/store/historystore.py.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from bridge.records.cdr import CallRecord

MAX_CHARS = 100
OUTCOMES = ("live", "answered", "missed", "refused")
"""live: not over. answered: over, and both sides could talk. refused: by the bridge, before an answer. missed: the
rest without an answer."""
DIRECTIONS = ("inbound", "outbound")
ENDED_BY = ("caller", "agent", "operator", "bridge", "network")
TROUBLE_MOS = 3.0
LOST = ("worker_died", "node_lost")
_TYPED = frozenset({"number", "reason", "route", "agent", "node", "words"})
_DIGITS = re.compile(r"[^0-9A-Za-z+*#._@-]")
_PLACE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,20})?)~([^\0]{1,100})")  # PostgreSQL has no NUL


@dataclass(frozen=True, slots=True)
class Filter:
    """What has to be true of a call; a field's default: anything. Times are unix seconds.

    `number`: of caller or called, or its end. `reason`: a part of why it ended. `words`: a part of what was said.
    """

    since: float | None = None
    until: float | None = None
    number: str = ""
    direction: str = ""
    outcome: str = ""
    ended_by: str = ""
    reason: str = ""
    route: str = ""
    agent: str = ""
    node: str = ""
    shortest_s: float | None = None
    longest_s: float | None = None
    approvals: bool = False
    trouble: bool = False
    barge_ins: bool = False
    words: str = ""

    def told(self) -> dict[str, Any]:
        """What was looked for, as the audit may keep it for ever: of what was typed, only that there was something."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: True if name in _TYPED else value for name, value in kept.items() if value}

    def without_persons(self) -> "Filter":
        """As far as somebody may ask who may not see numbers and words: what is found would tell them."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return Filter(**{**kept, "number": "", "reason": "", "words": ""})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends; the next has what started before, or at that moment with a smaller id."""

    started_at: float
    call_id: str

    def __str__(self) -> str:
        return f"{self.started_at!r}~{self.call_id}"

    @classmethod
    def of(cls, record: CallRecord) -> "Place":
        """The place of a call."""
        return cls(record.started_at, record.call_id)

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """What `str` gave; None: it is none."""
        found = _PLACE.fullmatch(text)
        return cls(float(found[1]), found[2]) if found else None


def troubled(record: CallRecord) -> bool:
    """Whether somebody should look into it: faults, a lost model, a silent peer, poor sound."""
    return bool(
        record.errors
        or record.session_error
        or record.ended_by == "network"
        or (record.ended_by == "bridge" and (record.end_status or 0) >= 500)
        or (record.ended_by == "bridge" and record.end_reason in LOST)
        or (record.mos is not None and record.mos < TROUBLE_MOS)
    )


def read(given: Mapping[str, str]) -> tuple[Filter, tuple[str, ...]]:
    """A filter of texts by its fields' names, and the names of those that could not be understood."""
    values, wrong = understood(given, _READERS)
    return Filter(**values), wrong


def understood(
    given: Mapping[str, str], readers: Mapping[str, Callable[[str], Any]]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What each reader makes of the text of its name, where there is one; and the names that raised ValueError."""
    values: dict[str, Any] = {}
    wrong = []
    for name, reader in readers.items():
        text = given.get(name, "").strip()
        if not text:
            continue
        try:
            values[name] = reader(text)
        except ValueError:
            wrong.append(name)
    return values, tuple(wrong)


def typed(text: str) -> str:
    """As it was typed. Raises ValueError: longer than MAX_CHARS, or not printable."""
    if len(text) > MAX_CHARS or not text.isprintable():
        raise ValueError(text)
    return text


def _number(text: str) -> str:
    """Blanks, brackets and strokes are how people write it, not what is stored."""
    found = _DIGITS.sub("", typed(text))
    if not found:
        raise ValueError(text)
    return found


def _one_of(*known: str) -> Callable[[str], str]:
    def reader(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return reader


def _seconds(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or not 0 <= value <= 1e7:
        raise ValueError(text)
    return value


def moment(text: str) -> float:
    """Unix seconds of local time as a form's field has it (HTML, datetime-local), ISO 8601 with an offset, or of those.

    Raises ValueError.
    """
    try:
        return _unix(float(text))
    except ValueError:
        pass
    try:
        return _unix(datetime.fromisoformat(text).timestamp())
    except (OverflowError, OSError):
        raise ValueError(text) from None


def _unix(value: float) -> float:
    if not math.isfinite(value) or not 0 <= value <= 1e11:
        raise ValueError(value)
    return value


def _flag(text: str) -> bool:
    return text not in {"0", "false", "off"}


_READERS: Mapping[str, Callable[[str], Any]] = {
    "since": moment,
    "until": moment,
    "number": _number,
    "direction": _one_of(*DIRECTIONS),
    "outcome": _one_of(*OUTCOMES),
    "ended_by": _one_of(*ENDED_BY),
    "reason": typed,
    "route": typed,
    "agent": typed,
    "node": typed,
    "shortest_s": _seconds,
    "longest_s": _seconds,
    "approvals": _flag,
    "trouble": _flag,
    "barge_ins": _flag,
    "words": typed,
}
