"""Callers of a queue and its members: order, one call a member, nobody forgotten."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.dialplan.queue import Queue
from bridge.waiting.queues import GONE_S, MAX_PLACES, SETTLE_S, Place, Queues

SALES = Queue("sales", ("ann", "bob"), "in_order", 20, 5, 20, 3, 600, "", "", 45, "en")
HELP = replace(SALES, name="help", members=("bob", "cid"), strategy="longest_idle", retry_s=0, wrap_up_s=0)
NOW = 100.0


def place(call_id, queue=SALES, joined_at=0.0, state="waiting", **more):
    return Place(call_id, queue, joined_at, state, **more)


def settled():
    return Queues(NOW - SETTLE_S)


def ringing(call_id, turn, state="ringing", **more):
    return place(call_id, state=state, admitted=True, member=turn.member, offer=turn.offer, **more)


def test_the_first_caller_gets_the_first_member_and_the_next_the_second():
    queues = settled()
    first, second = queues.poll(place("a"), NOW), queues.poll(place("b", joined_at=1), NOW)
    third = queues.poll(place("c", joined_at=2), NOW)
    assert (first.member, second.member, third.member) == ("ann", "bob", "")
    assert (third.position, third.waiting) == (3, 3)


def test_asking_again_gives_the_same_member_again():
    queues = settled()
    assert queues.poll(place("a"), NOW) == queues.poll(place("a"), NOW + 1)


def test_who_came_first_is_served_first_even_when_it_asks_last():
    queues, spec = settled(), replace(SALES, max_callers=9, wrap_up_s=1)
    came = (("x", 0), ("y", 1), ("b", 3), ("a", 2))
    turns = [queues.poll(place(name, spec, at), NOW) for name, at in came]
    for name, turn in (("x", turns[0]), ("y", turns[1])):
        queues.poll(ringing(name, turn, "talking", queue=spec), NOW)
    queues.leave("x", NOW)
    assert queues.poll(place("b", spec, 3), NOW + 2).member == ""
    assert queues.poll(place("a", spec, 2), NOW + 2).member == "ann"


def test_a_member_who_did_not_answer_rests_and_the_caller_gets_the_next_and_keeps_its_place():
    queues = settled()
    turn = queues.poll(place("a"), NOW)
    queues.poll(ringing("a", turn), NOW + 1)
    after = queues.poll(ringing("a", turn, "failed"), NOW + 2)
    assert (after.member, after.position) == ("bob", 1)
    assert queues.poll(ringing("a", turn, "failed"), NOW + 3) == after  # the first answer was lost
    assert {m.name: m.state for m in queues.states(NOW + 3, NOW)[0].members} == {
        "ann": "resting",
        "bob": "ringing",
    }


def test_after_a_call_a_member_rests_and_is_free_again():
    queues = settled()
    turn = queues.poll(place("a"), NOW)
    queues.poll(ringing("a", turn, "talking"), NOW)
    queues.leave("a", NOW)
    assert queues.states(NOW, NOW)[0].members[0].state == "wrap_up"
    assert queues.states(NOW + 5, NOW)[0].members[0].state == "free"


def test_the_member_who_was_idle_longest_comes_first():
    queues = settled()
    for now, name in enumerate(("a", "b", "c"), round(NOW)):
        turn = queues.poll(place(name, HELP), now)
        queues.poll(ringing(name, turn, "talking", queue=HELP), now)
        queues.leave(name, now)
        assert turn.member == {"a": "bob", "b": "cid", "c": "bob"}[name]


def test_a_member_of_two_queues_gets_one_call():
    queues = settled()
    assert queues.poll(place("a", replace(SALES, members=("bob",))), NOW).member == "bob"
    assert queues.poll(place("b", HELP), NOW).member == "cid"
    assert queues.poll(place("c", HELP), NOW).member == ""


def test_a_full_queue_lets_nobody_in_but_keeps_those_it_had():
    queues = Queues(NOW)  # nobody is offered a member yet
    for number in range(3):
        assert queues.poll(place(f"c{number}"), NOW).refused == ""
    assert queues.poll(place("late"), NOW).refused == "full"
    assert queues.poll(place("back", admitted=True), NOW).refused == ""


def test_there_is_an_end_to_all_places():
    queues = Queues(NOW)
    for number in range(MAX_PLACES):
        queues.poll(place(f"c{number}", admitted=True), NOW)
    assert queues.poll(place("one more", admitted=True), NOW).refused == "overloaded"


def test_a_caller_of_whom_nothing_is_heard_is_gone_and_frees_its_member():
    queues = settled()
    assert queues.poll(place("a", replace(SALES, members=("ann",))), NOW).member == "ann"
    assert queues.poll(place("b", replace(SALES, members=("ann",))), NOW + GONE_S).member == "ann"


def test_after_a_restart_nobody_is_served_before_all_are_back_and_the_order_is_the_old_one():
    queues = Queues(NOW)
    talking = place("t", joined_at=0, state="talking", admitted=True, member="ann", offer="old")
    assert queues.poll(place("young", joined_at=9, admitted=True), NOW + 1).member == ""
    queues.poll(talking, NOW + 2)
    assert queues.poll(place("old", joined_at=3, admitted=True), NOW + 3).position == 1
    later = NOW + SETTLE_S
    queues.poll(talking, later)
    assert queues.poll(place("young", joined_at=9, admitted=True), later).member == ""
    assert queues.poll(place("old", joined_at=3, admitted=True), later).member == "bob"


def test_an_offer_is_void_when_its_member_turns_out_to_be_on_the_phone():
    queues = settled()
    assert queues.poll(place("a"), NOW).member == "ann"
    queues.poll(place("t", state="talking", admitted=True, member="ann", offer="old"), NOW)
    assert queues.poll(place("a", admitted=True), NOW).member == "bob"


def test_what_an_admin_sees():
    queues = settled()
    for number in range(3):
        queues.poll(place(f"c{number}", joined_at=1000 + number), NOW)
    (state,) = queues.states(NOW, 1010.0)
    assert (state.name, state.waiting, state.longest_wait_s) == ("sales", 3, 10.0)


class Phones(RuleBasedStateMachine):
    """Workers that lose answers, callers that come and go, control that restarts."""

    def __init__(self):
        super().__init__()
        self.now = NOW
        self.queues = Queues(self.now)
        self.calls = {}  # call_id: Place, as the worker holds it
        self.number = 0

    def told(self, call_id, *, lost):
        place = self.calls[call_id]
        turn = self.queues.poll(place, self.now)
        if lost:
            return
        assert not turn.refused
        place = replace(place, admitted=True)
        if place.state == "failed":
            place = replace(place, state="waiting", member="", offer="")
        if place.state == "waiting" and turn.member:
            place = replace(place, state="ringing", member=turn.member, offer=turn.offer)
        self.calls[call_id] = place

    @rule(queue=st.sampled_from((SALES, HELP)), lost=st.booleans())
    def comes(self, queue, lost):
        self.number += 1
        call_id = f"c{self.number:03}"
        self.calls[call_id] = place(call_id, queue, float(self.number), admitted=True)
        self.told(call_id, lost=lost)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), state=st.sampled_from(("talking", "failed", "gone", "same")), lost=st.booleans())
    def goes_on(self, data, state, lost):
        call_id = data.draw(st.sampled_from(sorted(self.calls)))
        if state == "gone":
            del self.calls[call_id]
            self.queues.leave(call_id, self.now)
            return
        mine = self.calls[call_id]
        if state == "talking" and mine.state == "ringing":
            self.calls[call_id] = replace(mine, state="talking")
        if state == "failed" and mine.state == "ringing":
            self.calls[call_id] = replace(mine, state="failed")
        self.told(call_id, lost=lost)

    @rule()
    def a_second_passes(self):
        self.now += 1
        for call_id in sorted(self.calls):
            self.told(call_id, lost=False)

    @rule()
    def control_restarts(self):
        self.now += 1
        self.queues = Queues(self.now)

    @invariant()
    def no_member_has_two_calls(self):
        busy = [one.member for one in self.calls.values() if one.state in {"ringing", "talking"}]
        assert len(busy) == len(set(busy))

    def teardown(self):
        """Nobody is forgotten: when everybody answers and hangs up, everybody has been served, in order."""
        served, busy = [], sorted(one for one, mine in self.calls.items() if mine.state != "waiting")
        for call_id in busy:
            del self.calls[call_id]
            self.queues.leave(call_id, self.now)
        left = len(self.calls)
        for _ in range(60 + 30 * left):
            self.now += 1
            for call_id in sorted(self.calls):
                self.told(call_id, lost=False)
            for call_id in [one for one, mine in sorted(self.calls.items()) if mine.state == "ringing"]:
                served.append((self.calls.pop(call_id).queue.name, call_id))
                self.queues.leave(call_id, self.now)
        assert not self.calls
        for name in ("sales", "help"):
            mine = [call_id for queue, call_id in served if queue == name]
            assert mine == sorted(mine)


Phones.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPhones = Phones.TestCase
