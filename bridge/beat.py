"""Many tasks that look after something now and then look at the same moment: one wake-up of the loop for all of them.

A worker with four calls has some twenty such looks a second; each alone wakes the process twice, and waking it costs
more than the look. A shell, on any loop.
"""

import asyncio
import time


def until_beat_s(every_s: float, now: float) -> float:
    """Seconds from monotonic `now` to the next whole multiple of `every_s`: more than 0, at most `every_s`."""
    return every_s - now % every_s


async def beat(every_s: float) -> None:
    """Sleep until the next whole multiple of `every_s` on the monotonic clock. The first time that is sooner."""
    await asyncio.sleep(until_beat_s(every_s, time.monotonic()))
