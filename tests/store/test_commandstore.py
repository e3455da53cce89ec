import asyncio

import pytest
import sqlalchemy as sa

from bridge.store.commandstore import CommandStore
from bridge.store.store import Store
from bridge.store.tables import node_commands


@pytest.fixture
async def both(database):
    async with Store(database, node="a") as one, Store(database, node="b") as two:
        yield CommandStore(one), CommandStore(two), one


async def test_a_command_is_claimed_once_by_the_node_it_is_for_and_its_answer_comes_back(both):
    here, there, store = both
    number = await here.ask("b", "c1", "hang_up", {"reason": "x"}, 10)
    assert await here.claim() == []
    (errand,) = await there.claim()
    assert (errand.number, errand.origin, errand.call_id, errand.kind) == (number, "a", "c1", "hang_up")
    assert errand.data == {"reason": "x"}
    assert 5 < errand.left_s <= 10
    assert await there.claim() == []
    assert await here.answer_of(number) == (True, None)
    assert not await here.withdraw(number)
    await there.answer(number, {"ok": True})
    assert await here.answer_of(number) == (True, {"ok": True})
    left = await store.transaction(
        "look", lambda it: it.execute(sa.select(node_commands.c.data)).scalar_one()
    )
    assert left == "{}", "what it said is kept no longer"


async def test_what_nobody_waits_for_any_more_is_never_begun(both):
    here, there, store = both
    late = await here.ask("b", "c1", "hang_up", {}, 10)
    old = sa.update(node_commands).values(expires_at=1.0)
    await store.transaction("age", lambda it: it.execute(old))
    withdrawn = await here.ask("b", "c1", "hang_up", {}, 10)
    assert await here.withdraw(withdrawn)
    assert await there.claim() == []
    assert await here.answer_of(late) == (False, None)
    assert await here.answer_of(withdrawn) == (False, None)


async def test_old_commands_are_forgotten(both):
    here, _, store = both
    first = await here.ask("b", "c1", "hang_up", {}, 10)
    await store.transaction("age", lambda it: it.execute(sa.update(node_commands).values(created_at=1.0)))
    second = await here.ask("b", "c1", "hang_up", {}, 10)
    rows = await store.transaction(
        "look", lambda it: it.execute(sa.select(node_commands.c.id)).scalars().all()
    )
    assert rows == [second]
    assert first != second


async def test_two_who_claim_at_once_share_the_commands(cluster):
    url = cluster.fresh()
    async with Store(url, node="b") as one, Store(url, node="b") as two, Store(url, node="a") as asker:
        numbers = {await CommandStore(asker).ask("b", "c", "hang_up", {}, 10) for _ in range(30)}
        claimed = await asyncio.gather(*(CommandStore(store).claim() for store in (one, two) * 3))
        found = [errand.number for errands in claimed for errand in errands]
        assert sorted(found) == sorted(numbers)
