import asyncio

import pytest

from bridge.call.tasks import first, outcome
from bridge.errors import BridgeError, LinkError


async def fails_slowly():
    """A group that is failing while its other task takes a few turns to unwind."""

    async def fail():
        raise LinkError("gone")

    async def unwind():
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(unwind())
        tasks.create_task(fail())


async def test_the_finished_task_has_the_result():
    async def answer():
        return 42

    assert (await outcome(answer())).result() == 42


async def test_the_finished_task_has_the_error():
    task = await outcome(fails_slowly())
    with pytest.raises(ExceptionGroup):
        task.result()


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancellation_is_never_swallowed_by_a_failing_group(turns):
    async def run():
        await outcome(fails_slowly())
        await asyncio.Event().wait()

    task = asyncio.create_task(run())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(1):
            await task


def test_the_first_of_a_kind_is_found_however_deep():
    wanted = LinkError("here")
    group = ExceptionGroup("a", [ValueError(), ExceptionGroup("b", [KeyError(), wanted])])
    assert first(group, LinkError) is wanted


def test_a_kind_that_is_not_there_is_a_bug():
    with pytest.raises(BridgeError):
        first(ExceptionGroup("a", [ValueError()]), LinkError)
