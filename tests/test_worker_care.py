import asyncio

import pytest

from bridge.errors import SipError
from bridge.worker_care import Busy, contained, first_of, over, watch_health
from tests.fakes.line import settle

GUARD_S = 5.0


async def test_a_bug_in_one_call_is_logged_and_contained(capsys):
    async def crash():
        raise ZeroDivisionError

    assert await contained(asyncio.sleep(0), "call-0")
    assert not await contained(crash(), "call-1")
    shown = capsys.readouterr()
    assert "call-1" in shown.out + shown.err


async def test_containment_does_not_swallow_a_cancellation():
    task = asyncio.create_task(contained(asyncio.Event().wait(), "call-1"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_nothing_is_under_way_when_the_last_thing_is_over():
    busy = Busy()
    assert busy.idle.is_set()
    busy.enter()
    with busy:
        pass
    assert not busy.idle.is_set()
    busy.leave()
    assert busy.idle.is_set()


async def test_an_idle_worker_stays_until_the_edge_knows():
    idle, hurried = asyncio.Event(), asyncio.Event()
    idle.set()
    at_once = asyncio.create_task(over(idle, hurried, 0.0))
    await settle()
    assert at_once.done()
    began = asyncio.get_running_loop().time()
    await over(idle, hurried, 0.1)
    assert asyncio.get_running_loop().time() - began >= 0.1


async def test_a_worker_that_is_hurried_waits_neither_for_the_edge_nor_for_calls():
    hurried = asyncio.Event()
    hurried.set()
    async with asyncio.timeout(GUARD_S):
        await over(asyncio.Event(), hurried, 2 * GUARD_S)


class Patient:
    """An agent with a history."""

    def __init__(self, *problems):
        self.problems = list(problems)
        self.asked = 0

    def problem(self, now):
        self.asked += 1
        return self.problems.pop(0)


async def test_a_worker_whose_sip_side_stays_dead_ends():
    with pytest.raises(SipError, match="the media clock is dead"):
        await watch_health(Patient("", "the media clock is dead", "the media clock is dead"), 0)


async def test_a_worker_that_was_only_stopped_for_a_while_goes_on():
    patient = Patient("stands still", "", "stands still", "", "dead", "dead")
    with pytest.raises(SipError, match="dead"):
        await watch_health(patient, 0)
    assert patient.asked == 6


async def test_the_first_of_two_events_is_enough():
    first, second = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(first_of(first, second))
    await asyncio.sleep(0)
    assert not waiting.done()
    second.set()
    async with asyncio.timeout(20):
        await waiting
