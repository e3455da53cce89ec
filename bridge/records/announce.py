"""What the outside is told of calls and approvals: events of the API's stream and of webhooks, from rows of the store.

    call_events row      call.started, call.answered, call.ended, transcript, recording.ready
    audit_entries row    approval.requested, approval.escalated, approval.decided, approval.ended

Names and keys are a promise to programs that others wrote: they only grow. Without `personal` numbers are `***45` and
nobody's words, names, arguments or reasons are in it. Touches nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bridge.records.log import mask

CALL, AUDIT, TEST = "c", "a", "t"
"""Where an event comes from: call_events, audit_entries, somebody who presses a button."""
EVENTS = (
    "call.started",
    "call.answered",
    "call.ended",
    "transcript",
    "recording.ready",
    "approval.requested",
    "approval.escalated",
    "approval.decided",
    "approval.ended",
)
TESTED = "test"
PERSONAL = frozenset({"transcript"})
"""Only for who may see personal data: there is nothing else in it."""
_CALLS = {
    "call.started": "call.started",
    "call.answered": "call.answered",
    "call.ended": "call.ended",
    "transcript": "transcript",
    "recording": "recording.ready",
}
CALL_TYPES = tuple(_CALLS)
"""Types of call_events that are told."""
_USER = re.compile(r"(?:sips?:|tel:)?([^@;>]*)")
_ENDS = frozenset({"succeeded", "failed", "denied", "expired", "cancelled", "unknown", "reconciled"})
AUDIT_TYPES = ("requested", "confirmed", "approved", "escalated", *sorted(_ENDS))
"""Types of audit_entries that may be told; which of them are also hangs on the state."""


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the store that may be told. `number`: of the row; `at`: unix seconds; `facts`: what the row holds.

    `call`, `request`: what is known of the call (a record's fields) and of the tool request (its gate).
    """

    source: str
    number: int
    type: str
    call_id: str
    at: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)


def name_of(told: Told) -> str:
    """What it is called outside; "": nobody is told of it."""
    if told.source == AUDIT:
        return _approval_of(told)
    return TESTED if told.source == TEST else _CALLS.get(told.type, "")


def _approval_of(told: Told) -> str:
    if not _object(told.request.get("ruling")).get("ask"):  # nobody was asked
        return ""
    state = told.facts.get("state")
    if told.type in {"requested", "confirmed"}:
        return "approval.requested" if state == "pending" else ""
    if told.type in {"approved", "denied"}:
        return "approval.decided" if "binding" in told.facts else "approval.ended"
    if told.type == "escalated":
        return "approval.escalated"
    return "approval.ended" if told.type in _ENDS else ""


def wanted(told: Told, events: frozenset[str], *, personal: bool) -> bool:
    """Whether somebody who asked for these events (all, when there are none) is told of it."""
    name = name_of(told)
    allowed = personal or name not in PERSONAL
    return bool(name) and allowed and (not events or name in events or name == TESTED)


def payload(told: Told, *, personal: bool) -> dict[str, Any]:
    """As it goes out: {"type", "timestamp", "data"}, the form of Standard Webhooks."""
    at = datetime.fromtimestamp(told.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = _DATA[told.source](told, personal)
    return {"type": name_of(told), "timestamp": at, "data": data}


def mask_uri(uri: str | None) -> str | None:
    """A number or a SIP URI as `***45`."""
    found = _USER.match(uri or "")
    return mask(found[1]) if uri and found else None


def _test(told: Told, _personal: bool) -> dict[str, Any]:
    return {"note": "Somebody pressed the test button.", "id": told.number}


def _call(told: Told, personal: bool) -> dict[str, Any]:
    call, facts = told.call, told.facts
    found = {
        "call_id": told.call_id,
        "direction": call.get("direction"),
        "from": call.get("from_uri") if personal else mask_uri(call.get("from_uri")),
        "to": call.get("to_uri") if personal else mask_uri(call.get("to_uri")),
        "route": call.get("route"),
        "agent": call.get("agent"),
        "node": call.get("node"),
    }
    return found | _OF_CALL.get(told.type, _nothing)(facts, call, personal)


def _nothing(_facts: Mapping[str, Any], _call: Mapping[str, Any], _personal: bool) -> dict[str, Any]:
    return {}


def _ended(facts: Mapping[str, Any], call: Mapping[str, Any], personal: bool) -> dict[str, Any]:
    found = {
        "by": facts.get("by"),
        "status": facts.get("status"),
        "duration_s": call.get("duration_s"),
        "answered": call.get("answered_at") is not None,
    }
    return found | ({"reason": facts.get("reason")} if personal else {})


def _transcript(facts: Mapping[str, Any], _call: Mapping[str, Any], personal: bool) -> dict[str, Any]:
    return {"who": facts.get("who"), "text": facts.get("text") if personal else None}


def _recording(facts: Mapping[str, Any], _call: Mapping[str, Any], personal: bool) -> dict[str, Any]:
    found = {"seconds": facts.get("seconds")}
    return found | ({"path": facts.get("path")} if personal else {})


_OF_CALL: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], bool], dict[str, Any]]] = {
    "call.ended": _ended,
    "transcript": _transcript,
    "recording": _recording,
}


def _approval(told: Told, personal: bool) -> dict[str, Any]:
    gate = told.request
    request, ruling = _object(gate.get("request")), _object(gate.get("ruling"))
    ask = _object(ruling.get("ask"))
    found: dict[str, Any] = {
        "request_id": told.request_id,
        "call_id": told.call_id,
        "tool": request.get("tool"),
        "risk": request.get("risk"),
        "rule": ruling.get("rule"),
        "group": ask.get("group"),
        "approvers": ask.get("approvers"),
        "state": told.facts.get("state"),
    }
    if "binding" in told.facts and told.type in {"approved", "denied"}:
        verdict = "deny" if told.type == "denied" else "approve"
        found |= {"verdict": verdict, "by": told.facts.get("actor"), "via": told.facts.get("via")}
        found["edited"] = bool(told.facts.get("edited"))
    if personal:
        caller = _object(request.get("caller"))
        found |= {"arguments": gate.get("arguments"), "caller": caller.get("number")}
    return found


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


_DATA: Mapping[str, Callable[[Told, bool], dict[str, Any]]] = {
    CALL: _call,
    AUDIT: _approval,
    TEST: _test,
}
