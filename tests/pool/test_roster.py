"""The rules of issue 5: never fewer than configured take calls while a worker is replaced, and one after the other."""

import contextlib
import signal
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.pool.moves import Fresh, Leave, PoolLimits, RosterError, Say, Start, Stop, Tell
from bridge.pool.roster import Roster

LIMITS = PoolLimits(
    recycle_after_calls=100,
    recycle_after_s=1000,
    max_memory_mb=200,
    max_cpu_percent=90,
    ready_s=20,
    settle_s=0,
    leave_s=500,
    stop_s=50,
    rest_s=60,
)


def pool(workers=2, surge=1, limits=LIMITS, wide=0):
    """A roster whose workers have all said that they are ready, at 0 s."""
    kinds = ["narrow"] * (workers - wide) + ["wide"] * wide
    roster = Roster([*((kind, False) for kind in kinds), *(("narrow", True),) * surge], limits)
    for slot in range(workers):
        roster.spawned(slot, 0, 0.0)
        assert roster.ready(slot, 0) == []
    return roster


def orders(moves):
    return [move for move in moves if not isinstance(move, Tell)]


def told(moves):
    return [move.text for move in moves if isinstance(move, Tell)]


def states(roster, now=0):
    return [worker["state"] for worker in roster.status(now)["workers"]]


def test_with_a_free_slot_the_replacement_is_ready_before_the_old_one_retires():
    roster = pool(2, 1)
    moves = roster.restart(0, 1)
    assert orders(moves) == [Start(2)]
    assert told(moves) == ["worker-0 is replaced by worker-2: asked for"]
    roster.spawned(2, 1, 0)
    assert states(roster) == ["active", "active", "starting"]
    assert roster.ready(2, 1.2) == [Leave(0, again=False), Say(0, "retire")]
    assert states(roster) == ["draining", "active", "active"]
    assert roster.exited(0, 300, free=True) == []
    assert states(roster) == ["free", "active", "active"]


def test_the_old_one_waits_until_the_edge_knows_the_new_one():
    roster = pool(1, 1, replace(LIMITS, settle_s=2))
    roster.restart(0, 1)
    roster.spawned(1, 1, 0)
    assert roster.ready(1, 1.5) == roster.tick(3.4) == []
    assert roster.next_due() == 3.5
    assert states(roster) == ["active", "active"]
    assert roster.tick(3.5) == [Leave(0, again=False), Say(0, "retire")]


def test_a_new_one_that_dies_before_the_edge_knows_it_leaves_the_old_one_in_its_place():
    roster = pool(1, 1, replace(LIMITS, settle_s=2))
    roster.restart(0, 1)
    roster.spawned(1, 1, 0)
    roster.ready(1, 1.5)
    assert orders(roster.exited(1, 2, free=False)) == [Leave(1, again=False), Stop(1, signal.SIGKILL)]
    assert orders(roster.tick(3.5)) == []
    assert states(roster)[0] == "active"


def test_without_a_free_slot_the_old_one_retires_first_and_another_follows_in_its_slot():
    roster = pool(2, 0)
    moves = roster.restart(1, 1)
    assert orders(moves) == [Leave(1, again=True), Say(1, "retire")]
    assert roster.next_due() == 501  # a retired worker may go on with its calls for so long
    assert roster.exited(1, 400, free=False) == []
    roster.spawned(1, 400, 0)
    assert roster.ready(1, 400.3) == []
    assert states(roster) == ["active", "active"]
    assert roster.status(401)["workers"][1]["ready_ms"] == pytest.approx(300)


def test_a_replacement_is_of_the_same_pool_as_the_one_it_replaces():
    roster = pool(2, 1, wide=1)
    roster.restart(1, 1)
    assert roster.pool(2) == "wide"
    roster.spawned(2, 1, 0)
    roster.ready(2, 1)
    roster.exited(1, 2, free=True)
    roster.restart(0, 3)
    assert roster.pool(1) == "narrow"


def test_a_rolling_restart_replaces_all_one_after_the_other_and_tells_how_far_it_is():
    roster = pool(2, 1)
    moves = roster.roll(10)
    assert orders(moves) == [Fresh(), Start(2)]
    assert roster.status(10)["rolling"] == "0 of 2 replaced"
    roster.spawned(2, 10, 0)
    roster.ready(2, 11)
    assert roster.status(11)["rolling"] == "1 of 2 replaced, 1 still with calls"
    with pytest.raises(RosterError, match="under way: 1 of 2 replaced"):
        roster.roll(12)
    moves = roster.exited(0, 100, free=True)
    assert orders(moves) == [Start(0)]
    roster.spawned(0, 100, 0)
    roster.ready(0, 101)
    moves = roster.exited(1, 200, free=True)
    assert told(moves) == ["the rolling restart is done: 2 of 2 replaced"]
    assert (roster.status(200)["rolling"], states(roster)) == ("", ["active", "free", "active"])


def test_a_rolling_restart_without_surge_slots_drains_one_worker_at_a_time():
    roster = pool(2, 0)
    assert orders(roster.roll(1)) == [Fresh(), Leave(0, again=True), Say(0, "retire")]
    roster.exited(0, 2, free=False)
    roster.spawned(0, 2, 0)
    assert orders(roster.ready(0, 3)) == [Leave(1, again=True), Say(1, "retire")]
    roster.exited(1, 4, free=False)
    roster.spawned(1, 4, 0)
    assert told(roster.ready(1, 5)) == ["the rolling restart is done: 2 of 2 replaced"]


@pytest.mark.parametrize("end", ["crash", "silence"])
def test_a_replacement_that_does_not_get_ready_ends_a_rolling_restart_and_costs_nobody(end):
    roster = pool(3, 1)
    roster.roll(1)
    roster.spawned(3, 1, 0)
    if end == "crash":
        moves = roster.exited(3, 2, free=False)
    else:
        assert roster.next_due() == 21
        moves = roster.tick(21)
    assert orders(moves) == [Leave(3, again=False), Stop(3, signal.SIGKILL)]
    assert "the rolling restart ends here: 0 of 3 replaced; the others go on as they are" in told(moves)
    roster.exited(3, 22, free=True)
    assert states(roster) == ["active", "active", "active", "free"]
    assert roster.status(22)["rolling"] == ""


def test_without_surge_slots_too_a_worker_that_does_not_come_back_ends_the_rolling_restart():
    roster = pool(2, 0)
    roster.roll(1)
    roster.exited(0, 2, free=False)
    roster.spawned(0, 2, 0)
    moves = roster.exited(0, 2.1, free=False)
    assert "the rolling restart ends here" in told(moves)[1]
    assert orders(moves) == []
    roster.spawned(0, 3, 0)
    assert roster.ready(0, 4) == []
    assert states(roster) == ["active", "active"]


def test_a_worker_that_crashes_while_its_replacement_starts_is_replaced_all_the_same():
    roster = pool(1, 1)
    roster.restart(0, 1)
    roster.spawned(1, 1, 0)
    roster.exited(0, 1.1, free=False)
    roster.spawned(0, 1.2, 0)
    assert roster.ready(1, 1.3) == [Leave(0, again=False), Say(0, "retire")]


def test_a_worker_that_crashed_before_its_turn_needs_no_turn():
    roster = pool(2, 1)
    roster.roll(1)
    roster.spawned(2, 1, 0)
    roster.exited(1, 1.5, free=False)
    roster.spawned(1, 1.6, 0)
    roster.ready(1, 1.7)
    roster.ready(2, 1.8)
    assert told(roster.exited(0, 2, free=True)) == ["the rolling restart is done: 2 of 2 replaced"]


def test_a_worker_drained_by_hand_stays_until_it_is_undrained():
    roster = pool(2, 1)
    assert orders(roster.drain(0)) == [Say(0, "pause")]
    assert states(roster)[0] == "drained"
    moves = roster.roll(1)
    assert "worker-0 is drained by hand and stays as it is" in told(moves)
    with pytest.raises(RosterError, match="only an active one"):
        roster.drain(0)
    assert orders(roster.undrain(0)) == [Say(0, "resume")]
    with pytest.raises(RosterError, match="only a drained one"):
        roster.undrain(0)
    assert states(roster)[0] == "active"


def test_draining_by_hand_in_the_middle_of_a_rolling_restart_takes_a_worker_out_of_it():
    roster = pool(2, 1)
    roster.roll(1)
    roster.spawned(2, 1, 0)
    roster.drain(1)
    roster.ready(2, 2)
    assert told(roster.exited(0, 3, free=True)) == ["the rolling restart is done: 1 of 2 replaced"]
    assert states(roster) == ["free", "drained", "active"]


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda roster: roster.restart(2, 1), "slot 2 is free"),
        (lambda roster: roster.restart(3, 1), "there is no slot 3: they are 0 to 2"),
        (lambda roster: roster.drain(-1), "there is no slot -1"),
        (lambda roster: (roster.restart(0, 1), roster.restart(0, 1)), "is being started or replaced already"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(ask, why):
    with pytest.raises(RosterError, match=why):
        ask(pool(2, 1))


def test_too_much_memory_twice_in_a_row_is_a_reason_and_once_is_none():
    roster = pool(1, 1)
    for mb in (250, 190, 250):
        assert roster.measured(0, mb, 1, 10) == []
    moves = roster.measured(0, 251.4, 1, 20)
    assert told(moves)[0] == "worker-0 will be replaced: it uses 251 MB of memory (pool.max_memory_mb: 200)"
    assert orders(moves) == [Start(1)]
    assert roster.measured(0, 300, 1, 30) == []


def test_too_much_cpu_three_times_in_a_row_is_a_reason():
    roster = pool(1, 0)
    assert roster.measured(0, 50, 99, 10) == roster.measured(0, 50, 99, 20) == []
    moves = roster.measured(0, 50, 98.7, 30)
    assert "it uses 99 % of a core (pool.max_cpu_percent: 90)" in told(moves)[0]
    assert orders(moves) == [Leave(0, again=True), Say(0, "retire")]


def test_a_worker_is_recycled_after_its_number_of_calls():
    roster = pool(1, 1)
    assert roster.counted(0, 4, 99, 10) == []
    assert orders(roster.counted(0, 4, 100, 11)) == [Start(1)]


def test_without_surge_slots_a_recycled_worker_may_carry_its_last_call_first():
    roster = pool(1, 0)
    moves = roster.counted(0, 2, 100, 10)
    assert told(moves) == ["worker-0 will be replaced: it has carried 100 calls (pool.recycle_after_calls)"]
    assert roster.counted(0, 1, 101, 11) == []
    assert orders(roster.counted(0, 0, 101, 12)) == [Leave(0, again=True), Say(0, "retire")]


def test_old_workers_are_recycled_and_the_spread_keeps_them_from_going_together():
    limits = PoolLimits(recycle_after_s=1000, recycle_after_calls=100, spread=0.5)
    roster = Roster([("narrow", False), ("narrow", False), ("narrow", True)], limits)
    for slot, chance in ((0, 0.0), (1, 0.4)):
        roster.spawned(slot, 0, chance)
        roster.ready(slot, 0)
    assert roster.next_due() == 800
    moves = roster.tick(800)
    assert "worker-1 will be replaced: it is 0.2 hours old (pool.recycle_after_h)" in told(moves)
    assert orders(moves) == [Start(2)]


def test_a_retired_worker_that_never_ends_is_stopped_and_killed_at_last():
    roster = pool(1, 0)
    roster.restart(0, 1)
    assert orders(roster.tick(500)) == []
    assert orders(roster.tick(501)) == [Stop(0, signal.SIGTERM)]
    assert roster.next_due() == 551
    assert orders(roster.tick(551)) == [Stop(0, signal.SIGKILL)]
    assert roster.next_due() is None


def test_after_a_replacement_that_failed_the_next_reason_waits_a_while():
    roster = pool(1, 1)
    roster.restart(0, 1)
    roster.spawned(1, 1, 0)
    roster.exited(1, 2, free=False)
    roster.exited(1, 2, free=True)
    assert orders(roster.counted(0, 1, 100, 3)) == []
    assert roster.next_due() == 62
    assert orders(roster.tick(62)) == [Start(1)]


def test_while_the_bridge_stops_nothing_is_replaced():
    roster = pool(1, 1)
    roster.stop()
    assert roster.measured(0, 999, 999, 1) == roster.measured(0, 999, 999, 2) == roster.tick(5000) == []
    assert roster.next_due() is None


class World:
    """Supervision and processes, as far as a roster sees them. Replacements may fail; nobody crashes by itself."""

    def __init__(self, workers, surge, settle_s):
        limits = replace(LIMITS, recycle_after_s=0, settle_s=settle_s)
        self.roster = pool(workers, surge, limits)
        self.now, self.workers, self.surge = 0.0, workers, surge
        self.free = set(range(workers, workers + surge))
        self.again, self.leaving, self.starting = {}, set(), set()

    def do(self, moves):
        for move in moves:
            match move:
                case Start(slot):
                    assert slot in self.free, "a worker was started in a slot that is not free"
                    self.free.discard(slot)
                    self.spawn(slot)
                case Leave(slot, again):
                    self.again[slot] = again
                case Say(slot, "retire"):
                    assert slot not in self.free
                    self.leaving.add(slot)
                case Stop(slot, _):
                    self.exit(slot)
        assert len(self.starting) <= 1, "two replacements at once"
        down = self.workers - len(self.active())
        assert down <= (0 if self.surge else 1), "fewer take calls than may be missing"

    def spawn(self, slot):
        self.starting.add(slot)
        self.roster.spawned(slot, self.now, 0.0)

    def active(self):
        return [one for one in self.roster.status(self.now)["workers"] if one["state"] == "active"]

    def ready(self):
        for slot in sorted(self.starting):
            self.starting.discard(slot)
            self.do(self.roster.ready(slot, self.now))

    def crash(self):
        for slot in sorted(self.starting):
            if self.surge:  # the process of a worker in place is started again by supervision until it works
                self.starting.discard(slot)
                self.do(self.roster.exited(slot, self.now, free=False))

    def exit(self, slot):
        self.leaving.discard(slot)
        self.starting.discard(slot)
        again = self.again.pop(slot, False)
        if again:
            moves = self.roster.exited(slot, self.now, free=False)
            self.spawn(slot)
        else:
            self.free.add(slot)
            moves = self.roster.exited(slot, self.now, free=True)
        self.do(moves)

    def last_call_over(self):
        for slot in sorted(self.leaving)[:1]:
            self.exit(slot)

    def later(self, seconds):
        self.now += seconds
        self.do(self.roster.tick(self.now))

    def try_to(self, what, *args):
        with contextlib.suppress(RosterError):
            self.do(getattr(self.roster, what)(*args))


OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["ready", "crash", "last_call_over"])),
    st.tuples(st.just("later"), st.sampled_from([1.0, 19.0, 100.0])),
    st.tuples(st.just("roll")),
    st.tuples(st.just("restart"), st.integers(0, 5)),
    st.tuples(st.just("heavy"), st.integers(0, 5)),
    st.tuples(st.just("many"), st.integers(0, 5), st.integers(0, 1)),
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2), st.sampled_from([0, 2]), st.lists(OPERATIONS, max_size=60))
def test_whatever_happens_as_many_take_calls_as_configured_and_everything_comes_to_an_end(
    workers, surge, settle_s, script
):
    world = World(workers, surge, settle_s)
    for operation, *args in script:
        slot = args[0] % (workers + surge) if args and operation != "later" else 0
        match operation:
            case "ready" | "crash" | "last_call_over" | "later":
                getattr(world, operation)(*args)
            case "roll":
                world.try_to("roll", world.now)
            case "restart":
                world.try_to("restart", slot, world.now)
            case "heavy":
                for _ in range(2):
                    world.do(world.roster.measured(slot, 500, 1, world.now))
            case "many":
                world.do(world.roster.counted(slot, args[1], 1000, world.now))
    for _ in range(60):
        world.ready()
        world.last_call_over()
        for slot in range(workers + surge):
            world.do(world.roster.counted(slot, 0, 0, world.now))
        world.later(100)
    assert world.roster.status(world.now)["rolling"] == ""
    assert sorted(states(world.roster)) == sorted(["active"] * workers + ["free"] * surge)
