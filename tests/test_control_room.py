"""The one place that counts the calls on routes with room for a few."""

from bridge.control_room import FORGET_S, Room

ROUTE = ("sales", 2)


def test_there_is_room_for_so_many_and_no_more():
    room = Room()
    assert [room.take(call, worker, ROUTE, 0.0) for worker, call in enumerate("abc")] == [True, True, False]
    assert room.live() == {"sales": 2}
    room.ended(["a", "never-there"])
    assert room.take("c", 0, ROUTE, 1.0)


def test_a_call_that_asks_twice_has_one_place():
    room = Room()
    assert room.take("a", 0, ROUTE, 0.0)
    assert room.take("a", 0, ROUTE, 0.0)
    assert room.live() == {"sales": 1}


def test_after_a_restart_the_workers_say_who_is_there():
    room = Room()
    room.told(0, {"a": "sales"}, 0.0)
    room.told(1, {"b": "sales"}, 0.0)
    assert not room.take("c", 2, ROUTE, 0.0)


def test_a_place_whose_call_ended_unheard_is_given_back_after_a_while():
    room = Room()
    room.take("a", 0, ROUTE, 0.0)
    room.take("b", 1, ROUTE, 0.0)
    room.told(0, {}, FORGET_S - 1)
    assert room.live() == {"sales": 2}
    room.told(0, {}, FORGET_S + 1)
    assert room.live() == {"sales": 1}
