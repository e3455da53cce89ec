"""A call as one line of the history: who, how it ended in words, how long, what is noteworthy. Pure."""

from dataclasses import dataclass

from bridge.console.texts import text
from bridge.records.cdr import CallRecord
from bridge.records.course import course_of
from bridge.records.ending import FAULTS, cause
from bridge.records.public import masked
from bridge.records.search import troubled

LIVE = "running"
POOR_MOS = 3.6
"""Below it many listeners are dissatisfied (ITU-T G.107, annex B)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `kind`: how it ended, for its colour: live, good, bad or plain. `notes`: (kind, words)."""

    record: CallRecord
    who: str
    other: str
    display: str
    ending: str
    kind: str
    notes: tuple[tuple[str, str], ...]


def row_of(record: CallRecord, requests: int, *, personal: bool) -> Row:
    """`requests`: how many functions the agent wanted that went through the gate."""
    name, kind = ending_of(record)
    return Row(
        record,
        shown(record.from_uri, personal=personal),
        shown(record.to_uri, personal=personal),
        (record.from_display or "") if personal else "",
        text(f"history.is.cause.{name}"),
        kind,
        tuple(_notes(record, requests)),
    )


def shown(number: str | None, *, personal: bool) -> str:
    """A number as this visitor may see it."""
    return ((number if personal else masked(number)) or "") or text("history.nobody")


def ending_of(record: CallRecord) -> tuple[str, str]:
    """(cause of the closed list, colour) as far as the record tells it."""
    if record.ended_at is None:
        return LIVE, "live"
    found = cause(course_of(record))
    if found.kind == "success":
        return found.name, "good"
    return found.name, "bad" if found.kind in FAULTS else "plain"


def _notes(record: CallRecord, requests: int) -> list[tuple[str, str]]:
    found = []
    if troubled(record):
        found.append(("bad", text("history.note.trouble")))
    if requests:
        found.append(("", text("history.note.requests", count=requests)))
    if record.barge_ins:
        found.append(("", text("history.note.barge_ins", count=record.barge_ins)))
    if record.mos is not None and record.mos < POOR_MOS:
        found.append(("warm", text("history.note.mos", mos=f"{record.mos:.1f}")))
    if record.recording_path:
        found.append(("quiet", text("history.note.recorded")))
    return found


def clock(seconds: float | None) -> str:
    """A length as m:ss or h:mm:ss; "" when there is none."""
    if seconds is None:
        return ""
    whole = max(round(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
