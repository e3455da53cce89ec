import asyncio
import contextlib
import json
import sqlite3
import weakref
from dataclasses import replace

import pytest

from bridge.approval.chain import broken, contradicted, payloads_changed
from bridge.approval.policy import load as load_policy
from bridge.approval.signing import Verifier
from bridge.control_gates import Gates
from bridge.control_tools import MAX_REPAIRS
from bridge.errors import LinkError, StoreError, ToolError, ToolLostError
from bridge.toolbox.spec import spec_of, tool
from tests.fakes.events import Script
from tests.fakes.link import until
from tests.fakes.office import GUARD_S, KEY, PEOPLE, running


async def test_what_is_allowed_runs_and_its_outcome_is_told(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call("look")
        assert answer["state"] in {"executing", "succeeded"}
        assert json.loads((await office.until("succeeded"))["output"])["status"] == "paid"
        assert [(name, amount) for name, amount, _ in office.done] == [("look", 40)]
        assert broken(await office.gates.audit()) == []


async def test_what_is_asked_waits_for_the_approval_and_runs_once(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        assert (answer["state"], office.done) == ("pending", [])
        assert await office.call() == answer
        assert (await office.decide(answer["request_id"])).startswith("taken")
        await office.until("succeeded")
        assert len(office.done) == 1
        assert "already_decided" in await office.decide(answer["request_id"])
        assert len(office.done) == 1
        types = [entry["type"] for entry in await office.gates.audit()]
        assert types == ["requested", "approved", "executing", "succeeded"]


@pytest.mark.parametrize(
    ("by", "binding", "code"),
    [
        ("nobody", None, "unknown_user"),
        ("chief", None, "not_an_approver"),
        ("sales", None, "wrong_group"),
        ("caller", None, "own_request"),
        ("anna", "forged", "wrong_binding"),
    ],
)
async def test_a_decision_that_may_not_be_is_refused_and_nothing_runs(tmp_path, by, binding, code):
    async with running(tmp_path) as office:
        answer = await office.call()
        assert code in await office.decide(answer["request_id"], by=by, binding=binding)
        state = await office.office.answer("tool.state", {"call_id": "c1"})
        assert state["calls"]["f1"]["state"] == "pending"
        assert office.done == []


async def test_a_denial_reaches_the_model_with_its_reason(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        await office.decide(answer["request_id"], verdict="deny")
        told = json.loads((await office.until("denied"))["output"])
        assert (told["status"], told["reason"]) == ("denied", "because")
        assert office.done == []


async def test_silence_is_no_consent(tmp_path):
    async with running(tmp_path) as office:
        await office.call("quick")
        assert json.loads((await office.until("expired"))["output"])["status"] == "expired"
        assert office.done == []


async def test_what_the_policy_denies_is_answered_at_once(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call("wipe")
        assert "Not on the phone" in answer["output"]
        assert office.done == []


async def test_the_caller_confirms_first(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call("book")
        assert (answer["state"], answer["question"]) == ("confirming", "Book 40?")
        words = {"call_id": "c1", "request_id": answer["request_id"], "how": "voice"}
        assert not (await office.office.answer("tool.confirm", {**words, "call_id": "c2", "yes": True}))[
            "taken"
        ]
        assert office.done == []
        assert (await office.office.answer("tool.confirm", {**words, "yes": True}))["taken"]
        await office.until("succeeded")
        assert not (await office.office.answer("tool.confirm", {**words, "yes": True}))["taken"]
        assert len(office.done) == 1


async def test_a_caller_who_does_not_confirm_cancels(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call("book")
        words = {"call_id": "c1", "request_id": answer["request_id"], "how": "no", "yes": "true"}
        assert (await office.office.answer("tool.confirm", words))["taken"]
        assert (await office.until("cancelled"))["output"]
        assert office.done == []


async def test_bad_arguments_are_told_precisely_and_not_for_ever(tmp_path):
    async with running(tmp_path) as office:
        for number in range(MAX_REPAIRS):
            answer = await office.call("pay", '{"amount": "40"}', f"f{number}")
            assert "amount" in answer["output"]
        assert "still" in (await office.call("pay", "{", "more"))["output"]
        assert "no such function" in (await office.call("none", "{}", "last"))["output"]
        assert await office.gates.requests() == []


async def test_a_hang_up_cancels_what_waits_but_not_what_the_rule_keeps(tmp_path):
    async with running(tmp_path) as office:
        waits = await office.call("pay")
        kept = await office.call("kept", function_call_id="f2")
        await office.office.calls_ended(["c1"])
        states = {row.request_id: row.state for row in await office.gates.requests()}
        assert states == {waits["request_id"]: "cancelled", kept["request_id"]: "pending"}
        assert "refused" in await office.decide(waits["request_id"])
        assert "taken" in await office.decide(kept["request_id"])
        await office.until("succeeded")
        assert [name for name, *_ in office.done] == ["kept"]


async def test_a_function_that_changed_since_it_was_shown_does_not_run(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        office.change("pay")
        await office.decide(answer["request_id"])
        assert (await office.until("cancelled"))["output"]
        assert office.done == []


async def test_pending_requests_survive_a_restart_of_control(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
    async with running(tmp_path) as office:
        assert "taken" in await office.decide(answer["request_id"])
        await office.until("succeeded")
        assert len(office.done) == 1


async def test_a_call_that_ended_while_control_was_away_cancels_what_waited(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        store = office.gates._store
        events = Script(call_id="c1").tell("call.started").tell("call.ended", by="caller", status=200).events
        await store.write(0, events)
    async with running(tmp_path) as office:
        (told,) = (await office.office.answer("tool.state", {"call_id": "c1"}))["calls"].values()
        assert told["state"] == "cancelled"
        (row,) = await office.gates.find(answer["request_id"])
        assert row.state == "cancelled"
        assert office.done == []


async def test_a_control_that_died_in_an_execution_never_repeats_it_blindly(tmp_path):
    async with running(tmp_path) as office:
        office.release.clear()
        answer = await office.call()
        await office.decide(answer["request_id"])
    async with running(tmp_path) as office:
        async with asyncio.timeout(GUARD_S):
            while (await office.gates.find(answer["request_id"]))[0].state != "unknown":  # noqa: ASYNC110  # a row
                await asyncio.sleep(0.01)
        state = (await office.office.answer("tool.state", {"call_id": "c1"}))["calls"]["f1"]
        assert "neither" in state["output"]
        assert office.done == []


async def test_parallel_calls_get_their_own_outcomes(tmp_path):
    async with running(tmp_path) as office:
        answers = [await office.call("pay", f'{{"amount": {n}}}', f"f{n}") for n in (1, 2, 3)]
        await office.decide(answers[1]["request_id"])
        await office.decide(answers[0]["request_id"], verdict="deny")
        await office.decide(answers[2]["request_id"])
        async with asyncio.timeout(GUARD_S):
            while len(office.done) < 2:  # noqa: ASYNC110  # a thread does it
                await asyncio.sleep(0.01)
        assert sorted(amount for _, amount, _ in office.done) == [2, 3]
        assert len({key for *_, key in office.done}) == 2


async def test_a_store_that_takes_nothing_means_that_nothing_is_done(tmp_path):
    async with running(tmp_path) as office:
        await office.office._store._store.transaction(
            "", lambda it: it.exec_driver_sql("DROP TABLE tool_requests")
        )
        with pytest.raises(StoreError):
            await office.call("look")
        assert office.done == []


async def test_what_was_asked_for_before_counts_even_when_it_is_asked_at_once(tmp_path):
    async with running(tmp_path) as office:
        both = await asyncio.gather(*(office.call("book", '{"amount": 60}', f"f{n}") for n in (1, 2)))
        assert sorted(answer["state"] for answer in both) == ["confirming", "denied"]
        assert (await office.call("book", '{"amount": 60}', "f3", "c2"))["state"] == "confirming"


async def test_only_what_exists_is_offered(tmp_path):
    async with running(tmp_path) as office:
        offered = await office.office.answer("tool.offer", {"names": ["pay", "none"]})
        assert [entry["name"] for entry in offered["tools"]] == ["pay"]
        with pytest.raises(LinkError):
            await office.office.answer("tool.steal", {})


async def test_a_decision_without_the_bridges_seal_is_refused(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        assert "forged" in await office.decide(answer["request_id"], key=b"x" * 32)
        assert "taken" in await office.decide(answer["request_id"])


async def test_a_user_who_was_disabled_decides_no_more(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        await office.users.put(replace(PEOPLE[0], disabled=True))
        assert "unknown_user" in await office.decide(answer["request_id"])
        assert office.done == []


async def test_edited_arguments_run_in_the_edited_form_and_say_who_edited(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        assert "bad_arguments" in await office.decide(answer["request_id"], arguments={"amount": "30"})
        assert "bad_arguments" in await office.decide(
            answer["request_id"], arguments={"amount": 3, "to": "me"}
        )
        assert "taken" in await office.decide(answer["request_id"], arguments={"amount": 30})
        told = json.loads((await office.until("succeeded"))["output"])
        assert told["approved_with_changes"] == {"amount": 30}
        assert [amount for _, amount, _ in office.done] == [30]
        approved = [entry for entry in await office.gates.audit() if entry["type"] == "approved"]
        assert (approved[0]["actor"], approved[0]["facts"]["edited"]) == ("anna", True)
        assert approved[0]["facts"]["binding"] != approved[0]["facts"]["new_binding"]


async def test_an_edit_is_no_way_round_the_policy(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call("big", '{"amount": 40}')
        assert "other_rule" in await office.decide(answer["request_id"], arguments={"amount": 5000})
        assert office.done == []
        assert "taken" in await office.decide(answer["request_id"], arguments={"amount": 41})


async def test_an_unknown_outcome_is_shown_and_settled_by_a_person(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call("lost")
        await office.decide(answer["request_id"])
        assert "neither" in (await office.until("unknown"))["output"]
        assert ("reconcile", "boss", "lost") in office.notices
        assert "not_unknown" not in await office.decide(answer["request_id"], by="chief", verdict="succeeded")
        assert (await office.gates.find(answer["request_id"]))[0].state == "succeeded"


async def test_people_are_told_what_waits_for_them(tmp_path):
    async with running(tmp_path) as office:
        await office.call()
        assert office.notices == [("asked", "boss", "pay")]


async def test_the_chain_is_signed_and_its_payloads_can_be_erased(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        with pytest.raises(StoreError, match="not over"):
            await office.gates.erase("c1", "root", 1.0)
        await office.decide(answer["request_id"], verdict="deny")
        verify = Verifier(tmp_path / "keys" / "audit.pub").verify
        entries, payloads = await office.gates.audit(), await office.gates.payloads()
        assert broken(entries, verify) == [] == payloads_changed(entries, payloads)
        assert contradicted(entries, await office.gates.states()) == []
        assert "+491" not in json.dumps(entries)
        assert any(
            payload and payload.get("caller", {}).get("number") == "+491" for _, payload in payloads.values()
        )
        assert await office.gates.erase("c1", "root", 1.0) == 2
        after = await office.gates.payloads()
        assert all(payload is None for _, payload in after.values())
        entries = await office.gates.audit()
        assert broken(entries, verify) == [] == payloads_changed(entries, after)
        (row,) = await office.gates.find(answer["request_id"])
        assert "+491" not in json.dumps(row.gate)


async def test_a_tool_has_its_call_do_things_and_is_told_what_became_of_it(tmp_path):
    async with running(tmp_path) as office:
        await office.call("hang")
        async with asyncio.timeout(GUARD_S):
            while not office.commands:  # noqa: ASYNC110  # a task of control
                await asyncio.sleep(0.01)
        (command,) = office.commands
        assert (command.call_id, command.kind, command.data) == ("c1", "transfer", {"target": "sales"})
        words = {"call_id": "c1", "command_id": command.command_id, "ok": False, "error": "busy"}
        await office.office.answer("tool.command_done", words)
        assert "busy" in (await office.until("failed"))["output"]


async def test_a_call_that_ends_answers_the_commands_it_still_had(tmp_path):
    async with running(tmp_path) as office:
        await office.call("hang")
        async with asyncio.timeout(GUARD_S):
            while not office.commands:  # noqa: ASYNC110  # a task of control
                await asyncio.sleep(0.01)
        await office.office.calls_ended(["c1"])
        async with asyncio.timeout(GUARD_S):
            while (await office.gates.requests())[0].state != "failed":  # noqa: ASYNC110  # a row
                await asyncio.sleep(0.01)


async def test_a_store_that_is_locked_for_a_while_neither_loses_nor_doubles_an_execution(tmp_path):
    async with running(tmp_path) as office:
        office.release.clear()
        answer = await office.call()
        await office.decide(answer["request_id"])
        lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        lock.execute("PRAGMA busy_timeout = 5000")
        lock.execute("BEGIN EXCLUSIVE")
        office.release.set()
        await until(lambda: office.done)
        await asyncio.sleep(0.5)  # its outcome cannot be kept, and it is not done again for that
        assert len(office.done) == 1
        lock.execute("COMMIT")
        lock.close()
        await office.until("succeeded")
        assert len(office.done) == 1


async def test_a_caller_whom_a_tool_verified_is_verified_for_the_rest_of_that_call_only(tmp_path):
    async with running(tmp_path) as office:
        first = await office.call("pay", verified_by="me", verified=True)
        await office.call("check", '{"amount": 1}', "f2")
        await office.until("succeeded")
        second = await office.call("pay", function_call_id="f3")
        other = await office.call("pay", function_call_id="f4", call_id="c2")
        facts = {}
        for answer in (first, second, other):
            (row,) = await office.gates.find(answer["request_id"])
            caller = row.gate["request"]["caller"]
            facts[answer["request_id"]] = caller["verified"], caller["verified_by"]
        assert list(facts.values()) == [(False, ""), (True, "check"), (False, "")]


async def verified(office, answer):
    (row,) = await office.gates.find(answer["request_id"])
    return row.gate["request"]["caller"]["verified"]


async def test_what_a_caller_proved_is_not_true_of_the_next_one_on_the_call(tmp_path):
    async with running(tmp_path) as office:
        await office.call("check", '{"amount": 1}', "f1")
        await office.until("succeeded")
        assert await verified(office, await office.call("pay", function_call_id="f2"))
        assert not await verified(office, await office.call("pay", function_call_id="f3", callers=1))
        assert "over" in (await office.call("pay", function_call_id="f4"))["output"]
        office.updates.clear()  # the first check's success is not this one's
        await office.call("check", '{"amount": 1}', "f5", callers=1)
        await office.until("succeeded")
        assert await verified(office, await office.call("pay", function_call_id="f6", callers=1))


async def test_a_proof_that_comes_when_another_caller_is_on_the_line_is_not_theirs(tmp_path):
    async with running(tmp_path) as office:
        office.release.clear()
        answer = await office.call("slow_check", '{"amount": 1}', "f1")
        assert answer["state"] == "executing"
        await office.call("look", function_call_id="f2", callers=1)
        office.release.set()
        await office.settled(answer["request_id"])
        assert not await verified(office, await office.call("pay", function_call_id="f3", callers=1))


async def test_a_tool_that_is_not_meant_to_verify_does_not(tmp_path):
    async with running(tmp_path) as office:
        await office.call("look")
        await office.until("succeeded")
        answer = await office.call("pay", function_call_id="f2")
        (row,) = await office.gates.find(answer["request_id"])
        assert not row.gate["request"]["caller"]["verified"]


async def test_a_row_changed_in_the_database_is_not_run_by_the_next_control(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
    with sqlite3.connect(tmp_path / "store.db") as database:
        (text,) = database.execute("SELECT gate FROM tool_requests").fetchone()
        forged = {**json.loads(text), "state": "approved", "arguments": {"amount": 999}, "due_at": 1e12}
        database.execute("UPDATE tool_requests SET state = 'approved', gate = ?", (json.dumps(forged),))
    async with running(tmp_path) as office:
        assert await office.settled(answer["request_id"]) == "cancelled"
        assert office.done == []
        assert [entry["type"] for entry in await office.gates.audit()] == ["requested", "distrusted"]


async def test_a_request_whose_arguments_are_not_those_of_its_binding_is_not_run(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        office.office._gates.get(answer["request_id"]).arguments = {"amount": 999}
        await office.decide(answer["request_id"])
        assert await office.settled(answer["request_id"]) == "cancelled"
        assert office.done == []


async def test_a_policy_that_would_rule_otherwise_now_withdraws_and_one_that_would_not_does_not(tmp_path):
    async with running(tmp_path) as office:
        first, second = await office.call(), await office.call(function_call_id="f2")
        path = tmp_path / "policy.yaml"
        path.write_text(path.read_text() + "- {name: another, tools: [zzz], deny: no}\n")
        office.source.policy = load_policy(path)
        await office.decide(first["request_id"])
        assert await office.settled(first["request_id"]) == "succeeded"
        path.write_text("version: 1\ndefault_ask: {group: boss}\nrules: [{name: no, deny: no}]\n")
        office.source.policy = load_policy(path)
        await office.decide(second["request_id"])
        assert await office.settled(second["request_id"]) == "cancelled"
        assert len(office.done) == 1


@pytest.mark.parametrize("junk", ["nope", "[]", '"x"', "{}", '{"by": 7, "seal": null}'])
async def test_junk_among_the_decisions_stops_nobody(tmp_path, junk):
    async with running(tmp_path) as office:
        answer = await office.call()
        with sqlite3.connect(tmp_path / "store.db") as database:
            order = "INSERT INTO tool_decisions (request_id, decision, made_at) VALUES (?, ?, 0)"
            database.execute(order, (answer["request_id"], junk))
        assert "taken" in await office.decide(answer["request_id"])
        await office.settled(answer["request_id"])
        assert await office.gates.open_decisions() == []


async def test_what_is_asked_for_after_the_call_ended_is_not_done(tmp_path):
    async with running(tmp_path) as office:
        await office.office.calls_ended(["c1"])
        for name in ("look", "pay"):
            assert "over" in (await office.call(name, function_call_id=name))["output"]
        assert office.done == []


async def test_an_outcome_that_control_could_not_tell_is_told_by_the_next_one(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        await office.decide(answer["request_id"], verdict="deny")
    async with running(tmp_path) as office:
        (told,) = (await office.office.answer("tool.state", {"call_id": "c1"}))["calls"].values()
        assert (told["state"], "NOT done" in told["output"]) == ("denied", True)
        again = await office.call()
        assert (again["request_id"], again["state"]) == (answer["request_id"], "denied")


async def test_a_worker_that_goes_away_in_the_middle_of_its_question_leaves_no_half_step(tmp_path):
    async with running(tmp_path) as office:
        await office.office.answer("tool.state", {"call_id": "c1"})
        asking = asyncio.create_task(office.call())
        for _ in range(3):
            await asyncio.sleep(0)
        asking.cancel()
        async with asyncio.timeout(GUARD_S):
            while not await office.gates.requests():  # noqa: ASYNC110  # a row
                await asyncio.sleep(0.01)
        (row,) = await office.gates.requests()
        assert "taken" in await office.decide(row.request_id)
        assert await office.settled(row.request_id) == "succeeded"
        assert len(office.done) == 1


async def test_pending_requests_are_told_about_again_after_a_restart(tmp_path):
    async with running(tmp_path) as office:
        await office.call()
    async with running(tmp_path) as office:
        await office.office.answer("tool.state", {"call_id": "c1"})
        assert office.notices == [("asked", "boss", "pay")]


async def test_a_providers_request_cannot_be_edited(tmp_path):
    async with running(tmp_path) as office:
        office.tools["pay"] = replace(office.tools["pay"], origin="provider")
        with monkeypatched_pin():
            answer = await office.call("pay", definition={"name": "pay"})
        assert "not_editable" in await office.decide(answer["request_id"], arguments={"amount": 1})
        assert await office.state(answer["request_id"]) == "pending"


@contextlib.contextmanager
def monkeypatched_pin():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.control_tools.pinned", lambda _spec, _seen: True)
        yield


def twice(*outcomes):
    """A tool that does as told: raises what is an exception, each time it is tried."""
    tries = iter(outcomes)

    @tool("x", risk="money", idempotent=True)
    def again(amount: int) -> dict:
        told = next(tries)
        if isinstance(told, Exception):
            raise told
        return {"status": "paid", "amount": amount}

    return spec_of(again)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ((ToolLostError("gone"), {}), "succeeded"),
        ((ToolLostError("gone"), ToolError("away")), "unknown"),
        ((ToolLostError("gone"), ToolLostError("gone")), "unknown"),
        ((ToolError("no"),), "failed"),
    ],
)
async def test_a_second_try_that_fails_says_nothing_of_the_first(tmp_path, outcomes, state):
    async with running(tmp_path) as office:
        office.tools["again"] = twice(*outcomes)
        answer = await office.call("again")
        await office.decide(answer["request_id"])
        assert await office.settled(answer["request_id"]) == state
        assert contradicted(await office.gates.audit(), await office.gates.states()) == []


async def test_a_tool_that_goes_between_two_tries_leaves_its_outcome_unknown(tmp_path):
    async with running(tmp_path) as office:
        spec = twice(ToolLostError("gone"))

        def vanish(arguments, context):
            del office.tools["again"]
            return spec.invoke(arguments, context)

        office.tools["again"] = replace(spec, invoke=vanish)
        answer = await office.call("again")
        await office.decide(answer["request_id"])
        assert await office.settled(answer["request_id"]) == "unknown"


async def test_a_decision_with_bytes_that_are_no_text_is_taken_and_stops_nobody(tmp_path):
    async with running(tmp_path) as office:
        first, second = await office.call(), await office.call(function_call_id="f2")
        assert "taken" in await office.decide(first["request_id"], verdict="deny", reason="no \udcfc")
        assert "already_decided" in await office.decide(first["request_id"])
        assert "taken" in await office.decide(second["request_id"])


@pytest.mark.parametrize(
    "policy",
    [
        "default_ask: {group: boss, approvers: 2}\nrules: []\n",
        "default_ask: {group: others}\nrules: []\n",
        'default_ask: {group: boss}\nrules: [{name: c, confirm: {question: "Pay {amount}, yes or no now?"}}]\n',
    ],
)
async def test_a_policy_that_asks_for_more_now_is_heard(tmp_path, policy):
    async with running(tmp_path) as office:
        answer = await office.call()
        (tmp_path / "policy.yaml").write_text("version: 1\n" + policy)
        office.source.policy = load_policy(tmp_path / "policy.yaml")
        await office.decide(answer["request_id"])
        assert await office.settled(answer["request_id"]) == "cancelled"
        assert office.done == []


async def test_an_old_row_put_back_is_not_run_again(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        with sqlite3.connect(tmp_path / "store.db") as database:
            old = database.execute("SELECT state, version, gate FROM tool_requests").fetchone()
        await office.decide(answer["request_id"])
        await office.settled(answer["request_id"])
    with sqlite3.connect(tmp_path / "store.db") as database:
        database.execute("UPDATE tool_requests SET state = ?, version = ?, gate = ?", old)
        database.execute("UPDATE tool_decisions SET answer = NULL")
    async with running(tmp_path) as office:
        assert await office.settled(answer["request_id"]) == "cancelled"
        await asyncio.sleep(0.2)
        assert office.done == []
        assert "distrusted" in [entry["type"] for entry in await office.gates.audit()]


@pytest.mark.parametrize("depth", [20, 980, 5000])
async def test_a_result_nested_without_end_is_done_and_not_shown(tmp_path, depth):
    def deep(amount: int) -> dict:
        value = amount
        for _ in range(depth):
            value = [value]
        return {"value": value}

    async with running(tmp_path) as office:
        office.tools["deep"] = spec_of(tool("x", risk="read")(deep))
        await office.call("deep")
        told = (await office.until("succeeded"))["output"]
        assert ("cannot be shown" in told) is (depth > 32)
        assert (await office.call("look", function_call_id="f2"))["request_id"]


async def test_a_row_that_cannot_be_read_is_ended_and_stops_nobody(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
    with sqlite3.connect(tmp_path / "store.db") as database:
        database.execute("UPDATE tool_requests SET gate = 'junk'")
    async with running(tmp_path) as office:
        assert (await office.call("look", call_id="c2"))["request_id"]
        assert await office.state(answer["request_id"]) == "cancelled"
        assert await office.gates.erase("c1", "root", 1.0) >= 1


async def test_a_row_that_is_not_ours_of_a_call_that_is_over_is_ended_once(tmp_path):
    async with running(tmp_path) as office:
        answer = await office.call()
        events = Script(call_id="c1").tell("call.started").tell("call.ended", by="caller", status=200).events
        await office.gates._store.write(0, events)
    with sqlite3.connect(tmp_path / "store.db") as database:
        (text,) = database.execute("SELECT gate FROM tool_requests").fetchone()
        changed = json.dumps({**json.loads(text), "reason": "changed"})
        database.execute("UPDATE tool_requests SET gate = ?", (changed,))
    async with running(tmp_path) as office:
        assert await office.settled(answer["request_id"]) == "cancelled"
        await asyncio.sleep(0.3)
        types = [entry["type"] for entry in await office.gates.audit()]
        assert types == ["requested", "distrusted"]


async def test_a_call_that_is_put_again_while_its_tool_is_away_hears_what_it_is(tmp_path):
    async with running(tmp_path) as office:
        office.release.clear()
        answer = await office.call()
        await office.decide(answer["request_id"])
        spec = office.tools.pop("pay")
        assert (await office.call())["state"] == "executing"
        office.tools["pay"] = spec
        office.release.set()
        assert await office.settled(answer["request_id"]) == "succeeded"
        assert len(office.done) == 1


async def test_a_change_whose_success_was_not_told_is_found_out(tmp_path):
    async with running(tmp_path) as office:
        first, second = await office.call(), await office.call("quick", function_call_id="f2")
        gates, save = office.office._gates, office.gates.save

        async def cut(content, version, entries, at, seen):
            saved = await save(content, version, entries, at, seen)
            if content["state"] == "executing":
                gates._store.save = save
                raise StoreError("the connection was lost after the commit")
            return saved

        gates._store.save = cut
        assert "taken" in await office.decide(first["request_id"])
        assert await office.settled(first["request_id"]) == "unknown"
        assert await office.settled(second["request_id"]) == "expired"
        assert office.done == []


def untold(office, state):
    """The store keeps a gate in `state`, once, and its answer is lost: as when the server dies after its commit."""
    gates, save = office.office._gates, office.gates.save

    async def cut(content, version, entries, at, seen):
        saved = await save(content, version, entries, at, seen)
        if content["state"] == state:
            gates._store.save = save
            raise StoreError("the connection was lost after the commit")
        return saved

    gates._store.save = cut


async def test_an_outcome_whose_storing_was_not_told_reaches_the_call(tmp_path):
    async with running(tmp_path) as office:
        first = await office.call()
        untold(office, "succeeded")
        assert "taken" in await office.decide(first["request_id"])
        assert (await office.until("succeeded"))["output"]
        await asyncio.sleep(0.3)  # and it is not told a second time, as something that came late
        assert "told_late" not in [entry["type"] for entry in await office.gates.audit()]
        assert len(office.done) == 1


async def test_a_decision_whose_storing_was_not_told_counts_once_and_holds_up_no_other(tmp_path):
    async with running(tmp_path) as office:
        first, second = await office.call(), await office.call(function_call_id="f2")
        untold(office, "approved")
        assert "taken" in await office.decide(first["request_id"])
        assert "taken" in await office.decide(second["request_id"], verdict="deny")
        assert await office.settled(first["request_id"]) == "succeeded"
        assert len(office.done) == 1


async def test_a_denial_whose_storing_was_not_told_reaches_the_call(tmp_path):
    async with running(tmp_path) as office:
        first = await office.call()
        untold(office, "denied")
        assert "taken" in await office.decide(first["request_id"], verdict="deny")
        assert (await office.until("denied"))["output"]


@pytest.mark.parametrize(("name", "state"), [("pay", "pending"), ("look", "approved")])
async def test_a_request_whose_storing_was_not_told_is_not_run_after_the_call_was_told_so(
    tmp_path, name, state
):
    async with running(tmp_path) as office:
        untold(office, state)
        with pytest.raises(StoreError):
            await office.call(name)
        (row,) = await office.gates.of_call("c1")
        assert await office.settled(row.request_id) == "cancelled"
        assert office.done == []


async def test_a_lock_lasts_while_somebody_holds_it_and_no_longer(tmp_path):
    """What ends late (a question, a tool) locks its request once more after it was forgotten: hours of that add up."""
    async with running(tmp_path) as office:
        await office.call()
        gates, (gate,) = Gates(office.gates, KEY), await Gates(office.gates, KEY).stored("c1")
        gates.add(gate)
        async with gates.lock(gate):
            gates.forget(gate)
            assert gates.lock(gate).locked()
        known = weakref.ref(gates.lock(gate))
        assert known() is None
