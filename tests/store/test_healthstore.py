import pytest
import sqlalchemy as sa

from bridge.store.healthstore import MAX_CHARS, HealthStore
from bridge.store.nodestore import Card, NodeStore
from bridge.store.store import Store
from bridge.store.tables import node_health


@pytest.fixture
async def store(database):
    async with Store(database) as opened:
        yield opened


async def test_the_last_word_of_each_node_is_kept_with_its_age(store):
    health = HealthStore(store)
    assert await health.tell("b", {"pending": 1})
    assert await health.tell("a", {})
    assert await health.tell("b", {"pending": 2})
    older = sa.update(node_health).where(node_health.c.name == "b")
    await store.transaction("age", lambda it: it.execute(older.values(told_at=node_health.c.told_at - 40)))
    first, second = await health.told()
    assert (first.name, second.name, second.facts) == ("a", "b", {"pending": 2})
    assert first.age_s < 20
    assert second.age_s >= 40


async def test_a_word_that_is_too_long_is_not_kept_and_one_that_is_no_object_says_nothing(store):
    health = HealthStore(store)
    assert not await health.tell("a", {"x": "y" * MAX_CHARS})
    assert await health.told() == []
    await health.tell("a", {})
    await store.transaction("break", lambda it: it.execute(sa.update(node_health).values(facts="[1]")))
    assert [one.facts for one in await health.told()] == [{}]


async def test_a_node_that_is_forgotten_leaves_no_word(store):
    health, them = HealthStore(store), NodeStore(store)
    epoch = await them.join(Card("a", "m", "10.0.0.1", "1", "key"), 5.0)
    await them.leave("a", epoch)
    await health.tell("a", {})
    assert await them.forget("a", 0.0)
    assert await health.told() == []
