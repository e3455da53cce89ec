"""Words on their way and levels: only while somebody looks, and only what has changed."""

import asyncio
from types import SimpleNamespace

import pytest

from bridge.call.glimpse import EVERY_S, MAX_ITEMS, Glimpse

LOUD = b"\x00\x40" * 160


@pytest.fixture
async def stage():
    told, audio = [], SimpleNamespace(meter=None)
    glimpse = Glimpse("c1", audio, lambda call_id, data: told.append((call_id, data)))
    task = asyncio.create_task(glimpse.run())
    yield SimpleNamespace(glimpse=glimpse, audio=audio, told=told)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what a lease does
            await asyncio.sleep(0.01)


async def test_nobody_looks_and_nothing_is_measured_or_told(stage):
    stage.glimpse.words("agent", "i1", "Hello")
    await asyncio.sleep(2 * EVERY_S)
    assert (stage.told, stage.audio.meter) == ([], None)


async def test_who_looks_is_told_the_words_so_far_and_the_levels_and_then_what_changes(stage):
    stage.glimpse.words("agent", "i1", "Hello")
    stage.glimpse.watch(5)
    await until(lambda: stage.told)
    assert stage.told == [("c1", {"words": [["agent", "i1", "Hello"]], "levels": {"caller": 0, "agent": 0}})]
    stage.audio.meter.caller.append(LOUD)
    stage.glimpse.words("caller", "i2", "Hey")
    await until(lambda: len(stage.told) > 1)
    data = stage.told[1][1]
    assert data["words"] == [["caller", "i2", "Hey"]]
    assert data["levels"]["caller"] > 50
    assert data["levels"]["agent"] == 0


async def test_a_look_ends_by_itself_and_can_begin_again(stage):
    stage.glimpse.words("agent", "i1", "Hello")
    stage.glimpse.watch(0.01)
    await until(lambda: stage.told and stage.audio.meter is None)
    stage.glimpse.watch(5)
    await until(lambda: len(stage.told) > 1)
    assert stage.told[-1][1]["words"] == [["agent", "i1", "Hello"]]


async def test_words_have_a_bound(stage):
    for number in range(MAX_ITEMS + 5):
        stage.glimpse.words("agent", f"i{number}", "x" * 10_000)
    stage.glimpse.watch(5)
    await until(lambda: stage.told)
    words = stage.told[0][1]["words"]
    assert len(words) == MAX_ITEMS
    assert max(len(text) for _, _, text in words) == 4000
