import asyncio

import pytest

from bridge.control_events import EventWatch
from bridge.store.eventstore import EventStore, Position
from bridge.store.store import Store
from tests.fakes.events import conversation


@pytest.fixture
async def store(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as found:
        yield found


async def test_whoever_waits_is_told_how_far_can_be_read(store):
    watch = EventWatch(EventStore(store))
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(10), watch.watched():
        first = await watch.news(None, 5.0)
        events = conversation()
        await store.write(0, events)
        second = await watch.news(first, 5.0)
        assert (first.calls, second.calls) == (0, len(events))
        assert await watch.news(second, 0.01) == second
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert watch.closed


async def test_who_is_behind_has_everything_since_looked_through(store):
    await store.write(0, conversation())
    watch = EventWatch(EventStore(store))
    watch.begin(Position(3))
    await watch.look()
    assert watch.position.calls == len(conversation())


async def test_when_events_were_forgotten_it_begins_anew(store):
    import sqlalchemy as sa

    from bridge.store.tables import call_events

    watch = EventWatch(EventStore(store))
    await store.write(0, conversation())
    await watch.look()
    await store.transaction("erase", lambda it: it.execute(sa.delete(call_events)))
    await watch.look()
    assert watch.position == Position(0, 0)


async def test_a_number_is_waited_for_longer_than_a_transaction_may_take(tmp_path):
    """What a slow one commits late is told, whatever the settings let it take."""

    class Shared:
        shared = True
        seen = (1, 3)

        async def head(self):
            return Position(3, 0)

        async def numbers(self, after, limit):
            return [one for one in self.seen if one > after][:limit]

    now, store = [0.0], Shared()
    watch = EventWatch(store, lambda: now[0], deadline_s=60.0)
    watch.begin(Position())
    await watch.look()
    now[0] = 60.0
    await watch.look()
    assert watch.position.calls == 1
    store.seen = (1, 2, 3)
    await watch.look()
    assert watch.position.calls == 3
