import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.beat import beat, until_beat_s


@given(every_s=st.floats(0.01, 60.0), now=st.floats(0.0, 1e7))
def test_the_next_beat_is_ahead_and_no_farther_than_one_period(every_s, now):
    assert 0.0 < until_beat_s(every_s, now) <= every_s


@given(
    every_s=st.sampled_from([0.05, 0.25, 0.5, 1.0, 2.0]), now=st.floats(0.0, 1e6), other=st.floats(0.0, 0.05)
)
def test_whoever_waits_wakes_at_a_moment_of_the_same_beat(every_s, now, other):
    first, second = now + until_beat_s(every_s, now), now + other + until_beat_s(every_s, now + other)
    periods = (second - first) / every_s
    assert periods == pytest.approx(round(periods), abs=1e-5)


async def test_tasks_of_one_beat_run_in_one_round_of_the_loop():
    """Or in two that follow one another: they asked the clock one after the other."""
    loop, rounds, woken = asyncio.get_running_loop(), [], {}

    def turn():
        rounds.append(loop.call_soon(turn))

    async def look():
        of_beat = time.monotonic() // 0.05  # they may begin on both sides of a beat
        await beat(0.05)
        woken.setdefault(of_beat, []).append(len(rounds))

    turn()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(look())
    rounds[-1].cancel()
    for of_beat in woken.values():
        assert max(of_beat) - min(of_beat) <= 1
