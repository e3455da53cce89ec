"""What workers ask about calls that wait, and what admins see of them."""

import pytest

from bridge.control_health import render
from bridge.control_waiting import CallBackWish, WaitingRoom
from bridge.dialplan.queue import Queue
from bridge.errors import LinkError
from bridge.strictjson import encode
from bridge.waiting.queues import SETTLE_S, Place

SALES = Queue("sales", ("ann", "bob"), "in_order", 20, 5, 20, 3, 600, "", "", 45, "en")
PARKED = {"call_id": "p", "slot": "701", "parked_at": 1000.0, "address": "127.0.0.1:5062", "token": "secret"}


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def room(clock):
    room = WaitingRoom(clock=clock, wall=lambda: 1010.0)
    clock.now = SETTLE_S
    return room


def waiting(call_id="a"):
    return encode(Place(call_id, SALES, 1000.0, "waiting"))


async def test_a_caller_gets_a_member_and_leaves(room):
    turn = await room.answer("queue.wait", waiting())
    assert (turn["member"], turn["position"], turn["refused"]) == ("ann", 1, "")
    assert await room.answer("queue.leave", {"call_id": "a"}) == {}
    assert room.states()[0].waiting == 0


async def test_a_parked_call_is_taken_with_its_token(room):
    assert await room.answer("park.wait", PARKED) == {"parked": True}
    assert await room.answer("park.take", {"slot": "701", "call_id": "x"}) == {"parked": PARKED}
    assert await room.answer("park.take", {"slot": "702", "call_id": "x"}) == {"parked": None}
    await room.answer("park.leave", {"call_id": "p"})
    assert await room.answer("park.take", {"slot": "701", "call_id": "x"}) == {"parked": None}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("queue.wait", {}),
        ("queue.wait", waiting() | {"state": "dancing"}),
        ("queue.wait", waiting() | {"queue": "sales"}),
        ("queue.leave", {"call_id": 7}),
        ("park.wait", PARKED | {"parked_at": "noon"}),
        ("park.take", {"slot": "", "call_id": "x"}),
        ("callback.request", {"number": "+49301234"}),
    ],
)
async def test_words_that_do_not_fit_are_a_link_error(room, kind, data):
    with pytest.raises(LinkError):
        await room.answer(kind, data)


def test_it_knows_its_own_requests_only(room):
    assert room.knows("queue.wait")
    assert not room.knows("credential")


async def test_a_wish_to_be_called_back_goes_to_the_outbound_rules():
    wishes = []

    async def rules(wish):
        wishes.append(wish)
        return "" if wish.number.startswith("+49") else "not allowed"

    room = WaitingRoom(rules)
    for number, refused in (("+49301234", ""), ("+900123", "not allowed")):
        wish = {"call_id": "a", "number": number, "after_s": 60}
        assert await room.answer("callback.request", wish) == {"refused": refused}
    assert wishes[0] == CallBackWish("a", "+49301234", 60)


async def test_without_outbound_rules_nobody_is_called_back(room):
    answer = await room.answer("callback.request", {"call_id": "a", "number": "+49301234", "after_s": 0})
    assert answer["refused"] == "this bridge places no calls"


async def test_admins_see_queues_and_slots_but_no_token(room):
    for name in "abc":
        await room.answer("queue.wait", waiting(name))
    await room.answer("park.wait", PARKED)
    page = room.overview()
    assert (page["queues"][0]["waiting"], page["queues"][0]["longest_wait_s"]) == (3, 10.0)
    assert list(page["queues"][0]["members"]) == [
        {"name": "ann", "state": "ringing"},
        {"name": "bob", "state": "ringing"},
    ]
    assert page["parked"] == [{"slot": "701", "call_id": "p", "waiting_s": 10.0}]
    assert "secret" not in str(page)


async def test_the_figures_of_queues_are_metrics(room):
    for name in "abc":
        await room.answer("queue.wait", waiting(name))
    text = render(room.metrics())
    assert 'sipbridge_queue_callers{queue="sales"} 3.0\n' in text
    assert 'sipbridge_queue_longest_wait_seconds{queue="sales"} 10.0\n' in text
    assert 'sipbridge_queue_members{queue="sales",state="ringing"} 2.0\n' in text
    assert "sipbridge_parked_calls 0.0\n" in text
