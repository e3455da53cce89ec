import asyncio
import json
import os
import pwd
import threading

import pytest
from typer.testing import CliRunner

from bridge.approval.gate import Gate
from bridge.approval.request import Ask, CallerFacts, Ruling, ToolRequest
from bridge.approval.signing import sealed, secret
from bridge.cli import approvals
from bridge.cli.approvals import app
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text(f"state_dir: {tmp_path}/var\nstore: sqlite:///{tmp_path}/store.db\n")
    return path


async def keep(folder, *ids):
    async with Store(f"sqlite:///{folder}/store.db") as store:
        await UserStore(store).put(User(ME, frozenset({"approver"}), frozenset({"boss"})))
        for request_id in ids:
            request = ToolRequest(
                request_id, "c1", f"f{request_id}", "refund", "d", {"amount": 40}, "money", False, "bind", "p", 0.0,
                caller=CallerFacts("+491"),
            )  # fmt: skip
            gate, _ = Gate.open(request, Ruling("ask", "refunds", "rule refunds", ask=Ask("boss")), 1.0)
            await GateStore(store).save(gate.to_json(), 0, [], 1.0)


def run(config, *arguments):
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def control(folder, answer, seen):
    """Takes up one decision, as control does."""

    async def work():
        async with Store(f"sqlite:///{folder}/store.db") as store:
            gate = GateStore(store)
            for _ in range(200):
                for number, request_id, decision in await gate.open_decisions():
                    seen.append((request_id, decision))
                    await gate.answer(number, answer)
                    return
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    return thread


def test_what_waits_is_listed_for_people_and_for_programs(config, tmp_path):
    asyncio.run(keep(tmp_path, "abc1"))
    assert "refund" in run(config, "list").output
    (row,) = json.loads(run(config, "list", "--json").output)
    assert (row["request_id"], row["state"], row["arguments"], row["caller"]) == (
        "abc1",
        "pending",
        {"amount": 40},
        "+491",
    )
    assert json.loads(run(config, "show", "ab").output)["binding"] == "bind"


def test_nothing_waits(config, tmp_path):
    asyncio.run(keep(tmp_path))
    assert "nothing waits" in run(config, "list").output


@pytest.mark.parametrize(
    ("verdict", "answer", "status"), [("approve", "taken: x", 0), ("deny", "refused: late: x", 1)]
)
def test_a_decision_carries_the_account_and_what_was_shown_and_prints_what_became_of_it(
    config, tmp_path, verdict, answer, status
):
    asyncio.run(keep(tmp_path, "abc1"))
    seen = []
    thread = control(tmp_path, answer, seen)
    result = run(config, verdict, "abc", "--reason", "fine")
    thread.join()
    assert (result.exit_code, result.output.strip()) == (status, answer)
    ((request_id, words),) = seen
    assert sealed(secret(tmp_path / "var" / "keys" / "decisions.key"), request_id, words)
    del words["seal"]
    assert (request_id, words) == (
        "abc1",
        {"by": ME, "verdict": verdict, "reason": "fine", "binding": "bind", "via": "cli", "factor": ""},
    )


def test_an_id_that_fits_none_or_several_is_refused(config, tmp_path):
    asyncio.run(keep(tmp_path, "abc1", "abd2"))
    assert "no requests" in str(run(config, "approve", "x").exception)
    assert "2 requests" in str(run(config, "approve", "ab").exception)


def test_a_bridge_that_does_not_answer_is_said_so(config, tmp_path, monkeypatch):
    asyncio.run(keep(tmp_path, "abc1"))
    monkeypatch.setattr(approvals, "ANSWER_S", 0.1)
    result = run(config, "approve", "abc1")
    assert isinstance(result.exception, StoreError)
    assert "it may still count" in str(result.exception)


async def edit(folder, request_id):
    async with Store(f"sqlite:///{folder}/store.db") as store:
        gates = GateStore(store)
        (row,) = await gates.find(request_id)
        changed = {**row.gate, "arguments": {"amount": 9000}, "binding": "newbinding", "edited_by": "bert"}
        await gates.save(changed, row.version, [], 2.0)


def test_what_somebody_edited_is_approved_only_in_the_form_that_was_seen(config, tmp_path):
    asyncio.run(keep(tmp_path, "abc1"))
    asyncio.run(edit(tmp_path, "abc1"))
    assert "9000" in str(run(config, "approve", "abc1").exception)
    assert "--form newbin" in str(run(config, "approve", "abc1", "--form", "bind").exception)
    seen = []
    thread = control(tmp_path, "taken: x", seen)
    assert run(config, "approve", "abc1", "--form", "newbin").exit_code == 0
    thread.join()
    assert seen[0][1]["binding"] == "newbinding"


def test_an_unknown_outcome_is_settled_with_a_note(config, tmp_path):
    asyncio.run(keep(tmp_path, "abc1"))
    seen = []
    thread = control(tmp_path, "taken: x", seen)
    assert run(config, "reconcile", "abc1", "--done", "--note", "seen at the bank").exit_code == 0
    thread.join()
    assert (seen[0][1]["verdict"], seen[0][1]["reason"]) == ("succeeded", "seen at the bank")


def test_an_edited_approval_carries_all_arguments(config, tmp_path):
    asyncio.run(keep(tmp_path, "abc1"))
    seen = []
    thread = control(tmp_path, "taken: x", seen)
    assert run(config, "approve", "abc1", "--arguments", '{"amount": 30}').exit_code == 0
    thread.join()
    assert seen[0][1]["arguments"] == {"amount": 30}
    assert run(config, "approve", "abc1", "--arguments", "[1]").exit_code == 2


@pytest.mark.parametrize("written", ["{amount: 40}", '{"amount": NaN}', '{"amount": 1e999}', "[40]"])
def test_arguments_that_are_no_json_object_are_refused_before_anything_is_decided(config, written):
    found = run(config, "approve", "abc1", "--arguments", written)
    assert found.exit_code == 2
    assert "--arguments" in found.output


def test_watching_shows_what_waits_for_as_long_as_wanted(config, tmp_path):
    asyncio.run(keep(tmp_path, "abc1"))
    result = run(config, "watch", "--seconds", "0.1")
    assert (result.exit_code, "refund" in result.output) == (0, True)


def test_a_question_to_the_caller_goes_the_way_of_a_decision(config, tmp_path):
    asyncio.run(keep(tmp_path, "aaaa1111"))
    seen = []
    thread = control(tmp_path, "taken: the request is pending", seen)
    result = run(config, "ask", "aaaa", "Which order?")
    thread.join()
    assert (result.exit_code, result.output) == (0, "taken: the request is pending\n")
    (words,) = [words for _, words in seen]
    assert (words["verdict"], words["reason"]) == ("ask", "Which order?")
