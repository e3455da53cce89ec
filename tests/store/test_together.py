"""Group commit: who comes while a transaction runs shares the next one, and a refusal costs only whom it is about."""

import asyncio

import pytest

from bridge.errors import StoreError
from bridge.store.together import Together


class Database:
    """Commits when it is let; refuses batches with a bad item."""

    def __init__(self):
        self.batches = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def commit(self, items):
        self.batches.append(list(items))
        self.begun.set()
        await self.go.wait()
        if "bad" in items:
            raise StoreError("bad")
        return [item.upper() for item in items]


async def test_those_who_wait_for_one_transaction_share_the_next():
    base = Database()
    base.go.clear()
    together = Together(base.commit)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(together.write("a"))
        await asyncio.sleep(0)
        rest = [tasks.create_task(together.write(item)) for item in "bcd"]
        await asyncio.sleep(0)
        base.go.set()
    assert base.batches == [["a"], ["b", "c", "d"]]
    assert [first.result(), *(task.result() for task in rest)] == ["A", "B", "C", "D"]


async def test_those_who_come_at_the_same_moment_share_one_transaction():
    base = Database()
    together = Together(base.commit)
    assert await asyncio.gather(*(together.write(item) for item in "abc")) == ["A", "B", "C"]
    assert base.batches == [["a", "b", "c"]]


async def test_what_is_refused_costs_no_other():
    base = Database()
    together = Together(base.commit)
    tasks = [asyncio.create_task(together.write(item)) for item in ("a", "b", "bad", "c")]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(one) for one in found] == ["A", "B", "bad", "C"]
    assert base.batches == [["a", "b", "bad", "c"], ["a"], ["b"], ["bad"], ["c"]]


async def test_a_refusal_is_told_to_whoever_is_alone():
    together = Together(Database().commit)
    with pytest.raises(StoreError, match="bad"):
        await together.write("bad")
    assert await together.write("a") == "A"


async def test_one_who_is_cancelled_in_the_middle_leaves_the_others_with_an_error_to_try_again():
    base = Database()
    base.go.clear()
    together = Together(base.commit)
    writer, other = (asyncio.create_task(together.write(item)) for item in "bc")
    await base.begun.wait()
    assert base.batches == [["b", "c"]]
    writer.cancel()
    with pytest.raises(StoreError, match="given up"):
        await other
    base.go.set()
    assert await together.write("c") == "C"


async def test_one_who_gives_up_before_the_transaction_holds_up_nobody():
    base = Database()
    together = Together(base.commit)
    writer, other = (asyncio.create_task(together.write(item)) for item in "bc")
    await asyncio.sleep(0)
    writer.cancel()
    assert await other == "C"
