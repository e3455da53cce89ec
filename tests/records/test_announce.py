"""What leaves the house, and what does not."""

import typing

import pytest

from bridge.records.announce import AUDIT, CALL, EVENTS, TEST, Told, mask_uri, name_of, payload, wanted
from bridge.settings_webhooks import EventName

RECORD = {
    "direction": "in",
    "from_uri": "sip:+491701234567@trunk",
    "to_uri": "sip:+4930999@us",
    "route": "sales",
    "agent": "front",
    "node": "n1",
    "duration_s": 12.5,
    "answered_at": 5.0,
}
GATE = {
    "request": {"tool": "refund", "risk": "money", "caller": {"number": "+491701234567"}},
    "ruling": {"rule": "big", "ask": {"group": "boss", "approvers": 2}},
    "arguments": {"amount": 40, "to": "DE12"},
}


def call(type_, **facts):
    return Told(CALL, 7, type_, "c1", 1_700_000_000.25, facts, RECORD)


def audit(type_, gate=GATE, **facts):
    return Told(AUDIT, 9, type_, "c1", 1_700_000_000.0, facts, request_id="r1", request=gate)


def test_the_settings_know_every_event_and_no_other():
    assert typing.get_args(EventName) == EVENTS


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (call("call.started"), "call.started"),
        (call("call.answered"), "call.answered"),
        (call("call.ended"), "call.ended"),
        (call("transcript"), "transcript"),
        (call("recording"), "recording.ready"),
        (call("dtmf"), ""),
        (audit("requested", state="pending"), "approval.requested"),
        (audit("requested", state="confirming"), ""),
        (audit("confirmed", state="pending"), "approval.requested"),
        (audit("approved", state="approved", binding="b"), "approval.decided"),
        (audit("denied", state="denied", binding="b"), "approval.decided"),
        (audit("escalated", state="pending"), "approval.escalated"),
        (audit("succeeded", state="succeeded"), "approval.ended"),
        (audit("expired", state="expired"), "approval.ended"),
        (audit("executing", state="executing"), ""),
        (audit("succeeded", {"ruling": {"ask": None}}, state="succeeded"), ""),
        (audit("succeeded", {}, state="succeeded"), ""),
        (Told(TEST, 1, "test", "", 0.0), "test"),
    ],
)
def test_rows_have_names_outside_or_are_not_told(told, name):
    assert name_of(told) == name


def test_a_filter_leaves_others_out_and_words_go_only_to_who_may_see_them():
    started, spoken = call("call.started"), call("transcript")
    assert wanted(started, frozenset(), personal=False)
    assert not wanted(started, frozenset({"call.ended"}), personal=True)
    assert not wanted(spoken, frozenset(), personal=False)
    assert wanted(spoken, frozenset(), personal=True)
    assert wanted(Told(TEST, 1, "test", "", 0.0), frozenset({"call.ended"}), personal=False)
    assert not wanted(call("dtmf"), frozenset(), personal=True)


def test_without_personal_nobody_is_named():
    """Every value of every event is looked at: what one of them lets slip is in somebody's log for ever."""
    secrets = ("491701234567", "4930999", "DE12", "I am Ann", "fraud", "/rec/", "+49")
    facts = {"text": "I am Ann", "who": "caller", "reason": "fraud", "path": "/rec/c1.wav", "by": "caller"}
    told = [
        call(one, **facts)
        for one in ("call.started", "call.answered", "call.ended", "transcript", "recording")
    ]
    told += [
        audit("requested", state="pending", **facts),
        audit("denied", state="denied", binding="b", **facts),
    ]
    for one in told:
        text = repr(payload(one, personal=False))
        assert [secret for secret in secrets if secret in text] == [], name_of(one)


def test_with_personal_the_facts_are_there():
    ended = payload(call("call.ended", by="caller", status=200, reason="normal"), personal=True)
    assert ended == {
        "type": "call.ended",
        "timestamp": "2023-11-14T22:13:20.250Z",
        "data": {
            "call_id": "c1",
            "direction": "in",
            "from": "sip:+491701234567@trunk",
            "to": "sip:+4930999@us",
            "route": "sales",
            "agent": "front",
            "node": "n1",
            "by": "caller",
            "status": 200,
            "reason": "normal",
            "duration_s": 12.5,
            "answered": True,
        },
    }
    decided = payload(
        audit("approved", state="approved", binding="b", via="api", actor="anna"), personal=True
    )
    assert (
        decided["data"] | {"verdict": "approve", "by": "anna", "via": "api", "edited": False}
        == decided["data"]
    )
    assert decided["data"]["arguments"] == {"amount": 40, "to": "DE12"}
    assert decided["data"]["caller"] == "+491701234567"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [("sip:+491701234567@t", "***67"), ("tel:12345", "***45"), ("sip:12@t", "***"), (None, None)],
)
def test_a_number_keeps_two_digits(uri, shown):
    assert mask_uri(uri) == shown
