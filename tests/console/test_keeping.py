"""Legal holds: one at a time, for the reason it was set, and both ends in the audit."""

import pytest

from bridge.approval.signing import Signer
from bridge.console.deeds import Deeds
from bridge.console.keeping import Keeping
from bridge.errors import StoreError, StoreRefusedError
from bridge.store.gatestore import GateStore
from bridge.store.keepstore import Hold, KeepStore
from bridge.store.store import Store
from tests.fakes import databases
from tests.fakes.events import conversation


async def test_a_hold_is_set_once_lifted_once_and_both_are_audited_with_the_call(tmp_path):
    async with Store(databases.migrated(f"{tmp_path}/s.db")) as store:
        await store.write(0, conversation(call_id="c1"))
        gates, keep = GateStore(store, Signer(tmp_path / "keys")), KeepStore(store)
        keeping = Keeping(keep, Deeds(gates))
        assert await keeping.of("c1") is None
        assert await keeping.hold("c1", "case 7", "anna", "console")
        assert not await keeping.hold("c1", "another", "bert", "api")
        hold = await keeping.of("c1")
        assert (hold.by, hold.reason, await keeping.all()) == ("anna", "case 7", [hold])
        assert await keeping.release("c1", "bert", "api")
        assert not await keeping.release("c1", "bert", "api")
        assert (await keeping.of("c1"), await keeping.all()) == (None, [])
        told = [(one["type"], one["actor"], one["facts"]) for one in await gates.audit("c1")]
        assert told == [("held", "anna", {"via": "console"}), ("released", "bert", {"via": "api"})]


async def test_a_call_that_is_not_there_is_not_held_and_nothing_is_audited(tmp_path):
    async with Store(databases.migrated(f"{tmp_path}/s.db")) as store:
        gates = GateStore(store, Signer(tmp_path / "keys"))
        with pytest.raises(StoreRefusedError, match="no call nowhere"):
            await Keeping(KeepStore(store), Deeds(gates)).hold("nowhere", "x", "anna", "api")
        assert await gates.audit() == []


async def test_a_hold_whose_end_cannot_be_audited_stays(tmp_path):
    class Full:
        async def note(self, *_entry):
            raise StoreError("cannot keep an audit entry: the disk is full")

    async with Store(databases.migrated(f"{tmp_path}/s.db")) as store:
        await store.write(0, conversation(call_id="c1"))
        keep = KeepStore(store)
        await keep.hold(Hold("c1", "case 7", "anna", 1.0))
        with pytest.raises(StoreError, match="the disk is full"):
            await Keeping(keep, Deeds(Full())).release("c1", "bert", "api")
        assert await keep.hold_of("c1")
