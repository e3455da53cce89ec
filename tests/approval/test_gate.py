import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.approval.actions import FINAL, Audit, Execute, Inquire, Notify, State, Store, Tell
from bridge.approval.canonical import binding
from bridge.approval.gate import ALLOW_EXECUTE_S, Gate
from bridge.approval.request import Actor, Ask, CallerFacts, Confirm, Decision, Refused, Ruling, ToolRequest

ARGUMENTS = {"amount": 40}
BINDING = binding("refund", "d1", ARGUMENTS, "call-1", "p1")
EDITED = binding("refund", "d1", {"amount": 20}, "call-1", "p1")
REQUEST = ToolRequest(
    "r1",
    "call-1",
    "f1",
    "refund",
    "d1",
    ARGUMENTS,
    "money",
    False,
    BINDING,
    "p1",
    0.0,
    caller=CallerFacts("+491"),
)
ASK = Ask("boss", decide_s=60, execute_s=30)
ANNA = Actor("anna", frozenset({"approver"}), frozenset({"boss"}))
BERT = Actor("bert", frozenset({"approver"}), frozenset({"boss", "top"}))


def opened(effect="ask", request=REQUEST, now=0.0, **parts):
    parts.setdefault("ask", ASK if effect == "ask" else None)
    gate, actions = Gate.open(request, Ruling(effect, "rule", "why", **parts), now)
    return gate, actions


def decision(by=ANNA, verdict="approve", **changes):
    return replace(Decision("r1", BINDING, by, verdict), **changes)


def executes(actions):
    return (
        [] if isinstance(actions, Refused) else [action for action in actions if isinstance(action, Execute)]
    )


def test_what_the_policy_allows_runs_once():
    gate, actions = opened("allow")
    assert actions[0] == Store(State.APPROVED)
    assert [run.arguments for run in executes(gate.claim(1.0))] == [ARGUMENTS]
    assert gate.claim(1.0).code == "not_approved"
    assert gate.finished({"status": "refunded"}, ok=True)[:2] == [
        Store(State.SUCCEEDED),
        Tell(State.SUCCEEDED, ""),
    ]
    assert gate.outcome == {"status": "refunded"}
    assert gate.claim(2.0).code == "not_approved"


def test_what_the_policy_denies_never_runs():
    gate, _ = opened("deny", words="no")
    assert gate.state is State.DENIED
    assert gate.claim(0.0).code == gate.decide(decision(), 0.0).code.replace(
        "already_decided", "not_approved"
    )


def test_what_is_asked_waits_and_runs_after_the_approval():
    gate, actions = opened()
    assert (gate.state, gate.due_at) == (State.PENDING, 60.0)
    assert Notify("asked", "boss") in actions
    assert gate.claim(1.0).code == "not_approved"
    gate.decide(decision(), 10.0)
    assert (gate.state, gate.due_at) == (State.APPROVED, 40.0)
    assert executes(gate.claim(11.0))


def test_a_confirmation_comes_first_and_then_the_people():
    gate, _ = opened("confirm", ask=ASK, confirm=Confirm("Really?"))
    assert gate.state is State.CONFIRMING
    assert gate.decide(decision(), 1.0).code == "already_decided"
    gate.confirmed(5.0, "voice")
    assert (gate.state, gate.due_at) == (State.PENDING, 65.0)
    assert gate.confirmed(6.0, "voice").code == gate.refused_by_caller("no").code == "not_confirming"


def test_a_confirmation_alone_is_enough_when_the_rule_says_so():
    gate, _ = opened("confirm", confirm=Confirm("Really?"))
    gate.confirmed(5.0, "key")
    assert (gate.state, gate.due_at) == (State.APPROVED, 5.0 + ALLOW_EXECUTE_S)


def test_a_caller_who_says_no_or_nothing_cancels():
    gate, _ = opened("confirm", confirm=Confirm("Really?"))
    gate.refused_by_caller("no")
    assert gate.state is State.CANCELLED
    gate, _ = opened("confirm", confirm=Confirm("Really?", answer_s=10))
    assert gate.tick(9.0) == []
    gate.tick(10.0)
    assert gate.state is State.CANCELLED


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (decision(request_id="r2"), "wrong_request"),
        (decision(binding="forged"), "wrong_binding"),
        (decision(by=Actor("eve")), "not_an_approver"),
        (decision(by=Actor("eve", frozenset({"approver"}), frozenset({"sales"}))), "wrong_group"),
        (decision(by=replace(ANNA, numbers=frozenset({"+491"}))), "own_request"),
        (decision(by=replace(ANNA, kind="caller")), "own_request"),
        (decision(arguments={"amount": 20}), "wrong_binding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unfit_decision_is_refused_and_changes_nothing(changed, code):
    gate, _ = opened()
    before = gate.to_json()
    assert gate.decide(changed, 1.0).code == code
    assert gate.to_json() == before


def test_late_double_and_repeated_decisions_are_refused():
    gate, _ = opened()
    assert gate.decide(decision(), 60.0).code == "late"
    gate.tick(60.0)
    assert gate.state is State.EXPIRED
    assert gate.decide(decision(), 61.0).code == "late"
    gate, _ = opened()
    gate.decide(decision(verdict="deny", reason="too much"), 1.0)
    assert (gate.state, gate.reason) == (State.DENIED, "too much")
    assert gate.decide(decision(by=BERT), 2.0).code == "already_decided"


def test_two_have_to_approve_and_one_deny_wins():
    two = replace(ASK, approvers=2)
    gate, _ = opened(ask=two)
    gate.decide(decision(), 1.0)
    assert gate.state is State.PENDING
    assert gate.decide(decision(), 2.0).code == "duplicate_approver"
    gate.decide(decision(by=BERT), 3.0)
    assert gate.approved_by == ("anna", "bert")
    assert gate.state is State.APPROVED
    gate, _ = opened(ask=two)
    gate.decide(decision(), 1.0)
    gate.decide(decision(by=BERT, verdict="deny"), 2.0)
    assert gate.state is State.DENIED


def test_edited_arguments_need_the_others_approval_anew():
    gate, _ = opened(ask=replace(ASK, approvers=2))
    gate.decide(decision(), 1.0)
    gate.decide(decision(by=BERT, arguments={"amount": 20}, arguments_binding=EDITED), 2.0)
    assert (gate.edited_by, gate.approved_by, gate.state) == ("bert", ("bert",), State.PENDING)
    assert gate.decide(decision(), 3.0).code == "wrong_binding"
    gate.decide(decision(binding=EDITED), 3.0)
    (run,) = executes(gate.claim(4.0))
    assert run.arguments == {"amount": 20}


def test_escalation_asks_a_second_group_once():
    gate, _ = opened(ask=replace(ASK, escalate_to="top", escalate_s=20))
    carl = Actor("carl", frozenset({"approver"}), frozenset({"top"}))
    assert gate.decide(decision(by=carl), 1.0).code == "wrong_group"
    assert Notify("escalated", "top") in gate.tick(20.0)
    assert gate.tick(21.0) == []
    gate.decide(decision(by=carl), 22.0)
    assert gate.state is State.APPROVED


def test_a_hang_up_cancels_what_waits_unless_the_rule_keeps_it():
    gate, _ = opened()
    gate.hung_up()
    assert gate.state is State.CANCELLED
    gate, _ = opened(ask=replace(ASK, on_hangup="keep"))
    assert gate.hung_up() == []
    gate.decide(decision(), 1.0)
    assert executes(gate.claim(2.0))
    assert gate.hung_up() == []


def test_an_approval_does_not_wait_for_ever():
    gate, _ = opened()
    gate.decide(decision(), 1.0)
    assert gate.claim(31.0).code == "late"
    gate.tick(31.0)
    assert gate.state is State.EXPIRED


def test_a_changed_function_is_withdrawn():
    gate, _ = opened("allow")
    gate.withdraw("changed")
    assert gate.state is State.CANCELLED
    assert gate.withdraw("again") == []


def test_a_crash_leaves_unknown_and_only_an_idempotent_tool_is_tried_once_more():
    gate, _ = opened("allow")
    gate.claim(1.0)
    assert Notify("reconcile", "") in gate.crashed(2.0, "died")
    assert gate.state is State.UNKNOWN
    assert gate.claim(3.0).code == "not_approved"
    assert gate.reconciled(Actor("eve"), "", ok=True).code == "not_an_approver"
    gate.reconciled(ANNA, "it was made", ok=True)
    assert gate.state is State.SUCCEEDED
    assert gate.reconciled(ANNA, "", ok=True).code == "not_unknown"

    gate, _ = opened("allow", replace(REQUEST, idempotent=True))
    (first,) = executes(gate.claim(1.0))
    gate.crashed(2.0, "died")
    (second,) = executes(gate.claim(3.0))
    assert first.idempotency_key == second.idempotency_key
    gate.crashed(4.0, "died")
    assert gate.state is State.UNKNOWN
    assert gate.crashed(5.0, "").code == gate.finished({}, ok=True).code == "not_executing"


def decided(gate, now, **changes):
    return gate.decide(decision(binding=gate.binding, **changes), now)


APPLY = {
    "confirm": lambda gate, now: gate.confirmed(now, "key"),
    "refuse": lambda gate, _now: gate.refused_by_caller("no"),
    "anna": decided,
    "bert": lambda gate, now: decided(gate, now, by=BERT),
    "deny": lambda gate, now: decided(gate, now, verdict="deny"),
    "forged": lambda gate, now: decided(gate, now, by=Actor("eve", frozenset({"approver"}))),
    "edit": lambda gate, now: decided(gate, now, arguments={"amount": 20}, arguments_binding=EDITED),
    "hang_up": lambda gate, _now: gate.hung_up(),
    "claim": lambda gate, now: gate.claim(now),
    "done": lambda gate, _now: gate.finished({}, ok=True),
    "crash": lambda gate, now: gate.crashed(now, "died"),
    "withdraw": lambda gate, _now: gate.withdraw("changed"),
    "distrust": lambda gate, _now: [] if gate.state in FINAL else gate.distrusted("changed"),
    "tick": lambda gate, now: gate.tick(now),
}
EVENTS = st.sampled_from(["save", *APPLY])
RULINGS = st.sampled_from(
    [
        Ruling("allow", "r", ""),
        Ruling("deny", "r", ""),
        Ruling("ask", "r", "", ask=ASK),
        Ruling(
            "ask", "r", "", ask=replace(ASK, approvers=2, on_hangup="keep", escalate_to="top", escalate_s=5)
        ),
        Ruling("confirm", "r", "", confirm=Confirm("?")),
        Ruling("confirm", "r", "", confirm=Confirm("?"), ask=replace(ASK, approvers=2)),
    ]
)


@settings(max_examples=400)
@given(RULINGS, st.booleans(), st.lists(st.tuples(EVENTS, st.floats(0, 30)), max_size=25))
def test_in_any_order_of_events_it_executes_at_most_once_and_only_when_it_may(ruling, idempotent, events):
    gate, actions = Gate.open(replace(REQUEST, idempotent=idempotent), ruling, 0.0)
    assert isinstance(actions[0], Store)
    now, runs, crashes, said_yes = 0.0, 0, 0, False
    wanted = ruling.ask.approvers if ruling.ask else 0
    for event, later_s in events:
        now += later_s
        before = gate.state
        if event == "save":
            gate = Gate.from_json(json.loads(json.dumps(gate.to_json())))
            continue
        actions = APPLY[event](gate, now)
        if isinstance(actions, Refused):
            assert gate.state is before
            continue
        said_yes = said_yes or event == "confirm"
        crashes += event == "crash"
        if actions:
            assert isinstance(actions[0], Store)
        if before in FINAL:
            assert actions == []
            assert gate.state is before
        for run in executes(actions):
            runs += 1
            assert before is State.APPROVED
            assert event == "claim"
            assert ruling.effect != "deny"
            assert ruling.effect != "confirm" or said_yes
            assert len(set(gate.approved_by)) >= wanted
            assert run.arguments == gate.arguments
    assert runs <= 1 + (idempotent and crashes > 0)


def test_every_step_can_be_proven_later():
    gate, actions = opened()
    types = [action.type for action in actions if isinstance(action, Audit)]
    for step in (gate.decide(decision(), 1.0), gate.claim(2.0), gate.finished({}, ok=False)):
        types += [action.type for action in step if isinstance(action, Audit)]
    assert types == ["requested", "approved", "executing", "failed"]


def test_an_unknown_outcome_is_settled_by_who_was_asked_or_an_admin():
    for who, code in (
        (Actor("s", frozenset({"approver"}), frozenset({"sales"})), "wrong_group"),
        (ANNA, None),
    ):
        gate, _ = opened()
        gate.decide(decision(), 1.0)
        gate.claim(2.0)
        gate.crashed(3.0, "died")
        settled = gate.reconciled(who, "looked", ok=False)
        assert getattr(settled, "code", None) == code
    gate, _ = opened()
    gate.decide(decision(), 1.0)
    gate.claim(2.0)
    gate.crashed(3.0, "died")
    gate.reconciled(Actor("chief", frozenset({"admin"})), "looked", ok=True)
    assert gate.state is State.SUCCEEDED


def test_a_question_to_the_caller_decides_nothing_and_stops_no_clock():
    gate, _ = opened()
    actions = gate.inquire(decision(reason=" Which\norder? ", via="console"), 10.0)
    assert actions[0] == Store(State.PENDING)
    assert actions[1] == Audit("question", "anna", {"number": 1, "via": "console"}, {"text": "Which order?"})
    assert actions[2] == Inquire(1)
    assert (gate.state, gate.approved_by, gate.binding, gate.due_at) == (State.PENDING, (), BINDING, 60.0)
    assert gate.inquire(decision(reason="And why?"), 11.0).code == "one_at_a_time"
    store, audit = gate.inquired(1, "asked", "")
    assert (store, audit.type, audit.facts) == (
        Store(State.PENDING),
        "question_put",
        {"number": 1, "outcome": "asked"},
    )
    again = Gate.from_json(json.loads(json.dumps(gate.to_json())))
    assert again.questions[0]["state"] == "asked"
    assert gate.decide(decision(), 12.0)[0] == Store(State.APPROVED)
    assert gate.inquire(decision(reason="Too late?"), 13.0).code == "already_decided"


@pytest.mark.parametrize(
    ("by", "code"),
    [
        (Actor("eve", frozenset({"operator"}), frozenset({"boss"})), "not_an_approver"),
        (Actor("eve", frozenset({"approver"}), frozenset({"sales"})), "wrong_group"),
        (
            Actor("eve", frozenset({"approver"}), frozenset({"boss"}), numbers=frozenset({"+491"})),
            "own_request",
        ),
    ],
)
def test_only_who_may_decide_may_have_the_caller_asked(by, code):
    gate, _ = opened()
    assert gate.inquire(decision(by=by, reason="Which order?"), 1.0).code == code
    assert gate.questions == ()


def test_a_gate_of_an_older_version_has_no_questions():
    gate, _ = opened()
    kept = gate.to_json()
    del kept["questions"]
    assert Gate.from_json(kept).questions == ()
