from signal import SIGHUP, SIGKILL, SIGTERM

from hypothesis import given
from hypothesis import strategies as st

from bridge.supervision import AllReady, Child, Kill, Left, Limits, Restarting, Spawn, Supervision

LIMITS = Limits(
    drain_s=100, ready_s=10, restart_min_s=0.25, restart_max_s=10, stable_s=30, stop_s=10, hurry_s=3
)
CHILDREN = (
    Child("sim", 0, says_ready=True),
    Child("control", 1, says_ready=True),
    Child("worker-0", 2),
    Child("worker-1", 2),
)
WORKERS = ["worker-0", "worker-1"]


def running():
    machine = Supervision(CHILDREN, LIMITS)
    machine.begin(0)
    machine.ready("sim", 1)
    machine.ready("control", 2)
    return machine


def test_stages_start_one_after_the_other_as_each_becomes_ready():
    machine = Supervision(CHILDREN, LIMITS)
    assert machine.begin(0) == [Spawn("sim")]
    assert machine.tick(5) == []
    assert machine.ready("sim", 6) == [Spawn("control")]
    assert machine.next_due() == 16
    assert machine.ready("control", 7) == [Spawn("worker-0"), Spawn("worker-1"), AllReady(())]
    assert machine.next_due() is None


def test_a_stage_that_never_gets_ready_holds_the_next_one_only_for_a_while():
    machine = Supervision(CHILDREN, LIMITS)
    machine.begin(0)
    assert machine.tick(10) == [Spawn("control")]
    orders = machine.tick(20)
    assert orders == [Spawn("worker-0"), Spawn("worker-1")]
    assert machine.tick(30) == [AllReady(("sim", "control"))]
    assert machine.ready("sim", 31) == []


def test_a_dead_child_comes_back_at_once_first_and_ever_later_then():
    machine = running()
    delays, now = [], 10.0
    for _ in range(8):
        (order,) = machine.exited("worker-0", "exit code 1", now)
        delays.append(order.delay_s)
        assert order == Restarting("worker-0", "exit code 1", order.delay_s)
        assert machine.next_due() == now + order.delay_s
        assert machine.tick(now + order.delay_s - 0.01) == []
        now += order.delay_s
        assert machine.tick(now) == [Spawn("worker-0")]
    assert delays == [0.25, 0.5, 1, 2, 4, 8, 10, 10]


def test_running_for_a_while_forgives_earlier_deaths():
    machine = running()
    for now in (10, 11, 12):
        machine.exited("worker-0", "x", now)
        machine.tick(now + 0.9)
    machine.tick(13)
    assert machine.exited("worker-0", "x", 13 + LIMITS.stable_s)[0].delay_s == 0.25


def test_what_keeps_dying_is_told_with_how_often_and_how():
    machine = running()
    told = {one["name"]: (one["state"], one["restarts"]) for one in machine.told(5)}
    assert told == dict.fromkeys(("sim", "control", *WORKERS), ("running", 0))
    for now in (10, 12):
        machine.exited("worker-0", "killed by SIGSEGV", now)
        machine.tick(now + 1)
    (worker,) = [one for one in machine.told(20) if one["name"] == "worker-0"]
    assert (worker["restarts"], worker["failures"], worker["last"]) == (2, 2, "killed by SIGSEGV")
    assert (worker["state"], worker["since_s"]) == ("running", 7)
    machine.exited("worker-0", "exit code 1", 90)
    (worker,) = [one for one in machine.told(90) if one["name"] == "worker-0"]
    assert (worker["restarts"], worker["failures"]) == (3, 1), "a stable time forgives, and is not forgotten"


def test_children_restart_independently():
    machine = running()
    machine.exited("worker-0", "x", 10)
    machine.exited("control", "x", 10)
    assert machine.tick(10.25) == [Spawn("control"), Spawn("worker-0")]


def test_a_child_that_dies_before_it_is_ready_is_started_again_and_still_waited_for():
    machine = Supervision(CHILDREN, LIMITS)
    machine.begin(0)
    machine.exited("sim", "x", 1)
    assert machine.tick(1.25) == [Spawn("sim")]
    assert machine.ready("sim", 2) == [Spawn("control")]


def test_stopping_drains_the_workers_then_control_then_the_engine():
    machine = running()
    assert machine.stop(50) == [Kill("worker-0", SIGTERM), Kill("worker-1", SIGTERM)]
    assert machine.stopping
    assert machine.exited("worker-0", "exit code 0", 60) == []
    assert machine.exited("worker-1", "exit code 0", 70) == [Kill("control", SIGTERM)]
    assert machine.exited("control", "exit code 0", 71) == [Kill("sim", SIGTERM)]
    assert not machine.done
    assert machine.exited("sim", "exit code 0", 72) == []
    assert machine.done


def test_a_drain_that_takes_too_long_is_ended_and_then_killed():
    machine = running()
    machine.stop(50)
    assert machine.next_due() == 150
    assert machine.tick(149) == []
    assert machine.tick(150) == [Kill("worker-0", SIGTERM), Kill("worker-1", SIGTERM)]
    machine.exited("worker-0", "x", 151)
    assert machine.tick(153) == [Kill("worker-1", SIGKILL)]
    assert machine.exited("worker-1", "x", 153) == [Kill("control", SIGTERM)]
    assert machine.tick(163) == [Kill("control", SIGKILL)]


def test_a_second_stop_ends_the_patience_and_a_third_kills():
    machine = running()
    machine.stop(50)
    assert machine.stop(51) == [Kill("worker-0", SIGTERM), Kill("worker-1", SIGTERM)]
    assert machine.next_due() == 54
    assert machine.stop(52) == [Kill(name, SIGKILL) for name in ("sim", "control", *WORKERS)]


def test_after_a_second_stop_during_the_start_nobody_is_waited_for():
    machine = Supervision(CHILDREN, LIMITS)
    machine.begin(0)
    assert machine.stop(1) == [Kill("sim", SIGTERM)]
    assert machine.stop(2) == [Kill("sim", SIGTERM)]
    assert machine.ready("sim", 2) == []
    machine.exited("sim", "x", 3)
    assert machine.done


def test_only_workers_left_after_two_stops_have_no_patience():
    machine = Supervision([Child("worker-0", 2), Child("worker-1", 3)], LIMITS)
    machine.begin(0)
    machine.stop(1)
    machine.stop(1)
    assert machine.exited("worker-1", "x", 2) == [Kill("worker-0", SIGTERM)]
    assert machine.tick(12) == [Kill("worker-0", SIGKILL)]


def test_what_waits_for_its_restart_is_not_started_again_when_stopping():
    machine = running()
    machine.exited("worker-0", "x", 10)
    assert machine.stop(10.1) == [Kill("worker-1", SIGTERM)]
    assert machine.tick(20) == []


def test_reload_goes_to_control_when_it_runs():
    machine = running()
    assert machine.reload() == [Kill("control", SIGHUP)]
    machine.exited("control", "x", 10)
    assert machine.reload() == []


class Family:
    """The children as they are: alive or not. Fails when an order makes no sense."""

    def __init__(self):
        self.machine, self.alive, self.now = Supervision(CHILDREN, LIMITS), set(), 0.0
        self.obey(self.machine.begin(0.0))

    def obey(self, orders):
        for order in orders:
            if isinstance(order, Spawn):
                assert order.name not in self.alive
                self.alive.add(order.name)
            elif isinstance(order, Kill):
                assert order.name in self.alive
                if order.signal == SIGKILL:
                    self.die(order.name)

    def die(self, name):
        if name in self.alive:
            self.alive.discard(name)
            self.obey(self.machine.exited(name, "x", self.now))

    def wait(self, seconds):
        self.now += seconds
        self.obey(self.machine.tick(self.now))


NAMES = st.sampled_from([child.name for child in CHILDREN])


@given(st.lists(st.tuples(NAMES, st.floats(0.01, 20)), max_size=15), st.integers(1, 3))
def test_whatever_dies_a_stop_always_comes_to_an_end(deaths, stops):
    family = Family()
    for name, seconds in deaths:
        family.wait(seconds)
        family.die(name)
    for _ in range(stops):
        family.obey(family.machine.stop(family.now))
    for _ in range(20):
        if family.machine.done:
            break
        family.wait(max((family.machine.next_due() or 0.0) - family.now, 0.0))
    assert family.machine.done
    assert not family.alive
    assert family.machine.next_due() is None


def with_surge():
    machine = Supervision((*CHILDREN, Child("worker-2", 2, on_demand=True)), LIMITS)
    machine.begin(0)
    machine.ready("sim", 1)
    assert machine.ready("control", 2) == [Spawn("worker-0"), Spawn("worker-1"), AllReady(())]
    return machine


def test_a_child_on_demand_starts_when_it_is_asked_for_and_is_kept_like_any_other():
    machine = with_surge()
    assert machine.free("worker-2")
    assert machine.start("worker-2", 5) == [Spawn("worker-2")]
    assert machine.start("worker-2", 5) == []
    assert machine.exited("worker-2", "x", 6) == [Restarting("worker-2", "x", 0.25)]
    assert not machine.free("worker-2")


def test_a_child_that_was_told_to_leave_leaves_its_place_free_or_to_another():
    machine = with_surge()
    assert machine.leave("worker-0", again=False, now=5) == []
    assert machine.exited("worker-0", "exit code 0", 6) == [Left("worker-0", "exit code 0")]
    assert machine.free("worker-0")
    assert machine.leave("worker-0", again=True, now=6) == []
    machine.leave("worker-1", again=True, now=7)
    assert machine.exited("worker-1", "x", 8) == [Left("worker-1", "x"), Spawn("worker-1")]
    assert machine.exited("worker-1", "x", 9) == [Restarting("worker-1", "x", 0.25)]


def test_a_child_that_waits_to_be_started_again_leaves_at_once():
    machine = with_surge()
    machine.exited("worker-0", "x", 5)
    assert machine.leave("worker-0", again=False, now=5) == []
    assert machine.free("worker-0")
    assert machine.tick(100) == []
    machine.exited("worker-1", "x", 101)
    assert machine.leave("worker-1", again=True, now=101) == [Spawn("worker-1")]


def test_stopping_ends_those_who_leave_too_and_starts_nobody():
    machine = with_surge()
    machine.start("worker-2", 5)
    machine.leave("worker-0", again=True, now=5)
    assert machine.stop(6) == [Kill(name, SIGTERM) for name in ("worker-0", "worker-1", "worker-2")]
    assert machine.exited("worker-0", "exit code 0", 7) == []
    assert machine.leave("worker-1", again=False, now=7) == machine.start("worker-2", 7) == []
