import asyncio
import threading
import time
from itertools import pairwise

import pytest

from bridge.sip.mediaclock import BUSY_PORTS, MAX_LATE_S, STILL_S, MediaClock, wake

GUARD_S = 20.0


class TickedPort:
    """Counts its ticks, and says when there were enough."""

    def __init__(self, enough, ptime_ms=20):
        self.times = []
        self.enough = enough
        self.ptime_ms = ptime_ms
        self.reached = threading.Event()
        self.on_failure = None

    def wants_wake(self):
        return False

    def tick(self, now):
        self.times.append(now)
        if len(self.times) >= self.enough:
            self.reached.set()


@pytest.fixture
def clock():
    registered = []
    clock = MediaClock(5, registered.append)
    clock.start()
    yield clock
    clock.stop()
    assert registered == ["media-clock"]


def test_the_clock_ticks_every_port_until_it_is_removed(clock):
    ports = [TickedPort(10), TickedPort(10)]
    for port in ports:
        clock.add(port)
    assert all(port.reached.wait(GUARD_S) for port in ports)
    for port in ports:
        clock.remove(port)
    clock.stop()
    assert not clock._thread.is_alive()


def test_ticks_come_at_absolute_times(clock):
    port = TickedPort(40)
    clock.add(port)
    assert port.reached.wait(GUARD_S)
    clock.remove(port)
    span = port.times[39] - port.times[0]
    assert span >= 0.9 * 39 * 0.005


def test_the_clock_sleeps_while_there_is_nothing_to_do(clock):
    port = TickedPort(1)
    clock.add(port)
    assert port.reached.wait(GUARD_S)
    clock.remove(port)
    again = TickedPort(1)
    clock.add(again)
    assert again.reached.wait(GUARD_S)


def test_a_port_that_fails_costs_no_other_port_its_ticks(clock):
    class BadPort(TickedPort):
        def tick(self, now):
            raise ZeroDivisionError

    failures = []
    told = threading.Event()
    good, silent, bad = TickedPort(30), BadPort(1), BadPort(1)
    bad.on_failure = lambda what: (failures.append(what), told.set())
    for port in (silent, bad, good):
        clock.add(port)
    assert told.wait(GUARD_S)
    assert good.reached.wait(GUARD_S)
    assert clock._ports == (good,)
    assert failures == ["ZeroDivisionError()"]
    assert clock.problem(time.monotonic()) == ""


def test_a_port_added_twice_is_ticked_once(clock):
    port = TickedPort(1)
    clock.add(port)
    clock.add(port)
    assert clock._ports == (port,)


def test_a_clock_that_stands_still_is_a_problem_only_while_it_has_ports(clock):
    later = time.monotonic() + STILL_S + 1
    assert clock.problem(later) == ""
    clock.add(TickedPort(1))
    assert "stands still" in clock.problem(time.monotonic() + STILL_S + 1)
    clock.stop()
    assert clock.problem(time.monotonic()) == "the media clock is dead"


def intervals(port):
    """Milliseconds between the last ticks: of the times they were due, which no load changes."""
    return {round((after - before) * 1000) for before, after in pairwise(port.times[-4:])}


def test_a_busy_clock_ticks_half_as_often_until_a_leg_goes(clock):
    ports = [TickedPort(12) for _ in range(BUSY_PORTS)]
    for port in ports:
        clock.add(port)
    assert all(port.reached.wait(GUARD_S) for port in ports)
    assert intervals(ports[0]) == {10}
    clock.remove(ports.pop())
    ports[0].reached.clear()
    ports[0].enough = len(ports[0].times) + 8
    assert ports[0].reached.wait(GUARD_S)
    assert intervals(ports[0]) == {5}


def test_packets_that_do_not_fit_the_longer_tick_keep_the_shorter_one(clock):
    ports = [TickedPort(12) for _ in range(BUSY_PORTS - 1)]
    for port in (*ports, TickedPort(12, ptime_ms=25)):
        clock.add(port)
    assert ports[0].reached.wait(GUARD_S)
    assert intervals(ports[0]) == {5}


def test_a_clock_that_ticks_once_a_packet_is_not_slowed_down():
    clock = MediaClock(20, str)
    clock.start()
    ports = [TickedPort(5) for _ in range(BUSY_PORTS)]
    for port in ports:
        clock.add(port)
    assert ports[0].reached.wait(GUARD_S)
    clock.stop()
    assert intervals(ports[0]) == {20}


def test_a_stopped_clock_takes_ports_in_and_out_without_a_word(clock):
    port = TickedPort(1)
    clock.stop()
    clock.add(port)
    clock.remove(port)
    assert port.times == []


def test_lateness_is_counted_and_a_hopeless_clock_starts_anew():
    clock = MediaClock(5, str)
    assert clock._account(10.001, 10.0) == 10.0
    assert clock.stats.late_ticks == 0
    assert clock._account(10.006, 10.0) == 10.0
    assert clock.stats.late_ticks == 1
    assert clock._account(10.0 + MAX_LATE_S + 1, 10.0) == 10.0 + MAX_LATE_S + 1
    assert (clock.stats.ticks, clock.stats.restarts) == (3, 1)
    assert clock.stats.max_late_s == pytest.approx(MAX_LATE_S + 1)


def test_a_clock_that_is_late_again_and_again_is_pressed_until_it_is_in_time_for_a_while():
    clock = MediaClock(10, str)
    clock._account(10.0 + MAX_LATE_S, 10.0)
    clock._account(10.0, 10.0)
    assert not clock.pressed  # once is nothing
    for _ in range(100):
        clock._account(10.008, 10.0)
    assert clock.pressed
    clock._account(10.0, 10.0)
    assert clock.pressed
    for _ in range(200):
        clock._account(10.0002, 10.0)
    assert not clock.pressed


class WaitingPort:
    """Has something for the loop."""

    def __init__(self, calls, wants=True):
        self.calls = calls
        self.wants = wants

    def wants_wake(self):
        return self.wants

    def call_loop(self, callback, *args):
        self.calls.append((callback, args))

    def wake(self):
        self.calls.append(self)


def test_one_wake_of_the_loop_serves_all_ports_of_a_tick():
    calls = []
    first, second, idle = WaitingPort(calls), WaitingPort(calls), WaitingPort(calls, wants=False)
    wake((idle, first, second))
    (callback, args), *more = calls
    assert not more
    callback(*args)
    assert calls[1:] == [first, second]


def test_a_tick_without_news_wakes_nobody():
    calls = []
    wake((WaitingPort(calls, wants=False),))
    assert calls == []


class LoopPort(TickedPort):
    """Has something to see after every tick, and says on which thread it was ticked and woken."""

    def __init__(self, enough):
        super().__init__(enough)
        self.threads = []
        self.woken = 0

    def tick(self, now):
        self.threads.append(threading.get_ident())
        super().tick(now)

    def wants_wake(self):
        return True

    def call_loop(self, callback, *args):
        pass

    def wake(self):
        self.woken += 1


@pytest.fixture
async def on_loop():
    polls = []
    clock = MediaClock(5, lambda name: None, asyncio.get_running_loop(), lambda: polls.append(1))
    clock.start()
    clock.polls = polls
    yield clock
    await asyncio.to_thread(clock.stop)
    await asyncio.sleep(0)


async def reached(port):
    assert await asyncio.to_thread(port.reached.wait, GUARD_S)


async def test_the_loop_itself_polls_ticks_and_wakes(on_loop):
    port = LoopPort(20)
    on_loop.add(port)
    await reached(port)
    own = port.threads.count(threading.get_ident())
    held_up = on_loop.stats.late_ticks  # by the machine: then the guard ticks, or one turn has several ticks
    least = 1 if held_up else 15
    assert min(own, port.woken, len(on_loop.polls)) >= least


async def test_a_loop_that_does_not_come_is_ticked_for(on_loop):
    port = LoopPort(12)
    on_loop.add(port)
    assert port.reached.wait(GUARD_S)  # the loop is busy with something else
    assert threading.get_ident() not in port.threads


async def test_a_loop_that_comes_in_time_leaves_the_guard_asleep(on_loop):
    port = LoopPort(40)
    on_loop.add(port)
    await reached(port)
    late = on_loop.stats.late_ticks
    on_loop.remove(port)
    others = [thread for thread in port.threads if thread != threading.get_ident()]
    assert late or not others  # a machine that holds the loop up is what the guard is for


async def test_a_wake_that_fails_costs_only_its_own_port(on_loop):
    class BadPort(LoopPort):
        def wake(self):
            raise ZeroDivisionError

    failures = []
    bad, good = BadPort(1), LoopPort(10)
    bad.on_failure = failures.append
    on_loop.add(bad)
    on_loop.add(good)
    await reached(good)
    assert failures == ["ZeroDivisionError()"]
    assert on_loop._ports == (good,)
