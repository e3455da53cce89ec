"""The one way of a decision to the gate."""

import pytest

from bridge.approval.signing import sealed
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from bridge.verdicts import TAKEN, Verdict, leave
from tests.fakes import office as offices

GUARD_S = 5.0
YES = Verdict(verdict="approve", by="anna", via="console", binding="")


async def test_a_verdict_comes_to_the_gate_sealed_and_its_answer_comes_back(tmp_path):
    async with offices.running(tmp_path) as office:
        opened = await office.call()
        (row,) = await office.gates.find(opened["request_id"])
        yes = Verdict("approve", "anna", "console", row.gate["binding"], reason="fine")
        answer = await leave(office.gates, offices.KEY, row.request_id, yes, GUARD_S)
        assert answer.startswith(TAKEN)
        again = await leave(office.gates, offices.KEY, row.request_id, yes, GUARD_S)
        assert again.startswith("refused: already_decided: ")


async def test_without_the_right_key_it_is_a_forgery(tmp_path):
    async with offices.running(tmp_path) as office:
        opened = await office.call()
        assert (await leave(office.gates, b"x", opened["request_id"], YES, GUARD_S)).startswith(
            "refused: forged: "
        )


async def test_when_nobody_looks_that_is_said_and_what_was_left_has_its_seal(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/x.db") as store:
        gates = GateStore(store)
        with pytest.raises(StoreError, match="it may still count"):
            await leave(gates, b"k", "r1", YES, within_s=0.01)
        ((_, request_id, words),) = await gates.open_decisions()
        assert (request_id, words["by"], "arguments" in words) == ("r1", "anna", False)
        assert sealed(b"k", "r1", words)
