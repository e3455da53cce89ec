"""How a worker takes a plan; with live calls it is in tests/system/test_reload.py."""

import asyncio
import gc
from contextlib import asynccontextmanager

import pytest

from bridge.dialplan.plan import HangUpStep
from bridge.worker_plan import FULL_COLLECTION_AFTER, PlanIntake, calm
from tests.fakes.worker_process import plan_of

PLAN = plan_of()
OTHER = plan_of(HangUpStep(480, "closed"))
GUARD_S = 20.0


class Told:
    """Counts what `changed` was called for."""

    def __init__(self):
        self.intake = PlanIntake(self._changed)
        self.told = []
        self.bell = asyncio.Event()

    def _changed(self):
        self.told.append(self.intake.refused or self.intake.version)
        self.bell.set()

    async def until(self, count):
        async with asyncio.timeout(GUARD_S):
            while len(self.told) < count:
                self.bell.clear()
                await self.bell.wait()


@asynccontextmanager
async def running(told):
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(told.intake.run())
        yield told.intake
        task.cancel()


def test_a_plan_read_at_the_start_is_in_force_at_once():
    told = Told()
    told.intake.take(PLAN.to_json())
    assert told.intake.plan == PLAN
    assert told.told == [PLAN.version]


async def test_a_plan_from_control_is_in_force_when_it_has_been_read():
    told = Told()
    async with running(told) as intake:
        intake.came(PLAN.to_json())
        assert intake.plan is None
        await told.until(1)
        assert intake.plan == PLAN


async def test_of_plans_that_come_faster_than_they_are_read_the_last_one_wins():
    told = Told()
    async with running(told) as intake:
        for _ in range(20):
            intake.came(PLAN.to_json())
        intake.came(OTHER.to_json())
        await told.until(1)
    assert intake.plan == OTHER


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": "x", "routes": [], "agents": []}', "\x00"])
async def test_a_plan_it_cannot_read_leaves_the_running_one_and_says_why(text):
    told = Told()
    told.intake.take(PLAN.to_json())
    async with running(told) as intake:
        intake.came(text)
        await told.until(2)
        assert intake.plan == PLAN
        assert told.told[-1] == intake.refused != ""
        intake.came(OTHER.to_json())
        await told.until(3)
        assert (intake.plan, intake.refused) == (OTHER, "")


@pytest.fixture
def thresholds():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_garbage_is_collected_in_full_when_no_call_is_there(thresholds):
    class Node:
        pass

    calm()
    assert gc.get_threshold()[2] == FULL_COLLECTION_AFTER
    gone = []
    node = Node()
    node.itself = node
    gc.collect(1)
    import weakref

    weakref.finalize(node, gone.append, True)
    del node
    told = Told()
    told.intake.take(PLAN.to_json())
    told.intake.rest()
    assert gone == [True]
