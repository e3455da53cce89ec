import asyncio

import pytest
import sqlalchemy as sa

from bridge.errors import StoreError
from bridge.store.store import Store
from tests.fakes.events import conversation


async def set_revision(store, revision, works_from):
    def work(connection):
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
        connection.execute(sa.text("UPDATE schema_state SET works_from = :it"), {"it": works_from})

    await store.transaction("set", work)


async def test_a_database_of_a_newer_version_is_refused(database):
    async with Store(database) as store:
        await set_revision(store, "9999", "9998")
    with pytest.raises(StoreError, match="9999, which this version"):
        await Store(database).__aenter__()


async def test_a_newer_database_that_this_version_may_still_use_is_used(database):
    """The first new node of a rolling upgrade migrates; the old ones must be able to start again meanwhile."""
    async with Store(database) as store:
        await set_revision(store, "9999", "0008")
    async with Store(database) as store:
        assert await store.write(0, conversation()) == len(conversation())


async def test_two_that_begin_at_once_migrate_once(cluster):
    url = cluster.empty()
    async with Store(url) as one, Store(url) as two:
        assert await asyncio.gather(one.recent(1), two.recent(1)) == [[], []]
