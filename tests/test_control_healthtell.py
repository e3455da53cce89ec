"""What nodes tell each other of their health: who is there is shown, a store that is away makes it old, not gone."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from bridge.console.healthfacts import Disk, NodeHealth
from bridge.console.nodehealth import packed
from bridge.control_healthtell import HealthTeller
from bridge.errors import StoreAwayError
from bridge.store.healthstore import Told
from bridge.store.nodestore import NodeRow

ROW = NodeRow("b", 1, "m", "live", "10.0.0.2", "1", "p", "key", 0.0, 0.0)
MINE = NodeHealth("a", disks=[Disk("state", "/x", 1, 2)])


class Table:
    """A HealthStore in memory."""

    def __init__(self, *told):
        self.rows, self.away, self.kept, self.fits = list(told), False, asyncio.Queue(), True

    async def tell(self, name, facts):
        self._fail()
        self.kept.put_nowait((name, facts))
        return self.fits

    async def told(self):
        self._fail()
        return self.rows

    def _fail(self):
        if self.away:
            raise StoreAwayError("gone")


class Nodes:
    def __init__(self, *rows):
        self.rows = {row.name: (row, f"https://{row.name}.example") for row in rows}

    def known(self):
        return self.rows


async def mine():
    return MINE


async def test_it_tells_how_this_node_is_and_a_mistake_ends_nothing():
    table, broken = Table(), [True]

    async def look():
        if broken.pop() if broken else False:
            raise RuntimeError("a bug")
        return MINE

    teller = HealthTeller("a", table, Nodes(), look)
    task = asyncio.create_task(teller.run())
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    task = asyncio.create_task(teller.run())
    async with asyncio.timeout(20):
        assert await table.kept.get() == ("a", packed(MINE))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_others_are_those_that_are_there_or_lost():
    facts = packed(replace(MINE, pending=3))
    told = [Told(name, 5.0, facts) for name in ("a", "b", "c", "d", "e")]
    rows = (ROW, replace(ROW, name="c", state="lost"), replace(ROW, name="d", state="left"))
    teller = HealthTeller("a", Table(*told), Nodes(*rows), mine)
    found = await teller.others()
    assert [(one.name, one.state, one.console, one.pending) for one in found] == [
        ("b", "live", "https://b.example", 3),
        ("c", "lost", "https://c.example", 3),
    ]


async def test_while_the_store_is_away_the_others_stay_and_grow_old():
    table = Table(Told("b", 5.0, packed(MINE)))
    teller = HealthTeller("a", table, Nodes(ROW), mine)
    assert await teller.others()
    table.away = True
    teller._known_s -= 100
    (found,) = await teller.others()
    assert found.age_s == pytest.approx(105, abs=2)
    assert not found.fresh
