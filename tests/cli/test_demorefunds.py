"""What the demo says about three refunds; that they really happen: tests/system/test_demo.py."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.approval.policy import load
from bridge.cli.demorefunds import DECIDE_S, HEARD, READ_BACK, VERDICTS, Outcome, claims, own_tools

ROOT = Path(__file__).parents[2]
RIGHT = Outcome(
    said={caller: [READ_BACK, f"{HEARD[verdict]} and so on"] for caller, verdict in VERDICTS.items()},
    states={"+4930111": "succeeded", "+4930222": "denied", "+4930333": "expired"},
    decided={"+4930111": "taken: x", "+4930222": "taken: y"},
    refunds=[("+4930111", 40.0)],
    audit="all of it holds",
    audit_status=0,
)


def test_what_went_right_is_claimed():
    assert [claim.text for claim in claims(RIGHT) if not claim.holds] == []


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({"refunds": [("+4930111", 40.0)] * 2}, "the money went out once"),
        ({"refunds": [("+4930222", 40.0)]}, "the money went out once"),
        ({"refunds": []}, "the money went out once"),
        ({"audit_status": 1}, "the audit chain"),
        ({"decided": {"+4930111": "refused: late"}}, "the decisions were taken"),
        ({"states": {**RIGHT.states, "+4930222": "succeeded"}}, "the denied caller"),
        ({"said": {**RIGHT.said, "+4930333": [READ_BACK]}}, "the caller nobody decided about"),
        (
            {"said": {**RIGHT.said, "+4930222": [READ_BACK, HEARD["deny"], HEARD["approve"]]}},
            "the denied caller",
        ),
        ({"said": {**RIGHT.said, "+4930111": [HEARD["approve"]]}}, "each request was read back"),
    ],
)
def test_what_went_wrong_is_not(changed, broken):
    found = [claim.text for claim in claims(replace(RIGHT, **changed)) if not claim.holds]
    assert len(found) == 1
    assert broken in found[0]


def test_only_the_time_to_decide_differs_from_what_is_delivered(tmp_path):
    tools = own_tools(ROOT / "tools", tmp_path)
    ours, delivered = load(tools / "policy.yaml"), load(ROOT / "tools" / "policy.yaml")
    assert [rule.spec.name for rule in ours.rules] == [rule.spec.name for rule in delivered.rules]
    (refunds,) = [rule.spec.ask for rule in ours.rules if rule.spec.name == "refunds"]
    assert refunds.decide_s == DECIDE_S
