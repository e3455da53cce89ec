"""With a zygote of our own at the other end, whose processes are `cat`."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from bridge.pool.nursery import NurseryLimits
from bridge.pool.warm import Warm, WarmHandlers


class Zygote:
    """The other end of the channel."""

    def __init__(self, channel):
        self.channel = channel
        self.children = []

    def fork(self, *, silent=False):
        data, fds, _, _ = socket.recv_fds(self.channel, 1024, 2)
        child = subprocess.Popen(["cat"], stdin=fds[0], stdout=fds[1])
        for fd in fds:
            os.close(fd)
        self.children.append(child)
        if not silent:
            self.channel.send(json.dumps({**json.loads(data), "pid": child.pid}).encode())
        return child


class House:
    """A Warm, and what it had done."""

    def __init__(self, spares=1):
        self.adopted, self.cold, self.stuck = {}, [], []
        handlers = WarmHandlers(self.adopted.__setitem__, self.cold.append, lambda: self.stuck.append(True))
        self.warm = Warm(NurseryLimits(spares=spares, patience_s=5, fork_s=3, rest_s=30), handlers)
        self.zygote = Zygote(self.warm.new_channel())


@pytest.fixture
def house():
    house = House()
    yield house
    house.warm.close()
    house.zygote.channel.close()
    for process in house.adopted.values():
        process.close()
    for child in house.zygote.children:
        child.kill()
        child.wait()


def heard(house, now=0.0):
    house.warm.hear(now)


def test_a_spare_is_given_a_name_and_hears_what_it_is_told(house):
    house.warm.zygote_up(0)
    child = house.zygote.fork()
    heard(house)
    assert house.warm.spares == 1
    house.warm.want("worker-3", 1)
    process = house.adopted["worker-3"]
    assert process.pid == child.pid
    assert process.tell(b"hello\n")
    os.set_blocking(process.output, True)
    assert os.read(process.output, 100) == b"hello\n"
    assert house.cold == []


def test_a_zygote_that_is_gone_leaves_its_spares_behind(house):
    house.warm.zygote_up(0)
    house.zygote.fork()
    heard(house)
    house.zygote.channel.close()
    heard(house)
    assert house.warm.channel is None
    house.warm.zygote_gone(1)
    house.warm.want("worker-0", 1)
    assert "worker-0" in house.adopted
    house.warm.want("worker-1", 2)
    house.warm.tick(7)
    assert house.cold == ["worker-1"]


def test_a_spare_whose_end_is_known_before_its_birth_is_no_spare(house):
    house.warm.zygote_up(0)
    child = house.zygote.fork()
    house.warm.ended(child.pid, 0)
    heard(house)
    assert house.warm.spares == 0
    house.zygote.fork()
    heard(house)
    assert house.warm.spares == 1
    house.warm.ended(house.zygote.children[1].pid, 1)
    assert house.warm.spares == 0


def test_a_zygote_that_does_not_answer_is_reported_and_its_late_children_read_an_end(house):
    house.warm.zygote_up(0)
    child = house.zygote.fork(silent=True)
    house.warm.tick(3)
    assert house.stuck == [True]
    assert child.wait(20) == 0


def test_when_the_bridge_stops_the_spares_go(house):
    house.warm.zygote_up(0)
    child = house.zygote.fork()
    heard(house)
    house.warm.stop()
    assert child.wait(20) == -signal.SIGKILL
    assert house.warm.next_due() is None


def test_without_an_answering_zygote_nothing_blocks(house):
    house.warm.zygote_up(0)
    began = time.monotonic()
    for number in range(300):
        house.warm.want(f"worker-{number}", 0)
        house.warm.zygote_up(0)  # asks anew, more than the socket takes
    assert time.monotonic() - began < 5
    assert house.warm.cancel("worker-7")
