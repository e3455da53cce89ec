import pytest

from bridge.control import Desk
from bridge.control_owners import MAX_CALLS, Owners
from bridge.control_pages import Facts
from bridge.errors import LinkError
from bridge.link.messages import Event, Hello

ONE, TWO = (Hello(index, f"b{index}", 1, 5062 + index, "v", 0) for index in range(2))
PARKED = {"call_id": "c", "slot": "701", "parked_at": 1.0, "address": "127.0.0.1:5062", "token": "t"}


class Kept:
    """A store that takes everything."""

    async def write(self, worker, events):
        return len(events)


@pytest.fixture
async def desk():
    """Worker one has told of the calls c and d, worker two of e."""
    desk = Desk(Kept(), None, Facts(0.0))
    for hello, call_ids in ((ONE, "cd"), (TWO, "e")):
        rows = [Event(1, hello.boot, call_id, "call.started", 0.0, 0.0, {}) for call_id in call_ids]
        await desk.store(hello.worker, rows)
    return desk


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("park.take", {"slot": "701", "call_id": "d"}),
        ("park.leave", {"call_id": "c"}),
        ("queue.leave", {"call_id": "c"}),
        ("tool.call", {"call_id": "c", "function_call_id": "f", "tool": "pay"}),
        ("tool.state", {"call_id": "c"}),
        ("tool.confirm", {"call_id": "c", "request_id": "r", "yes": True}),
        ("tool.command_done", {"call_id": "c", "command_id": "x", "ok": True}),
        ("callback.request", {"call_id": "c", "number": "+4930", "after_s": 0}),
        ("room.take", {"call_id": "c", "worker": 0, "route": "r", "max_calls": 1}),
    ],
)
async def test_a_worker_that_asks_for_another_ones_call_is_refused(desk, kind, data):
    await desk.answer("park.wait", PARKED, ONE)
    with pytest.raises(LinkError, match="another worker's"):
        await desk.answer(kind, data, TWO)
    assert (await desk.answer("park.take", {"slot": "701", "call_id": "e"}, TWO))["parked"]["token"] == "t"


async def test_a_call_is_parked_only_where_its_worker_is(desk):
    for address in ("127.0.0.1:5063", "evil.example:5062", "", None):
        with pytest.raises(LinkError, match=r"is reached at 127\.0\.0\.1:5062"):
            await desk.answer("park.wait", {**PARKED, "address": address}, ONE)


async def test_a_call_of_which_nobody_has_told_yet_belongs_to_who_asks_first(desk):
    place = {"call_id": "new", "worker": 0, "route": "r", "max_calls": 1}
    assert (await desk.answer("room.take", place, TWO))["granted"]
    with pytest.raises(LinkError, match="another"):
        await desk.answer("room.take", place, ONE)
    assert await desk.answer("park.leave", {"call_id": "new"}, TWO) == {}


async def test_a_place_is_taken_for_the_worker_that_asks_whatever_it_says(desk):
    await desk.answer("room.take", {"call_id": "e", "worker": 0, "route": "r", "max_calls": 1}, TWO)
    desk.status(TWO, {}, {"held": {}})
    assert desk.room.live() == {"r": 1}
    desk.room.told(TWO.worker, {}, 1e12)
    assert desk.room.live() == {}


def test_what_is_remembered_has_a_bound_and_what_is_asked_for_stays():
    owners = Owners("0.0.0.0")
    owners.learn("b0", ["c"])
    for number in range(MAX_CALLS + 10):
        owners.learn("b1", [str(number)])
        if not number % 1000:
            owners.check("park.leave", {"call_id": "c"}, ONE)
    with pytest.raises(LinkError):
        owners.check("park.leave", {"call_id": "c"}, TWO)
    owners.check("park.wait", PARKED, ONE)
    owners.check("credential", {"provider": "x"}, TWO)
