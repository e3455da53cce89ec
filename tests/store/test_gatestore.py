import asyncio

import pytest
import sqlalchemy as sa

from bridge.approval.chain import broken
from bridge.approval.tally import Past
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.store import Store


@pytest.fixture
async def gates(database):
    async with Store(database) as store:
        yield GateStore(store)


def gate(request_id="r1", state="pending", function_call_id="f1"):
    request = {
        "request_id": request_id,
        "call_id": "c1",
        "function_call_id": function_call_id,
        "tool": "refund",
        "caller": {"number": "+491"},
    }
    return {"request": request, "state": state, "binding": "b"}


ASKED = [NewAudit("requested", "model", {"rule": "a"})]


async def test_a_request_and_its_audit_are_kept_together(gates):
    assert await gates.save(gate(), 0, ASKED, 10.0) == 1
    assert await gates.save(gate(state="approved"), 1, [NewAudit("approved", "anna", {})], 11.0) == 2
    (row,) = await gates.requests()
    assert (row.state, row.version, row.created_at, row.updated_at) == ("approved", 2, 10.0, 11.0)
    entries = await gates.audit()
    assert [(entry["seq"], entry["type"], entry["actor"]) for entry in entries] == [
        (1, "requested", "model"),
        (2, "approved", "anna"),
    ]
    assert broken(entries) == []


async def test_a_change_of_an_older_version_is_refused_and_leaves_no_trace(gates):
    await gates.save(gate(), 0, ASKED, 10.0)
    await gates.save(gate(state="approved"), 1, [], 11.0)
    with pytest.raises(StoreError, match="another process"):
        await gates.save(gate(state="denied"), 1, ASKED, 12.0)
    assert (await gates.requests())[0].state == "approved"
    assert len(await gates.audit()) == 1


async def test_the_same_function_call_is_kept_once(gates):
    await gates.save(gate(), 0, [], 10.0)
    with pytest.raises(StoreError):
        await gates.save(gate("r2"), 0, [], 10.0)


async def test_requests_are_found_by_state_and_by_the_beginning_of_their_id(gates):
    await gates.save(gate("abc1", "pending", "f1"), 0, [], 1.0)
    await gates.save(gate("abd2", "denied", "f2"), 0, [], 2.0)
    assert [row.request_id for row in await gates.requests()] == ["abd2", "abc1"]
    assert [row.request_id for row in await gates.requests(["pending"])] == ["abc1"]
    assert [row.request_id for row in await gates.find("abc")] == ["abc1"]
    assert len(await gates.find("ab")) == 2


async def test_a_decision_waits_until_it_is_answered(gates):
    number = await gates.decide("r1", {"verdict": "approve"})
    assert await gates.open_decisions() == [(number, "r1", {"verdict": "approve"})]
    assert await gates.answered(number) is None
    await gates.answer(number, "taken")
    assert await gates.open_decisions() == []
    assert await gates.answered(number) == "taken"
    assert await gates.answered(99) is None


def past(call_id="c1", caller="+491", at=100.0):
    return Past("refund", call_id, caller, "requested", {}, at)


def asked(request_id, call_id="c1", caller="+491", amount=1):
    made = gate(request_id, "pending", f"f{request_id}")
    made["request"] |= {"call_id": call_id, "caller": {"number": caller}}
    return {**made, "arguments": {"amount": amount}}


async def test_what_was_asked_before_is_found_by_call_caller_and_day(gates):
    await gates.save(asked("r1"), 0, [], 10.0)
    await gates.save(asked("r2", "c2"), 0, [], 60.0)
    await gates.save(asked("r3", "c3", "+492"), 0, [], 70.0)
    found, cut = await gates.past(past(), 50.0)
    assert sorted((one.call_id, one.at) for one in found) == [("c1", 10.0), ("c2", 60.0), ("c3", 70.0)]
    assert cut == frozenset()
    found, _ = await gates.past(past("c9", ""), 65.0)
    assert [one.call_id for one in found] == ["c3"]
    found, _ = await gates.past(past(), 50.0, "r1")
    assert "c1" not in [one.call_id for one in found]


async def test_more_than_can_be_counted_is_said_and_a_call_of_its_own_is_still_whole(gates, monkeypatch):
    monkeypatch.setattr("bridge.store.gatestore.MAX_HISTORY", 3)
    await gates.save(asked("r0", "mine", amount=90), 0, [], 10.0)
    for number in range(1, 6):
        await gates.save(asked(f"r{number}", f"c{number}"), 0, [], 50.0 + number)
    found, cut = await gates.past(past("mine"), 50.0)
    assert cut == {"day", "caller"}
    assert [one.arguments for one in found if one.call_id == "mine"] == [{"amount": 90}]


@pytest.mark.parametrize("junk", ["nope", "[]", '"x"', '{"a":', "7"])
async def test_a_row_that_is_no_json_object_stops_nobody(gates, junk):
    await gates.save(asked("r1"), 0, [], 10.0)
    await gates.decide("r1", {"by": "anna"})
    for table, column in (("tool_requests", "gate"), ("tool_decisions", "decision")):
        order = sa.text(f"UPDATE {table} SET {column} = :junk")
        await gates._store.transaction("", lambda it, order=order: it.execute(order, {"junk": junk}))
    ((_, request_id, words),) = await gates.open_decisions()
    assert (request_id, words) == ("r1", {})
    assert [row.gate for row in await gates.requests()] == [{}]
    assert await gates.past(past(), 0.0) == ([], {"call", "day", "caller"})


async def test_the_chain_of_two_controls_that_write_at_once_is_one_chain(cluster):
    url = cluster.fresh()
    async with Store(url) as one, Store(url) as two:
        gates = [GateStore(one), GateStore(two)]
        notes = [
            gates[n % 2].note(NewAudit("noted", f"node-{n % 2}", {"n": n}), "r1", float(n)) for n in range(40)
        ]
        new = [gates[n % 2].save(gate(f"r{n}", function_call_id=f"f{n}"), 0, ASKED, 1.0) for n in range(10)]
        await asyncio.gather(*notes, *new)
        entries = await gates[0].audit()
        assert len(entries) == 50
        assert broken(entries) == []


async def test_of_two_controls_that_carry_one_request_on_one_is_in_time(cluster):
    url = cluster.fresh()
    async with Store(url) as one, Store(url) as two:
        gates = [GateStore(one), GateStore(two)]
        await gates[0].save(gate(), 0, ASKED, 1.0)
        claims = [gates[n % 2].save(gate(state="executing"), 1, ASKED, 2.0) for n in range(8)]
        done = await asyncio.gather(*claims, return_exceptions=True)
        assert [result for result in done if not isinstance(result, StoreError)] == [2]
        assert len(await gates[0].audit()) == 2
