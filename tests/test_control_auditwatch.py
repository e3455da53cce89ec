"""A broken audit chain is found out a few entries at a time, in a real store; how far was looked is known."""

import time

import sqlalchemy as sa

from bridge.control_auditwatch import STEP, AuditWatch
from bridge.store.auditstore import AuditStore
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.store import Store
from bridge.store.tables import audit_entries
from tests.fakes import databases
from tests.fakes import office as offices


async def test_a_whole_chain_is_fine_and_an_edit_or_a_cut_is_named(tmp_path):
    async with offices.running(tmp_path) as office:
        await office.call()
        store = office.store
        assert isinstance(store, Store)
        watch = AuditWatch(AuditStore(store))
        assert await watch.step() == ""
        assert await watch.step() == ""
        edited = sa.update(audit_entries).where(audit_entries.c.seq == 1).values(actor="somebody else")
        await store.transaction("test", lambda it: it.execute(edited))
        fresh = AuditWatch(AuditStore(store))
        assert await fresh.step() == "entry 1 was edited"
        assert await fresh.step() == "entry 1 was edited", "it is said until control is started again"
        await store.transaction("test", lambda it: it.execute(sa.delete(audit_entries)))
        assert await watch.step() == "entries 1 to 1 are gone"


async def test_it_is_known_how_far_and_when_the_chain_was_looked_at(tmp_path):
    async with Store(databases.migrated(f"{tmp_path}/s.db")) as store:
        gates = GateStore(store)
        for number in range(STEP + 2):
            await gates.note(NewAudit("held", "anna", {"n": number}), "", 1.0)
        began = time.time()
        watch = AuditWatch(AuditStore(store))
        assert (watch.chain.to, watch.chain.at) == (0, 0.0)
        await watch.step()
        first = watch.chain
        assert (first.to, first.problem) == (STEP, "")
        assert began <= first.since <= first.at <= time.time()
        await watch.step()
        await watch.step()
        assert (watch.chain.to, watch.chain.since) == (STEP + 2, first.since)
        assert watch.chain.at >= first.at
