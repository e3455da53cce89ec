"""A broken audit chain is found out a few entries at a time, in a real store."""

import sqlalchemy as sa

from bridge.control_auditwatch import AuditWatch
from bridge.store.daystore import DayStore
from bridge.store.store import Store
from bridge.store.tables import audit_entries
from tests.fakes import office as offices


async def test_a_whole_chain_is_fine_and_an_edit_or_a_cut_is_named(tmp_path):
    async with offices.running(tmp_path) as office:
        await office.call()
        store = office.store
        assert isinstance(store, Store)
        watch = AuditWatch(DayStore(store))
        assert await watch.step() == ""
        assert await watch.step() == ""
        edited = sa.update(audit_entries).where(audit_entries.c.seq == 1).values(actor="somebody else")
        await store.transaction("test", lambda it: it.execute(edited))
        fresh = AuditWatch(DayStore(store))
        assert await fresh.step() == "entry 1 was edited"
        assert await fresh.step() == "entry 1 was edited", "it is said until control is started again"
        await store.transaction("test", lambda it: it.execute(sa.delete(audit_entries)))
        assert await watch.step() == "entries 1 to 1 are gone"
