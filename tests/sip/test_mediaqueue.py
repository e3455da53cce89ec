"""RTP sockets that are read when the clock comes by, on a real endpoint; and the thread for streams without a clock."""

import threading
from pathlib import Path

import pytest

from bridge.sip.mediaqueue import Pump

GUARD_S = 20.0


@pytest.mark.asyncio(loop_scope="session")
async def test_pjmedia_has_no_thread_of_its_own_and_the_clock_brings_its_packets_in(agent):
    names = {path.read_text().strip() for path in thread_names()}
    assert "media" not in names
    agent.clock.poll()


def thread_names():
    return Path("/proc/self/task").glob("*/comm")


class Queue:
    """Counts who waits for it."""

    def __init__(self):
        self.waits = []
        self.enough = threading.Event()

    def wait(self, ms):
        self.waits.append(ms)
        if len(self.waits) == 3:
            self.enough.set()


def test_the_pump_waits_for_packets_again_and_again_until_it_is_stopped():
    queue, registered = Queue(), []
    pump = Pump(queue, registered.append)
    pump.start()
    assert queue.enough.wait(GUARD_S)
    pump.stop()
    assert not pump._thread.is_alive()
    assert registered == ["media"]
