"""One cause for every end: what the bridge, the peer, the trunk, the model or the process did."""

import json

import pytest

from bridge.records.course import Course
from bridge.records.ending import CAUSES, CLASSES, FAULTS, KINDS, cause, explain
from tests.fakes.events import Script


def ended(before=(), answered=False, direction="inbound", started=True, **end):
    """The course of a call that ended so; `before`: (type, data) of what happened in it."""
    script = Script()
    if started:
        facts = {
            "worker": "worker-0",
            "trunk": "carrier",
            "route": "" if end.get("status") == 404 else "desk",
        }
        script.tell("call.started", direction=direction, **facts)
    if answered:
        script.tell("call.answered", 2.0)
    for type_, data in before:
        script.tell(type_, 1.0, **data)
    script.tell("call.ended", 3.0, **{"status": 200, "reason": "", "detail": "", **end})
    call = Course()
    for event in script.events:
        call.take(event)
    return call


LOST = ("session.failed", {"code": "close_1006", "message": "the connection ended"})
READY = ("session.ready", {"ms": 40})
STEP = ("step.failed", {"step": "dial", "reason": "sales could not be reached: 486 Busy Here"})
TABLE = [
    ("worker_died", "server_error", {"by": "bridge", "reason": "worker_died", "detail": "killed by SIGSEGV"}),
    ("node_lost", "server_error", {"by": "bridge", "reason": "node_lost", "detail": "node b is gone"}),
    ("shutdown", "server_error", {"by": "bridge", "status": 503, "reason": "shutdown"}),
    ("no_plan", "server_error", {"by": "bridge", "status": 503, "reason": "no dialplan yet"}),
    ("internal_error", "server_error", {"by": "bridge", "status": 500, "reason": "internal error"}),
    ("internal_error", "server_error", {"by": "bridge", "status": 500, "reason": "media failed"}),
    ("draining", "overload", {"by": "bridge", "status": 503, "reason": "Not Accepting Calls"}),
    ("bridge_full", "overload", {"by": "bridge", "status": 503, "reason": "All Lines Busy"}),
    ("bridge_full", "overload", {"by": "bridge", "status": 503, "reason": "Too Many Calls At Once"}),
    ("no_route", "refused", {"by": "bridge", "status": 404, "reason": "no route fits this call"}),
    ("dialplan_refused", "refused", {"by": "bridge", "status": 603, "reason": "closed"}),
    ("no_consent", "refused", {"by": "bridge", "answered": True, "reason": "no_consent"}),
    ("no_common_media", "client_error", {"by": "bridge", "status": 488, "reason": "no_common_media"}),
    ("rtp_timeout", "network", {"by": "bridge", "status": 408, "answered": True, "reason": "rtp_timeout"}),
    ("hold_timeout", "limit", {"by": "bridge", "answered": True, "reason": "hold_timeout"}),
    ("caller_silent", "limit", {"by": "bridge", "answered": True, "reason": "caller_silent"}),
    ("max_duration", "limit", {"by": "bridge", "answered": True, "reason": "max_duration"}),
    ("budget", "limit", {"by": "bridge", "answered": True, "reason": "max_cost"}),
    ("ring_timeout", "limit", {"by": "bridge", "status": 480, "reason": "ring_timeout"}),
    (
        "model_lost",
        "provider_error",
        {"by": "bridge", "status": 503, "reason": "the agent is not available", "before": [LOST]},
    ),
    ("model_lost", "provider_error", {"by": "caller", "answered": True, "before": [READY, LOST]}),
    ("caller", "success", {"by": "caller", "answered": True, "before": [LOST, READY]}),
    (
        "dialplan",
        "success",
        {"by": "bridge", "answered": True, "reason": "transferred", "before": [LOST, ("leg.connected", {})]},
    ),
    (
        "target_unreachable",
        "callee",
        {"by": "bridge", "status": 503, "reason": "the target cannot be reached"},
    ),
    (
        "dialplan_loop",
        "server_error",
        {"by": "bridge", "status": 503, "reason": "the dialplan goes round in circles"},
    ),
    ("peer_silent", "network", {"by": "network", "status": 408, "answered": True}),
    ("peer_silent", "network", {"by": "network", "status": 408}),
    ("caller_gave_up", "caller", {"by": "caller", "status": 487}),
    ("busy", "callee", {"direction": "outbound", "by": "caller", "status": 486}),
    ("no_answer", "callee", {"direction": "outbound", "by": "bridge", "status": 487, "reason": "no_answer"}),
    ("no_answer", "callee", {"direction": "outbound", "by": "network", "status": 408}),
    ("declined", "callee", {"direction": "outbound", "by": "caller", "status": 603}),
    ("trunk_refused", "client_error", {"direction": "outbound", "by": "caller", "status": 403}),
    ("number_unknown", "client_error", {"direction": "outbound", "by": "caller", "status": 404}),
    ("no_common_media", "client_error", {"direction": "outbound", "by": "caller", "status": 488}),
    ("trunk_failed", "network", {"direction": "outbound", "by": "caller", "status": 503}),
    ("call_refused", "callee", {"direction": "outbound", "by": "caller", "status": 302}),
    (
        "not_placed",
        "server_error",
        {"direction": "outbound", "by": "bridge", "status": 503, "reason": "cannot dial"},
    ),
    (
        "not_placed",
        "server_error",
        {"direction": "outbound", "by": "bridge", "status": 503, "reason": "unsure"},
    ),
    ("operator", "success", {"by": "operator", "answered": True, "reason": "wrong number"}),
    ("agent", "success", {"by": "agent", "answered": True, "reason": "the agent ended it"}),
    ("caller", "success", {"by": "caller", "answered": True, "reason": "normal"}),
    ("dialplan", "success", {"by": "bridge", "answered": True, "reason": "dialplan_end"}),
    ("unknown", "server_error", {"by": "martians", "status": 0}),
]


@pytest.mark.parametrize(
    ("name", "kind", "end"), TABLE, ids=[f"{row[0]}-{at}" for at, row in enumerate(TABLE)]
)
def test_an_end_has_its_cause(name, kind, end):
    found = cause(ended(**end))
    assert (found.name, found.kind) == (name, kind)
    assert found.words
    assert "{" not in found.words + found.hint


def test_every_cause_there_is_has_been_seen_here():
    assert {row[0] for row in TABLE} == set(CAUSES)
    assert set(KINDS.values()) <= set(CLASSES)
    assert set(CLASSES) > FAULTS


def test_a_peer_cannot_put_our_words_into_its_reason_header():
    """Only what the bridge says itself is believed (RFC 3326: anybody may write a Reason header)."""
    found = cause(ended(by="caller", answered=True, reason="worker_died"))
    assert (found.name, found.kind) == ("caller", "success")


def test_every_fault_says_what_to_look_at_next():
    for _, kind, end in TABLE:
        if kind in FAULTS:
            assert cause(ended(**end)).hint


def test_the_line_says_who_ended_it_why_where_and_for_how_long():
    call = ended(
        before=[
            STEP,
            ("leg.ended", {"leg": "sales", "answered": False, "status": 486, "reason": "Busy Here"}),
        ],
        answered=True,
        by="bridge",
        status=503,
        reason="the target cannot be reached",
        detail="sales could not be reached: 486 Busy Here",
    )
    facts = explain(call)
    assert facts["cause"] == "target_unreachable"
    assert (
        facts["why"]
        == "the transfer's target could not be reached: sales could not be reached: 486 Busy Here"
    )
    assert facts["ended_by"] == "bridge"
    assert (facts["status"], facts["worker"], facts["trunk"], facts["route"]) == (
        503,
        "worker-0",
        "carrier",
        "desk",
    )
    assert facts["step"] == "dial: sales could not be reached: 486 Busy Here"
    assert facts["leg"] == "sales: 486 Busy Here"
    assert (facts["rang_s"], facts["talked_s"]) == (2.0, 5.0)
    assert "provider" not in facts
    json.dumps(facts)


def test_words_of_strangers_are_no_templates():
    facts = explain(ended(by="bridge", status=500, reason="{worker}", detail="{0.__class__}"))
    assert facts["why"] == "a fault of the bridge: {worker} {0.__class__}"


def test_a_call_of_which_only_the_end_is_known_is_explained_too():
    facts = explain(ended(started=False, by="bridge", status=500, reason="internal error"))
    assert facts["cause"] == "internal_error"
    assert "the worker" in facts["hint"]
