"""Who waits is woken, who is late looks at what there is, and looks are shared."""

import asyncio

import pytest

from bridge.bell import Bell, Looks, Watchers


async def test_everybody_who_waits_is_woken_and_nothing_is_queued():
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait(0, 5)) for _ in range(2)]
    await asyncio.sleep(0)
    bell.ring()
    bell.ring()
    assert await asyncio.gather(*waiting) == [2, 2]
    assert await bell.wait(0, 5) == 2


async def test_who_hears_nothing_in_time_gets_what_they_knew():
    assert await Bell().wait(0, 0.01) == 0


async def test_those_who_come_while_one_looks_share_the_next_look():
    looks, begun, go = Looks(), [], asyncio.Event()

    async def look():
        begun.append(1)
        await go.wait()

    tasks = [asyncio.create_task(looks.share(look)) for _ in range(5)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*tasks)
    assert len(begun) == 2


async def test_a_look_that_fails_is_nobody_elses():
    looks = Looks()

    async def fails():
        raise ValueError

    async def works():
        done.append(1)

    done = []
    with pytest.raises(ValueError):  # ours
        await looks.share(fails)
    await looks.share(works)
    assert done == [1]


async def test_who_works_for_watchers_rests_while_there_is_none():
    watchers = Watchers()
    working = asyncio.create_task(watchers.some())
    await asyncio.sleep(0)
    assert not working.done()
    async with watchers.one():
        async with watchers.one():
            await working
        await watchers.some()
    again = asyncio.create_task(watchers.some())
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()
