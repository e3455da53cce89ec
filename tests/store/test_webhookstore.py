from dataclasses import replace

import pytest

from bridge.store.eventstore import Position
from bridge.store.store import Store
from bridge.store.webhookstore import Item, WebhookStore


@pytest.fixture
async def hooks(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/x.db") as store:
        found = WebhookStore(store)
        await found.settle(["crm", "log"], Position(10, 3))
        yield found


def items(*numbers, call_id="c1"):
    return [Item("c", number, "call.started", call_id) for number in numbers]


async def take_up(hooks, name, to, taken, most=100):
    (endpoint,) = [one for one in await hooks.endpoints() if one.name == name]
    return await hooks.take_up(name, (endpoint.place, Position(to, 3)), taken, 0, most)


async def test_every_database_keeps_webhooks(database):
    async with Store(database) as store:
        hooks = WebhookStore(store)
        await hooks.settle(["crm"], Position(2**40, 3))
        assert await hooks.add("crm", Item("t", 2**45, "test", "")) > 0
        (due,) = await hooks.due("crm", 5)
        await hooks.settle_one(replace(due, state="delivered", tries=1, status=200), 0.0, 0) if not (
            store.shared
        ) else None
        assert await hooks.counts() == {("crm", "pending" if store.shared else "delivered"): 1}
        assert await hooks.prune() == 0


async def test_a_new_endpoint_begins_now_and_one_that_is_gone_leaves_nothing(hooks):
    assert [(one.name, one.place) for one in await hooks.endpoints()] == [
        ("crm", Position(10, 3)),
        ("log", Position(10, 3)),
    ]
    await take_up(hooks, "crm", 12, items(11, 12))
    keys = [one.key for one in await hooks.endpoints()]
    await hooks.settle(["log", "new"], Position(20, 3))
    assert [(one.name, one.place.calls) for one in await hooks.endpoints()] == [("log", 10), ("new", 20)]
    assert await hooks.counts() == {}
    assert (await hooks.endpoints())[0].key == keys[1]


async def test_each_event_is_taken_up_once_whoever_comes_second(hooks):
    span = (Position(10, 3), Position(12, 3))
    await hooks.take_up("crm", span, items(11, 12), 0, 100)
    await hooks.take_up("crm", span, items(11, 12), 0, 100)
    assert len(await hooks.deliveries("crm")) == 2
    assert (await hooks.endpoints())[0].place == Position(12, 3)


async def test_of_one_call_only_the_oldest_is_due(hooks):
    await take_up(hooks, "crm", 14, [*items(11, 12), *items(13, call_id="c2"), *items(14)])
    due = await hooks.due("crm", 10)
    assert [one.number for one in due] == [11, 13]
    await hooks.settle_one(replace(due[0], tries=1, error="no"), 60.0, 0)  # it waits, and its call with it
    assert [one.number for one in await hooks.due("crm", 10)] == [13]
    await hooks.settle_one(replace(due[0], state="parked", tries=9, error="no"), 0.0, 0)
    assert [one.number for one in await hooks.due("crm", 10)] == [12, 13]
    assert await hooks.due("log", 10) == []


async def test_a_test_is_due_first_and_waits_for_nothing(hooks):
    await take_up(hooks, "crm", 12, items(11, 12))
    await hooks.add("crm", Item("t", 5, "test", ""))
    assert [one.type for one in await hooks.due("crm", 1)] == ["test"]


async def test_when_it_is_full_the_oldest_are_parked(hooks):
    assert await take_up(hooks, "crm", 16, items(11, 12, 13, 14, 15, 16), most=4) == 2
    parked = await hooks.deliveries("crm", "parked")
    assert [one.number for one in parked] == [12, 11]
    assert "4 waited" in parked[0].error
    assert len(await hooks.deliveries("crm", "pending")) == 4


async def test_what_is_parked_or_delivered_can_be_sent_again(hooks):
    await take_up(hooks, "crm", 11, items(11))
    (one,) = await hooks.due("crm", 1)
    assert not await hooks.again(one.delivery_id)  # it is on its way
    assert await hooks.park("crm", "because", 0) == 1
    assert await hooks.due("crm", 1) == []
    assert await hooks.again(one.delivery_id)
    assert not await hooks.again(999)
    (fresh,) = await hooks.due("crm", 1)
    assert (fresh.tries, fresh.state) == (0, "pending")


async def test_only_what_waits_for_long_is_parked_when_so_asked(hooks):
    await take_up(hooks, "crm", 11, items(11))
    assert await hooks.park("crm", "old", 0, older_s=3600.0) == 0
    assert await hooks.park("crm", "old", 0) == 1


async def test_how_an_endpoint_fares_is_kept_and_forgotten_when_it_is_enabled(hooks):
    (crm, _) = await hooks.endpoints()
    await hooks.keep(replace(crm, failing_since=5.0, failures=3, disabled_at=9.0, error="x" * 999), 0)
    (crm, _) = await hooks.endpoints()
    assert (crm.failing_since, crm.failures, crm.disabled_at, len(crm.error)) == (5.0, 3, 9.0, 300)
    assert await hooks.enable("crm")
    (crm, _) = await hooks.endpoints()
    assert (crm.failing_since, crm.failures, crm.disabled_at, crm.error) == (None, 0, None, "")
    assert not await hooks.enable("nobody")


async def test_without_the_lease_nothing_is_written(cluster):
    from bridge.errors import StoreError

    async with Store(cluster.fresh(), node="a") as store:
        hooks = WebhookStore(store)
        await hooks.settle(["crm"], Position())
        with pytest.raises(StoreError, match="another node has the lease webhooks"):
            await hooks.take_up("crm", (Position(), Position(5, 0)), items(5), 7, 100)
        assert await hooks.deliveries() == []
