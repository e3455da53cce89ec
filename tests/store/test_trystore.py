"""Wrong tries are counted once, for all nodes, and give nobody's name away. On both databases."""

import asyncio

import sqlalchemy as sa

from bridge.store import trystore
from bridge.store.store import Store
from bridge.store.tables import console_tries
from bridge.store.trystore import TryStore
from tests.fakes.stores import another

FORGET_S = 1800.0


def rule(failures, _now):
    return 30.0 if max(count for count, _ in failures.values()) >= 3 else 0.0


async def test_a_try_counts_when_it_begins_so_that_many_at_once_are_not_all_the_last(database):
    async with Store(database) as store, another(store, database) as other:
        stores = [TryStore(store, FORGET_S), TryStore(other, FORGET_S)]
        tries = [stores[number % 2].begin(["name anna"], rule, 1000.0) for number in range(10)]
        assert sorted(await asyncio.gather(*tries)) == [0.0] * 3 + [30.0] * 7


async def test_a_right_one_forgets_the_name_and_takes_back_its_own_of_the_address(database):
    async with Store(database) as store:
        tries = TryStore(store, FORGET_S)
        for _ in range(3):
            assert await tries.begin(["name anna", "address here"], rule, 1000.0) == 0
            await tries.right(["name anna"], ["address here"])
        assert await tries.begin(["name bert", "address here"], rule, 1000.0) == 0
        assert await tries.begin(["name bert", "address here"], rule, 1000.0) == 0
        await tries.right(["name bert"], ["address here"])
        assert await tries.begin(["address here"], rule, 1000.0) == 0, (
            "two were wrong, the third is looked at"
        )
        assert await tries.begin(["address here"], rule, 1000.0) == 0
        assert await tries.begin(["address here"], rule, 1000.0) == 30


async def test_old_ones_are_forgotten_and_what_is_kept_is_bounded(database, monkeypatch):
    monkeypatch.setattr(trystore, "MAX_KEPT", 5)
    async with Store(database) as store:
        tries = TryStore(store, FORGET_S)
        for _ in range(3):
            await tries.begin(["name anna"], rule, 1000.0)
        assert await tries.begin(["name anna"], rule, 1000.0 + FORGET_S) == 30
        assert await tries.begin(["name anna"], rule, 1001.0 + FORGET_S) == 0
        for number in range(20):
            await tries.begin([f"name {number}"], rule, 3000.0 + number)
        rows = await store.transaction("read", lambda it: it.execute(sa.select(console_tries)).all())
        assert len(rows) == 5
        assert "anna" not in str(rows)
