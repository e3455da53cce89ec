"""`sipbridge policy`: what an operator sees."""

import asyncio
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.approval.request import CallerFacts, Ruling, ToolRequest
from bridge.cli.policy import app
from bridge.store.gatestore import GateStore
from bridge.store.store import Store

ROOT = Path(__file__).parents[2]
TOOL = """\
from bridge.toolbox.spec import tool

@tool("Pay.", risk="money")
def pay(amount: float) -> dict:
    return {}
"""
POLICY = """\
version: 1
# rules
default_ask: {group: team}
rules:
- {name: tiny, tools: [pay], when: args.amount + counts.day.sums.amount <= 9.0, allow: true}
- {name: dear, tools: [pay], when: args.amount > 500, deny: Too much.}
- name: rest
  tools: [pay]
  confirm: {question: "Pay {amount} dollars now?"}
  ask: {group: team, decide_s: 90, escalate_to: team, escalate_s: 30}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "pay.py").write_text(TOOL)
    (tmp_path / "tools" / "policy.yaml").write_text(POLICY)

    def run(*arguments):
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.output

    return run


def test_check_sums_up_a_good_policy(run):
    code, output = run("check")
    assert code == 0
    assert "3 rules" in output
    assert "  rest: confirm then ask\n" in output
    assert "warning" not in output


def test_check_names_the_place_of_every_mistake(run, tmp_path):
    (tmp_path / "p.yaml").write_text(POLICY.replace("args.amount > 500", "arg.amount > 500"))
    code, output = run("check", "--policy", "p.yaml")
    assert code == 1
    assert "p.yaml:6:36: rules[1].when: unknown name arg (did you mean args?)" in output
    assert "1 mistake\n" in output


def test_check_warns_of_what_no_tool_has_and_of_broken_tools(run, tmp_path):
    (tmp_path / "tools" / "policy.yaml").write_text(
        POLICY.replace("tools: [pay], when: args.a", "tools: [pya], when: args.a")
    )
    (tmp_path / "tools" / "broken.py").write_text("1 +\n")
    code, output = run("check")
    assert code == 0
    assert "there is no tool pya (did you mean pay?) [warning]" in output
    assert "broken.py:1" in output


def test_the_shipped_policy_fits_the_shipped_tools(run):
    code, output = run("check", "--policy", str(ROOT / "tools" / "policy.yaml"))
    assert code == 0
    assert "[tool]" not in output


def test_explain_says_who_decides_and_why(run):
    day = '{"day": {"requests": 0, "approved": 0, "sums": {}}}'
    code, output = run("explain", "pay", '{"amount": 40.0}', "--counts", day)
    assert code == 0
    assert output.splitlines() == [
        " x tiny (line 5): args.amount + counts.day.sums.amount <= 9.0 is false",
        " x dear (line 6): args.amount > 500 is false",
        "-> rest (line 7): it has no condition",
        "confirm: rule rest: it has no condition",
        "  the caller is asked, by key or voice: Pay 40 dollars now?",
        "  1 person of team must approve within 90 s, team too after 30 s",
    ]


def test_explain_says_what_cannot_be_told(run):
    code, output = run("explain", "pay", '{"amount": 4}')
    assert code == 0
    assert output.splitlines() == [
        "?? tiny (line 5): the condition fails: day is missing",
        "ask: rule tiny cannot tell: the condition fails: day is missing",
        "  1 person of team must approve within 120 s",
    ]


def test_explain_shows_the_words_of_a_refusal(run):
    zero = '{"day": {"sums": {"amount": 0}}}'
    assert "  the model hears: Too much.\n" in run("explain", "pay", '{"amount": 501}', "--counts", zero)[1]


def test_explain_takes_a_tool_that_is_elsewhere_by_its_risk(run):
    assert run("explain", "crm.find", '{"a": 1}', "--risk", "read")[1].endswith("must approve within 120 s\n")
    assert run("explain", "crm.find")[0] == 2


@pytest.mark.parametrize("words", [("x", "[1]", "--risk", "read"), ("x", "{", "--risk", "read")])
def test_explain_wants_json_objects(run, words):
    assert run("explain", *words)[0] == 2


def remember(tmp_path, *requests):
    """Stored requests of (amount, state, days ago, effect, rule)."""

    async def write():
        async with Store(f"sqlite:///{tmp_path}/sipbridge.db") as store:
            for number, (amount, state, days, effect, rule) in enumerate(requests):
                at = time.time() - days * 86_400
                asked = ToolRequest(
                    request_id=f"q{number}", call_id="c1", function_call_id=f"f{number}", tool="pay",
                    definition_hash="d", arguments={"amount": amount}, risk="money", idempotent=False,
                    binding="b", policy_version="p", requested_at=at, caller=CallerFacts("+491"),
                )  # fmt: skip
                gate = {"request": asdict(asked), "ruling": asdict(Ruling(effect, rule, "")), "state": state}
                gate |= {"binding": "b", "due_at": None}
                await GateStore(store).save(gate, 0, [], at)

    asyncio.run(write())
    (tmp_path / "s.yaml").write_text(f"store: sqlite:///{tmp_path}/sipbridge.db\n")


REPLAYED = POLICY.replace("counts.day.", "counts.call.")


def test_replay_shows_what_would_be_ruled_otherwise(run, tmp_path):
    (tmp_path / "p.yaml").write_text(REPLAYED)
    remember(
        tmp_path,
        (100.0, "denied", 3, "ask", ""),
        (5.0, "succeeded", 2.9, "allow", "tiny"),
        (5.0, "succeeded", 2.8, "allow", "tiny"),
    )
    code, output = run("replay", "--policy", "p.yaml", "--config", "s.yaml")
    assert code == 0
    first, second, last = output.splitlines()
    assert first.startswith("-> 20")
    assert 'q0 pay {"amount": 100.0}: ask (no rule) now confirm (rule rest: it has no condition)' in first
    assert 'q2 pay {"amount": 5.0}: allow (tiny) now confirm' in second  # 5 and 5 are more than 9
    assert last == "3 function calls: allow 1, confirm 2; 2 would be ruled otherwise"


def test_replay_shows_everything_when_asked_and_keeps_to_the_days(run, tmp_path):
    (tmp_path / "p.yaml").write_text(REPLAYED)
    remember(tmp_path, (8.0, "succeeded", 30, "allow", "tiny"), (3.0, "succeeded", 2, "confirm", "rest"))
    code, output = run("replay", "--policy", "p.yaml", "--all", "--config", "s.yaml")
    assert code == 0
    assert output.splitlines()[0].startswith("   20")
    assert output.splitlines()[-1] == "1 function calls: confirm 1; 0 would be ruled otherwise"
    assert (
        run("replay", "--days", "1", "--config", "s.yaml")[1]
        == "0 function calls: none; 0 would be ruled otherwise\n"
    )
