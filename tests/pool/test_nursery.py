from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.pool.nursery import (
    MAX_ASKED,
    Adopt,
    AskFork,
    Drop,
    Exec,
    Nursery,
    NurseryLimits,
    ZygoteStuck,
)

LIMITS = NurseryLimits(spares=1, patience_s=5, fork_s=3, rest_s=30)


def warm(limits=LIMITS):
    """A nursery whose spares, 101 and so on, are there."""
    nursery = Nursery(limits)
    for step in nursery.zygote_up(0):
        nursery.born(step.request, 100 + step.request, 0)
    return nursery


def test_a_spare_is_asked_for_as_soon_as_the_zygote_is_up_and_no_more_than_that():
    nursery = Nursery(LIMITS)
    assert nursery.zygote_up(0) == [AskFork(1)]
    assert nursery.tick(1) == nursery.born(1, 101, 1) == nursery.tick(2) == []
    assert nursery.idle == 1


def test_a_worker_gets_the_spare_at_once_and_another_one_is_asked_for():
    nursery = warm()
    assert nursery.want("worker-0", 1) == [Adopt("worker-0", 101), AskFork(2)]
    assert nursery.idle == 0


def test_who_finds_no_spare_waits_for_a_fork():
    nursery = warm(NurseryLimits(spares=0))
    assert nursery.want("worker-0", 1) == [AskFork(1)]
    assert nursery.born(1, 101, 1.1) == [Adopt("worker-0", 101)]


def test_while_the_zygote_loads_a_worker_waits_for_it_but_not_for_ever():
    nursery = Nursery(LIMITS)
    assert nursery.want("worker-0", 1) == nursery.want("worker-1", 2) == []
    assert nursery.next_due() == 6
    assert nursery.tick(6) == [Exec("worker-0")]
    assert nursery.zygote_up(6.5) == [AskFork(1), AskFork(2)]


def test_without_a_zygote_everybody_is_started_the_slow_way():
    nursery = Nursery(NurseryLimits(spares=None))
    assert nursery.want("worker-0", 1) == [Exec("worker-0")]
    assert nursery.next_due() is None


def test_a_zygote_that_dies_costs_no_spare_and_what_it_was_asked_for_is_asked_of_the_next():
    nursery = warm(NurseryLimits(spares=2))
    nursery.want("worker-0", 1)
    assert nursery.zygote_gone(2) == []
    assert nursery.want("worker-1", 3) == [Adopt("worker-1", 102)]
    assert nursery.zygote_up(4) == [AskFork(4), AskFork(5)]
    assert nursery.born(3, 103, 5) == [Drop(103)]


def test_a_zygote_that_does_not_answer_is_ended():
    nursery = Nursery(LIMITS)
    nursery.want("worker-0", 0)
    nursery.zygote_up(1)
    assert nursery.next_due() == 4
    assert nursery.tick(4) == [ZygoteStuck()]
    assert nursery.tick(5) == [Exec("worker-0")]


def test_a_zygote_that_never_gets_up_is_not_waited_for_any_more():
    nursery = Nursery(LIMITS)
    assert nursery.want("worker-0", 0) == nursery.zygote_gone(1) == []
    assert nursery.zygote_gone(2) == [Exec("worker-0")]
    assert nursery.want("worker-1", 3) == [Exec("worker-1")]
    nursery.zygote_up(4)
    nursery.zygote_gone(5)
    assert nursery.want("worker-2", 6) == []


def test_spares_that_die_by_themselves_are_not_made_for_ever():
    nursery = warm()
    assert nursery.died(101, 1) == [AskFork(2)]
    nursery.born(2, 102, 1)
    assert nursery.died(102, 2) == [AskFork(3)]
    nursery.born(3, 103, 2)
    assert nursery.died(103, 3) == []
    assert nursery.want("worker-0", 4) == [Exec("worker-0")]
    assert nursery.next_due() == 33
    assert nursery.tick(33) == [AskFork(4)]
    assert nursery.died(4711, 33) == []


def test_a_fresh_image_drops_what_came_from_the_old_one():
    nursery = warm()
    assert nursery.fresh() == [Drop(101)]
    assert nursery.want("worker-0", 1) == []
    assert nursery.zygote_up(2) == [AskFork(2), AskFork(3)]


def test_when_the_bridge_stops_nobody_is_started_any_more():
    nursery = warm(NurseryLimits(spares=0))
    nursery.want("worker-0", 1)
    assert nursery.stop() == []
    assert nursery.born(1, 101, 2) == [Drop(101)]
    assert nursery.tick(100) == []


def test_a_worker_that_is_not_wanted_any_more_is_forgotten():
    nursery = Nursery(LIMITS)
    nursery.want("worker-0", 0)
    assert nursery.cancel("worker-0")
    assert not nursery.cancel("worker-0")
    assert nursery.tick(100) == []


class World:
    """The zygote and its processes, as far as a nursery sees them."""

    def __init__(self, spares):
        self.nursery = Nursery(NurseryLimits(spares=spares, patience_s=5, fork_s=3, rest_s=30))
        self.now, self.pid, self.wanted = 0.0, 100, 0
        self.started, self.asked, self.alive = [], set(), set()

    def do(self, steps):
        for step in steps:
            match step:
                case AskFork(request):
                    self.asked.add(request)
                case Adopt(name, spare):
                    self.alive.remove(spare)
                    self.started.append(name)
                case Exec(name):
                    self.started.append(name)
                case Drop(spare):
                    self.alive.discard(spare)
                case ZygoteStuck():
                    self.asked.clear()
        assert len(self.asked) <= MAX_ASKED
        assert self.nursery.idle == len(self.alive)

    def want(self):
        self.wanted += 1
        self.do(self.nursery.want(f"worker-{self.wanted}", self.now))

    def up(self):
        self.asked.clear()
        self.do(self.nursery.zygote_up(self.now))

    def gone(self):
        self.asked.clear()
        self.do(self.nursery.zygote_gone(self.now))

    def fresh(self):
        self.asked.clear()
        self.do(self.nursery.fresh())

    def born(self):
        for request in sorted(self.asked)[:1]:
            self.pid += 1
            self.asked.discard(request)
            self.alive.add(self.pid)
            self.do(self.nursery.born(request, self.pid, self.now))

    def spare_dies(self):
        for spare in sorted(self.alive)[:1]:
            self.alive.discard(spare)
            self.do(self.nursery.died(spare, self.now))

    def later(self, seconds=6.0):
        self.now += seconds
        self.do(self.nursery.tick(self.now))


EVENTS = st.one_of(
    st.tuples(st.sampled_from(["up", "gone", "born", "spare_dies", "fresh", "want", "want"])),
    st.tuples(st.just("later"), st.sampled_from([0.5, 3.0, 6.0])),
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 3), st.lists(EVENTS, max_size=60))
def test_every_worker_is_started_exactly_once_and_forks_are_bounded(spares, script):
    world = World(spares)
    for event, *args in script:
        getattr(world, event)(*args)
    for _ in range(3):
        world.later()
    assert sorted(world.started) == sorted(f"worker-{number + 1}" for number in range(world.wanted))
