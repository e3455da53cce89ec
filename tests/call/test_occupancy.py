"""Room on routes: control has the last word, and while it is away a worker goes by its own calls."""

import asyncio

import pytest

from bridge.call.occupancy import Occupancy
from bridge.control_room import Room
from bridge.dialplan.plan import CallFacts, Condition, HangUpStep, Plan, Route
from bridge.errors import DialplanError, LinkError

END = (HangUpStep(None, ""),)
FACTS = CallFacts("1")


def plan_of(*rooms, rest=True):
    routes = [
        Route(f"r{n}", (Condition("capacity", (str(most),), of=f"r{n}"),), END)
        for n, most in enumerate(rooms)
    ]
    return Plan((*routes, *([Route("rest", (), END)] if rest else [])), ())


class Counting:
    """Control's side, as bridge/control.py does it."""

    def __init__(self):
        self.room = Room()
        self.asked = 0

    async def __call__(self, kind, data, deadline_s):
        assert kind == "room.take"
        self.asked += 1
        await asyncio.sleep(0)
        granted = self.room.take(data["call_id"], data["worker"], (data["route"], data["max_calls"]), 0.0)
        return {"granted": granted, "live": {} if granted else self.room.live()}


async def away(kind, data, deadline_s):
    raise LinkError("control is away")


async def test_two_workers_share_the_room_of_a_route():
    control, one, other = Counting(), Occupancy(), Occupancy()
    plan = plan_of(1)
    found = await asyncio.gather(
        one.route(plan, FACTS, ("a", 0), control), other.route(plan, FACTS, ("b", 1), control)
    )
    assert sorted(route.name for route in found) == ["r0", "rest"]
    assert control.room.live() == {"r0": 1}
    assert len(one.held) + len(other.held) == 1


async def test_one_answer_tells_of_all_full_routes():
    control, worker = Counting(), Occupancy()
    plan = plan_of(1, 1, 1, 1, 2)
    for number in range(4):
        control.room.take(f"x{number}", 9, (f"r{number}", 1), 0.0)
    assert (await worker.route(plan, FACTS, ("a", 0), control)).name == "r4"
    assert control.asked == 2


async def test_while_control_is_away_a_worker_counts_its_own():
    worker, plan = Occupancy(), plan_of(2)
    found = [(await worker.route(plan, FACTS, (call, 0), away)).name for call in "abc"]
    assert found == ["r0", "r0", "rest"]
    worker.leave("a")
    assert (await worker.route(plan, FACTS, ("d", 0), away)).name == "r0"
    assert worker.held == {"b": "r0", "d": "r0"}


async def test_a_call_on_a_route_without_bound_asks_nobody():
    control = Counting()
    assert (await Occupancy().route(plan_of(), FACTS, ("a", 0), control)).name == "rest"
    assert control.asked == 0


async def test_when_every_route_is_full_no_route_fits():
    control, worker = Counting(), Occupancy()
    plan = plan_of(1, rest=False)
    await worker.route(plan, FACTS, ("a", 0), control)
    with pytest.raises(DialplanError):
        await Occupancy().route(plan, FACTS, ("b", 1), control)
