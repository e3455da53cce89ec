import asyncio
import contextlib
import time

from bridge.store.database import notify
from bridge.store.listen import CHECK_S, CONNECTED, Listener
from bridge.store.store import Store
from tests.fakes.postgres import Cluster

GUARD_S = 10


@contextlib.asynccontextmanager
async def hearing(url):
    words = asyncio.Queue()
    listener = Listener(url, lambda topic, data: words.put_nowait((topic, data, time.monotonic())))
    task = asyncio.create_task(listener.run())
    try:
        yield listener, words
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def following(words, topic):
    async with asyncio.timeout(GUARD_S):
        while (found := await words.get())[0] != topic:
            pass
    return found


async def test_a_word_is_heard_when_it_is_committed_and_not_at_the_next_look(cluster):
    url = cluster.fresh()
    async with Store(url) as store, hearing(url) as (listener, words):
        await following(words, CONNECTED)
        assert listener.listening
        waits = []
        for number in range(5):
            await store.transaction("tell", lambda it, n=number: notify(it, "decision", id=n))
            at = time.monotonic()
            _, data, heard_at = await following(words, "decision")
            assert data["id"] == number
            waits.append(heard_at - at)
        assert sorted(waits)[2] < CHECK_S / 5


async def test_what_was_not_committed_is_not_heard(cluster):
    url = cluster.fresh()
    async with Store(url) as store, hearing(url) as (_, words):
        await following(words, CONNECTED)

        def work(connection):
            notify(connection, "decision", id=1)
            raise ZeroDivisionError

        with contextlib.suppress(ZeroDivisionError):
            await store.transaction("fail", work)
        await store.transaction("tell", lambda it: notify(it, "decision", id=2))
        assert (await following(words, "decision"))[1]["id"] == 2


async def test_a_cut_connection_comes_back_by_itself_and_says_so():
    server = Cluster()
    try:
        server.start()
        url = server.fresh()
        async with hearing(url) as (listener, words):
            await following(words, CONNECTED)
            server.kill()
            async with asyncio.timeout(GUARD_S):
                while listener.listening:  # noqa: ASYNC110  # no event tells it
                    await asyncio.sleep(0.02)
            server.start()
            await following(words, CONNECTED)
            async with Store(url) as store:
                await store.transaction("tell", lambda it: notify(it, "nodes"))
                await following(words, "nodes")
    finally:
        server.close()


async def test_nothing_is_heard_of_a_database_that_tells_nothing(tmp_path):
    await Listener(f"sqlite:///{tmp_path}/x.db", lambda *_: None).run()


async def test_strange_payloads_are_passed_over(cluster):
    url = cluster.fresh()
    async with Store(url) as store, hearing(url) as (_, words):
        await following(words, CONNECTED)
        for text in ("no json", "[1]", '{"topic": "nodes"}'):
            await store.transaction("tell", lambda it, t=text: it.exec_driver_sql(f"NOTIFY sipbridge, '{t}'"))
        await following(words, "nodes")
