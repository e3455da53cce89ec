import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from bridge.control_nodes import MARGIN_S, NodeDesk, NodeParts, instance_of, notes, shown
from bridge.errors import StoreAwayError, StoreError
from bridge.settings_node import Node
from bridge.store.nodestore import Beat, Card, NodeRow, Pulse
from tests.fakes.link import until

CARD = Card("a", "m1", "10.0.0.1", "1.0", "key")
ROW = NodeRow("a", 1, "m1", "live", "10.0.0.1", "1.0", "p1", "key", 0.0, 0.0)
QUICK = Node(name="a", heartbeat_s=0.01, lease_s=4.0, lost_after_s=1.0)


class Rows:
    """A NodeStore in memory that answers what a test puts there."""

    def __init__(self):
        self.rows, self.held, self.away, self.fenced = (ROW,), {"reaper": 1}, None, False
        self.joined, self.beats, self.lost, self.left = 0, asyncio.Event(), [], []
        self.refusals = 0

    async def join(self, _card, _lost_after_s):
        self._fail()
        self.joined += 1
        self.fenced = False
        return self.joined

    async def beat(self, _name, _epoch, _pulse, wanted, _lease_s):
        self._fail()
        self.beats.set()
        held = {name: token for name, token in self.held.items() if name in wanted}
        return None if self.fenced else Beat(self.rows, held, self.rows[0].state)

    async def lose(self, name, epoch, _lost_after_s):
        self.lost.append((name, epoch))
        self.rows = tuple(replace(row, state="lost") if row.name == name else row for row in self.rows)
        return True

    async def leave(self, name, epoch):
        self.left.append((name, epoch))

    def _fail(self):
        if self.away is not None:
            self.refusals += 1
            raise self.away

    async def next_beat(self):
        async with asyncio.timeout(20):
            for _ in range(2):  # the second one begins after what the first one brought was taken
                self.beats.clear()
                await self.beats.wait()

    async def refused(self):
        """What the store answered was taken: it was asked a second time."""
        before = self.refusals
        await until(lambda: self.refusals >= before + 2)


@contextlib.asynccontextmanager
async def running(settings=QUICK, *, shared=True, ready=True, rows=None, now=time.monotonic):
    rows = rows or Rows()
    parts = NodeParts(lambda: Pulse("p1", [{"uri": "sip:w"}], {"calls": 2}), lambda: ready, now)
    desk = NodeDesk(rows, CARD, settings, parts, shared=shared)
    task = asyncio.create_task(desk.run())
    try:
        await asyncio.sleep(0)
        if shared and rows.away is None:
            await rows.next_beat()
        yield desk, rows
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_node_alone_holds_everything_and_writes_nothing():
    async with running(shared=False) as (desk, rows):
        assert desk.holds("anything")
        assert desk.had("anything")
        assert [row.name for row in desk.rows()] == ["a"]
        assert desk.targets() == [{"uri": "sip:w", "node": "a"}]
        assert rows.joined == 0


async def test_a_lease_is_held_only_until_shortly_before_others_may_take_it():
    clock = [100.0]
    async with running(now=lambda: clock[0]) as (desk, rows):
        assert desk.holds("reaper")
        assert not desk.holds("retention")
        rows.away = StoreAwayError("gone")
        await rows.refused()
        clock[0] += QUICK.lease_s - MARGIN_S - 0.01
        assert desk.holds("reaper")
        clock[0] += 0.01
        assert not desk.holds("reaper")
        assert desk.had("reaper")  # nobody else is known to have it


async def test_a_node_that_cannot_take_calls_wants_no_lease():
    async with running(ready=False) as (desk, _):
        assert not desk.holds("reaper")


async def test_the_nodes_stay_as_they_were_while_the_store_is_away():
    rows = Rows()
    rows.rows = (ROW, replace(ROW, name="b", targets=({"uri": "sip:b"},)))
    async with running(rows=rows) as (desk, _):
        rows.away = StoreAwayError("gone")
        await rows.refused()
        assert [target["node"] for target in desk.targets()] == ["a", "b"]


async def test_a_node_that_was_declared_lost_holds_nothing_and_comes_back_as_a_new_life():
    async with running() as (desk, rows):
        assert desk.epoch == 1
        rows.fenced = True
        await rows.next_beat()
        await until(lambda: desk.epoch == 2)
        assert rows.joined == 2


async def test_who_has_the_lease_declares_lost_who_is_silent_and_nobody_else():
    rows = Rows()
    rows.rows = (ROW, replace(ROW, name="b", age_s=1.5, epoch=7), replace(ROW, name="c", age_s=0.5))
    async with running(rows=rows):
        assert rows.lost == [("b", 7)]
    rows = Rows()
    rows.held, rows.rows = {}, (ROW, replace(ROW, name="b", age_s=1.5))
    async with running(rows=rows):
        assert rows.lost == []


async def test_whoever_asked_is_told_when_something_has_changed_and_only_then():
    async with running() as (desk, rows):
        told = []
        desk.on_change(lambda: told.append(len(desk.rows())))
        await rows.next_beat()
        assert told == []
        rows.rows = (ROW, replace(ROW, name="b"))
        await rows.next_beat()
        assert told == [2]


async def test_a_node_that_drains_has_no_target_for_new_calls():
    rows = Rows()
    rows.rows = (
        ROW,
        replace(ROW, name="b", state="draining", targets=({"uri": "sip:b", "state": "active"},)),
    )
    async with running(rows=rows) as (desk, _):
        assert {target["node"]: target.get("state") for target in desk.targets()} == {
            "a": None,
            "b": "draining",
        }
        assert not desk.draining


async def test_a_node_says_why_the_others_do_not_let_it_in():
    rows = Rows()
    rows.away = StoreError("there is a node a already")
    async with running(rows=rows) as (desk, _):
        await rows.refused()
        assert "already" in desk.refused
        rows.away = None
        await rows.next_beat()
        assert desk.refused == ""


async def test_who_stops_leaves():
    async with running() as (_, rows):
        pass
    assert rows.left == [("a", 1)]


async def test_notes_tell_of_lost_nodes_and_of_other_plans():
    rows = Rows()
    rows.rows = (
        ROW,
        replace(ROW, name="b", plan_version="p2"),
        replace(ROW, name="c", state="lost", age_s=400.0),
        replace(ROW, name="d", state="left"),
    )
    async with running(rows=rows) as (desk, _):
        assert notes(desk) == ["node c is lost, seen 7 min ago", "node b has plan p2, this one p1"]


def test_a_node_is_shown_with_what_it_said_and_nothing_strange():
    row = replace(ROW, facts={"calls": 2, "problems": "x"}, targets=({"uri": "u"},))
    assert shown(row)["calls"] == 2
    assert shown(row)["problems"] == []
    assert shown(row)["targets"] == [{"uri": "u"}]


def test_the_instance_of_a_state_folder_is_made_once(tmp_path):
    assert instance_of(tmp_path) == instance_of(tmp_path)
    (tmp_path / "other").mkdir()
    assert instance_of(tmp_path) != instance_of(tmp_path / "other")


@pytest.mark.parametrize("problem", [[1, "x" * 500]])
def test_problems_are_cut(problem):
    assert [len(one) for one in shown(replace(ROW, facts={"problems": problem}))["problems"]] == [1, 200]
