"""Records of calls as files for other programs: CSV (RFC 4180) and JSON lines. Pure.

A spreadsheet runs a cell that begins with = + - @ as a formula, and callers choose what stands in a cell: such a text
gets an apostrophe before it (OWASP, CSV injection). Numbers are written as they are. JSON lines keep texts as they are.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from bridge.records.cdr import CallRecord
from bridge.records.public import PERSONAL, hidden, whole

COLUMNS = (
    "call_id", "started_at", "state", "direction", "from_uri", "to_uri", "from_display", "route", "agent", "node",
    "worker", "answered_at", "ended_at", "duration_s", "ended_by", "end_status", "end_reason", "end_detail",
    "provider", "model", "session_ms", "session_error", "responses", "cost_usd", "worst_latency_ms", "barge_ins",
    "holds", "dtmf_digits", "function_calls", "errors", "codec", "rx_packets", "rx_lost", "rx_loss_pct", "rx_jitter_ms",
    "tx_packets", "rtt_ms", "mos", "recording_s", "plan_version", "sip_call_id", "remote", "recording_path",
)  # fmt: skip
"""In the order of a CSV file. Times are unix seconds."""
FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def columns(*, personal: bool) -> tuple[str, ...]:
    """What a file has; without `personal` nothing that says who it was: numbers are masked."""
    return COLUMNS if personal else tuple(name for name in COLUMNS if name not in PERSONAL)


def lines(records: Iterable[CallRecord], kind: str, *, personal: bool) -> str:
    """These records as a piece of a file. `kind`: a key of FORMATS."""
    names = columns(personal=personal)
    rows = [(whole if personal else hidden)(record) for record in records]
    if kind == "csv":
        return _csv([row[name] for name in names] for row in rows)
    return "".join(json.dumps({name: row[name] for name in names}) + "\n" for row in rows)


def head(kind: str, *, personal: bool) -> str:
    """What the file begins with."""
    return _csv([columns(personal=personal)]) if kind == "csv" else ""


def safe_cell(value: Any) -> Any:
    """As a spreadsheet may have it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_document(record: CallRecord, more: Mapping[str, Any], *, personal: bool) -> str:
    """One call as JSON for a person: its record, and what else there is of it."""
    body = {"record": (whole if personal else hidden)(record), **more}
    return json.dumps(body, indent=2) + "\n"


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([safe_cell(value) for value in row])
    return out.getvalue()
