import pytest

from bridge.approval.chain import broken
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.store import Store


@pytest.fixture
async def gates(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        yield GateStore(store)


def gate(request_id="r1", state="pending", function_call_id="f1"):
    request = {
        "request_id": request_id,
        "call_id": "c1",
        "function_call_id": function_call_id,
        "tool": "refund",
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
