"""When a trunk is opened, registered and asked."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.upkeep import ANSWER_S, REFUSED_RETRY_S, RETRY_S, Do, TrunkFacts, Upkeep
from bridge.trunk import Digest, Registration, Trunk

PBX = Trunk("pbx", register=Registration("r", "u"), digest=Digest("u", "", "X"))


def opened(trunk=PBX, registers=True, now=0.0):
    one = Upkeep(trunk, registers=registers, now=now)
    assert one.due(now) is Do.OPEN
    one.opened(now)
    return one


def test_an_answer_that_comes_when_nothing_is_to_be_asked_any_more_is_nothing():
    asking = Trunk("a", host="h", options_every_s=5)
    one = opened(asking)
    assert one.due(0) is Do.ASK
    one.follow(replace(asking, options_every_s=0), 1, registers=False)
    assert not one.answered(200, 2)
    assert one.facts == TrunkFacts()
    assert [one.due(now) for now in (2, 3, 100)] == [None] * 3


def test_the_account_is_opened_once():
    one = Upkeep(PBX, registers=True, now=0)
    assert [one.due(0), one.due(1), one.due(10)] == [Do.OPEN, None, None]


def test_what_cannot_be_opened_is_tried_again_ever_later_and_says_why():
    one, now = Upkeep(PBX, registers=True, now=0), 0.0
    for pause_s in (*RETRY_S, RETRY_S[-1]):
        assert one.due(now) is Do.OPEN
        one.failed("control is away", now)
        assert one.facts.problem == "control is away"
        assert one.due(now + pause_s - 0.1) is None
        now += pause_s
    assert one.due(now) is Do.OPEN
    one.opened(now)
    assert one.facts.problem == ""


def test_a_registration_in_force_asks_for_nothing():
    one = opened()
    assert one.registration(200, "OK", 1)
    assert not one.registration(200, "OK", 5)
    assert one.due(10_000) is None
    assert one.facts == TrunkFacts(registered=True)


@pytest.mark.parametrize(
    ("status", "first_s"), [(408, RETRY_S[0]), (503, RETRY_S[0]), (403, REFUSED_RETRY_S[0])]
)
def test_a_failed_registration_is_told_and_tried_again(status, first_s):
    one = opened()
    assert one.registration(status, "No", 1)
    assert one.facts == TrunkFacts(registered=False, problem=f"{status} No")
    assert one.due(1 + first_s - 0.1) is None
    assert one.due(1 + first_s) is Do.REGISTER
    assert one.due(1 + first_s + 1) is None
    assert one.registration(200, "OK", 20)
    assert one.facts.problem == ""


def test_a_registration_nobody_answers_is_tried_again():
    assert opened().due(ANSWER_S) is Do.REGISTER


def test_a_worker_that_does_not_register_says_nothing_of_it():
    one = opened(registers=False)
    assert one.due(1000) is None
    assert one.facts.registered is None


def test_a_trunk_is_asked_at_its_interval_and_found_away_and_back():
    one = opened(Trunk("t", host="h", options_every_s=30), now=100)
    assert one.due(100) is Do.ASK
    assert one.due(131) is None  # the answer is not there yet
    assert one.answered(404, 101)
    assert one.facts.reachable is True
    assert [one.due(130), one.due(131)] == [None, Do.ASK]
    assert one.answered(408, 139)
    assert one.facts.reachable is False
    assert not one.answered(503, 170)
    assert one.answered(200, 200)


def test_a_new_plan_with_the_same_login_looks_for_another_password_and_keeps_the_registration():
    one = opened()
    one.registration(200, "OK", 1)
    one.follow(PBX, 50, registers=True)
    assert [one.due(50), one.due(51)] == [Do.OPEN, None]
    one.opened(50)
    assert one.facts.registered is True


def test_an_interval_that_changes_is_followed_at_once():
    one = opened(Trunk("t", host="h"))
    one.follow(Trunk("t", host="h", options_every_s=10), 5, registers=True)
    assert one.due(5) is Do.ASK
    one.follow(Trunk("t", host="h"), 6, registers=True)
    assert one.due(1000) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["due", "reg", "ask", "fail", "open"]), st.integers(100, 699), st.floats(0, 60)
        )
    )
)
def test_whatever_happens_there_is_always_a_next_time_while_it_is_not_registered(steps):
    one, now = opened(), 0.0
    for kind, status, pause_s in steps:
        now += pause_s
        match kind:
            case "due":
                one.due(now)
            case "reg":
                one.registration(status, "", now)
            case "ask":
                one.answered(status, now)
            case "fail":
                one.failed("x", now)
            case "open":
                one.opened(now)
    if not one.facts.registered:
        assert one.due(now + 1000) is not None


def test_who_is_told_to_register_no_more_lets_go_of_it_and_hears_nothing_of_it():
    one = opened()
    one.registration(200, "OK", 1)
    one.follow(PBX, 2, registers=False)
    assert one.facts == TrunkFacts()
    assert [one.due(2), one.due(3)] == [Do.OPEN, None]
    one.opened(3)
    assert not one.registration(480, "", 4)
    assert one.due(10_000) is None
    assert one.facts == TrunkFacts()


def test_who_is_told_to_register_now_does_and_sees_to_it_that_it_is_answered():
    one = opened(registers=False)
    one.follow(PBX, 2, registers=True)
    assert one.facts == TrunkFacts(registered=False)
    assert one.due(2) is Do.OPEN
    one.opened(3)
    assert one.due(3) is None
    assert one.due(3 + ANSWER_S) is Do.REGISTER
    assert one.registration(200, "OK", 50)
    assert one.due(10_000) is None


def test_the_word_who_registers_changes_nothing_for_a_trunk_without_a_registration():
    plain = Trunk("a", host="h")
    one = opened(plain)
    one.follow(plain, 2, registers=True)
    assert one.due(10_000) is None


def test_who_was_not_open_yet_opens_once_as_it_is_to_be():
    one = Upkeep(PBX, registers=False, now=0)
    one.follow(PBX, 1, registers=True)
    assert one.due(1) is Do.OPEN
    one.opened(2)
    assert [one.due(2), one.due(2 + ANSWER_S)] == [None, Do.REGISTER]
