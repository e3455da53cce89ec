"""Ports of this machine for what the tests start, which nobody else takes between the look and the use.

They are not of the system's choice: such a one may be a client's of a moment ago, or of the next moment.
"""

import random
import socket

FIRST, LAST = 21_000, 31_000
"""Behind the default of sip.rtp_ports, before the ports of `sipbridge call` and what Linux gives clients (32768)."""
UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM
APART = 10
"""Of free_port: a bridge takes the ports behind its SIP port too, one a worker."""


class Ports:
    """From `first` to before `last`: each is given once before one is given again."""

    def __init__(self, first=FIRST, last=LAST):
        self.first, self.last = first, last
        self.next = random.randrange(first, last)  # another suite may run on this machine

    def take(self, count, kinds, step):
        for _ in range(2 * (self.last - self.first)):
            first = -(-self.next // step) * step
            if first + count > self.last:
                self.next = self.first
                continue
            taken = _first_taken(range(first, first + count), kinds)
            self.next = first + count if taken is None else taken + 1
            if taken is None:
                return first
        raise AssertionError(f"no {count} free ports in a row from {self.first} to {self.last}")


def _first_taken(ports, kinds):
    for port in ports:
        for kind in kinds:
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind(("", port))
                except OSError:
                    return port
    return None


_ports = Ports()


def share_out(number, count):
    """Only the part of this process, one of `count` which share their network."""
    global _ports  # noqa: PLW0603  # of this process, set before its first test
    size = (LAST - FIRST) // count
    _ports = Ports(FIRST + number * size, FIRST + (number + 1) * size)


def free_port():
    """For UDP and TCP, on every address; so are the next ones."""
    return free_block(APART, step=APART)


def free_block(count, kinds=(UDP, TCP), step=2):
    """The first of `count` ports in a row, a multiple of `step`."""
    return _ports.take(count, kinds, step)
