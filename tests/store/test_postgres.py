import asyncio
import time

import pytest
import sqlalchemy as sa

from bridge.errors import StoreAwayError, StoreError
from bridge.store.database import DatabaseOptions, lock
from bridge.store.store import Store
from tests.fakes.postgres import Cluster


async def test_a_database_that_does_not_answer_is_away_and_not_waited_for(cluster):
    url = cluster.fresh()
    async with Store(url, options=DatabaseOptions(deadline_s=1.0)) as store:
        with pytest.raises(StoreAwayError, match="within 1 s"):
            await store.transaction("sleep", lambda it: it.execute(sa.text("SELECT pg_sleep(5)")))
        assert await store.recent(1) == []


async def test_a_wrong_name_of_the_database_is_no_reason_to_wait(cluster):
    with pytest.raises(StoreError, match='database "nowhere" does not exist') as caught:
        await Store(cluster.url("nowhere"), patient=True).__aenter__()
    assert not isinstance(caught.value, StoreAwayError)


async def test_the_victim_of_a_deadlock_is_tried_again(cluster):
    url = cluster.fresh()
    async with Store(url) as store:
        tries = []

        def crossing(first, second):
            def work(connection):
                tries.append(first)
                lock(connection, first)
                if len(tries) <= 2:
                    time.sleep(0.3)  # on the store's thread: only so both hold their first lock
                lock(connection, second)
                return first

            return work

        async with Store(url) as other:
            done = await asyncio.gather(
                store.transaction("cross", crossing("a", "b")), other.transaction("cross", crossing("b", "a"))
            )
        assert done == ["a", "b"]
        assert len(tries) == 3


async def test_a_server_that_was_killed_is_told_as_away_and_used_again_when_it_is_back():
    server = Cluster()
    try:
        server.start()
        url = server.fresh()
        async with Store(url) as store:
            assert await store.recent(1) == []
            server.kill()
            with pytest.raises(StoreAwayError):
                await store.recent(1)
            server.start()
            assert await store.recent(1) == []
    finally:
        server.close()


async def test_a_server_that_stands_still_is_away_after_the_deadline_and_used_again_afterwards():
    """A machine that swaps, a network that swallows: the connection stays open and nothing comes."""
    server = Cluster()
    try:
        server.start()
        url = server.fresh()
        async with Store(url, options=DatabaseOptions(connect_s=5.0, deadline_s=2.0)) as store:
            assert await store.recent(1) == []
            server.freeze()
            with pytest.raises(StoreAwayError, match="not answered"):
                await store.recent(1)
            server.freeze(frozen=False)
            assert await store.recent(1) == []
    finally:
        server.close()


async def test_more_transactions_than_connections_wait_their_turn(cluster):
    url = cluster.fresh()
    async with Store(url, options=DatabaseOptions(connections=2)) as store:
        naps = [
            store.transaction("nap", lambda it: it.execute(sa.text("SELECT pg_sleep(0.02)")))
            for _ in range(9)
        ]
        await asyncio.gather(*naps)
