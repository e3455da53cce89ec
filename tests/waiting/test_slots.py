"""Parked calls: one a slot, one taker at a time."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.waiting.slots import GONE_S, TAKE_S, Parked, Slots

CALL = Parked("a", "701", 10.0, "127.0.0.1:5060", "t1")
OTHER = replace(CALL, call_id="b", parked_at=11.0)


def test_a_call_is_found_by_its_slot_with_its_newest_token():
    slots = Slots()
    assert slots.wait(CALL, 0)
    assert slots.wait(replace(CALL, token="t2"), 1)
    assert slots.take("701", "picker", 1).token == "t2"
    assert slots.take("702", "picker", 1) is None


def test_a_slot_holds_one_call():
    slots = Slots()
    assert slots.wait(CALL, 0)
    assert not slots.wait(OTHER, 1)
    slots.leave("a", 2)
    assert slots.wait(OTHER, 3)


def test_of_two_that_claim_a_slot_after_a_restart_the_first_has_it():
    slots = Slots()
    assert slots.wait(OTHER, 0)
    assert slots.wait(CALL, 1)
    assert not slots.wait(OTHER, 1)


def test_two_do_not_take_one_call_and_a_taker_that_does_not_get_there_gives_way():
    slots = Slots()
    slots.wait(CALL, 0)
    assert slots.take("701", "x", 0) == slots.take("701", "x", 1) == CALL
    assert slots.take("701", "y", 2) is None
    slots.wait(CALL, 4)
    assert slots.take("701", "y", 1 + TAKE_S) == CALL


def test_a_call_does_not_pick_up_itself():
    slots = Slots()
    slots.wait(CALL, 0)
    assert slots.take("701", "a", 0) is None


def test_a_call_of_which_nothing_is_heard_is_gone():
    slots = Slots()
    slots.wait(CALL, 0)
    assert [one.slot for one in slots.parked(GONE_S - 1)] == ["701"]
    assert slots.take("701", "x", GONE_S) is None


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(("1", "2")), st.sampled_from("wtl")), max_size=60
    )
)
def test_no_slot_ever_has_two_calls_and_nobody_takes_a_call_that_left(moves):
    slots, there = Slots(), {}
    for number, (call, slot, move) in enumerate(moves):
        now = number / 1000
        if move == "w" and call not in there.values():
            if slots.wait(Parked(call, slot, float(number), "h:1", "t"), now):
                assert slot not in there
                there[slot] = call
        elif move == "l":
            slots.leave(call, now)
            there = {one: other for one, other in there.items() if other != call}
        elif move == "t":
            found = slots.take(slot, f"picker-{number}", now)
            assert found is None or there[slot] == found.call_id
