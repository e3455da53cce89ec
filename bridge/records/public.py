"""What of a call's record who may see: everything, or what does not say who it was. No I/O, any thread.

Used by the API, the console and exports, so that all of them keep the same things back.
"""

import re
from dataclasses import asdict
from typing import Any

from bridge.records.cdr import CallRecord
from bridge.records.log import mask
from bridge.records.timeline import Timeline

PERSONAL = (
    "from_display", "sip_call_id", "remote", "end_reason", "end_detail", "session_error", "recording_path",
)  # fmt: skip
"""Fields of a record that only who may see personal data gets; besides, numbers are masked."""
NUMBERS = ("from_uri", "to_uri")
_USER = re.compile(r"(?:sips?:|tel:)?([^@;>]*)")


def whole(record: CallRecord) -> dict[str, Any]:
    """The record for who may see personal data."""
    return {"state": record.state, **asdict(record)}


def hidden(record: CallRecord) -> dict[str, Any]:
    """The record without what says who it was: numbers but their last two digits, names, words."""
    seen = whole(record) | dict.fromkeys(PERSONAL)
    return seen | {name: masked(seen[name]) for name in NUMBERS}


def masked(number: str | None) -> str | None:
    """A number or a SIP URI as `***45`."""
    found = _USER.match(number or "")
    return mask(found[1]) if number and found else None


def bare(timeline: Timeline) -> dict[str, Any]:
    """When who spoke and what happened, without a word of it: a digit may be one of a card's."""
    return {
        "start_s": timeline.start_s,
        "end_s": timeline.end_s,
        "spans": [{"who": s.who, "start_s": s.start_s, "end_s": s.end_s} for s in timeline.spans],
        "marks": [{"at_s": mark.at_s, "name": mark.name} for mark in timeline.marks],
    }
