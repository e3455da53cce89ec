import json

import pytest

from bridge.approval.actions import FINAL, State
from bridge.approval.gate import Gate
from bridge.approval.outcome import function_output
from bridge.approval.request import Ruling, ToolRequest

REQUEST = ToolRequest("r", "c", "f", "refund", "d", {"amount": 20}, "money", False, "b", "p", 0.0)


def gate_in(state, ruling=None, **changes):
    gate = Gate(REQUEST, ruling or Ruling("ask", "rule", "why"))
    gate.state = state
    for name, value in changes.items():
        setattr(gate, name, value)
    return gate


@pytest.mark.parametrize("state", sorted(set(State) - FINAL - {State.UNKNOWN}))
def test_what_is_not_over_has_no_output(state):
    assert function_output(gate_in(state)) == ""


@pytest.mark.parametrize("state", sorted(FINAL - {State.SUCCEEDED}))
def test_what_was_not_done_says_so(state):
    told = json.loads(function_output(gate_in(state, reason="because", outcome={"error": "down"})))
    assert told["status"] == state.value
    assert "NOT done" in told["message"]
    assert told["reason"] == "because"
    assert told.get("error") == ("down" if state is State.FAILED else None)


def test_a_success_is_the_tools_own_answer():
    assert json.loads(function_output(gate_in(State.SUCCEEDED, outcome={"status": "refunded"}))) == {
        "status": "refunded"
    }


def test_changed_arguments_are_told():
    told = json.loads(function_output(gate_in(State.SUCCEEDED, outcome={}, edited_by="anna")))
    assert told["approved_with_changes"] == {"amount": 20}


def test_nobody_claims_to_know_what_is_unknown():
    assert "neither" in json.loads(function_output(gate_in(State.UNKNOWN)))["message"]


def test_a_denial_by_the_policy_has_the_policys_words():
    told = json.loads(
        function_output(gate_in(State.DENIED, Ruling("deny", "r", "w", words="only in writing")))
    )
    assert told["reason"] == "only in writing"
