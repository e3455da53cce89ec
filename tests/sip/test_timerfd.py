"""The kernel's timer: it rings on time, as often as it was told, and no more when it is disarmed."""

import select
import time

import pytest

from bridge.sip.timerfd import TimerFd

GUARD_S = 20.0


@pytest.fixture
def timer():
    timer = TimerFd()
    yield timer
    timer.close()


def rings(timer, seconds=GUARD_S):
    return bool(select.select([timer.fd], [], [], seconds)[0])


def test_it_rings_at_its_time_and_every_interval_from_there(timer):
    began = time.monotonic()
    timer.arm(began + 60.0, 0.01)
    assert timer.read() == 0
    timer.arm(began + 0.02, 0.01)
    seen = 0
    while seen < 4 and rings(timer):
        seen += timer.read()
    assert time.monotonic() - began >= 0.05


def test_a_time_that_is_past_rings_at_once(timer):
    timer.arm(time.monotonic() - 1.0, 10.0)
    assert rings(timer)
    assert timer.read() == 1


def test_it_is_silent_after_it_was_disarmed(timer):
    timer.arm(time.monotonic(), 0.001)
    assert rings(timer)
    timer.disarm()
    assert timer.read() == 0
    assert not rings(timer, 0.02)


def test_closing_twice_is_harmless_and_arming_a_closed_one_is_an_error(timer):
    timer.close()
    timer.close()
    with pytest.raises(OSError, match="timerfd_settime"):
        timer.arm(1.0, 1.0)


def test_what_is_put_off_again_and_again_does_not_ring(timer):
    for _ in range(5):
        timer.put_off(time.monotonic() + 5.0)
        assert not rings(timer, 0.005)
    timer.put_off(time.monotonic())
    assert rings(timer)
    assert timer.read() == 1


def test_a_blocking_timer_is_waited_for_by_reading():
    timer = TimerFd(blocking=True)
    began = time.monotonic()
    timer.arm(began + 0.02)
    assert timer.read() == 1
    assert time.monotonic() - began >= 0.02
    timer.close()
    timer.put_off(began)
