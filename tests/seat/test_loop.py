"""Sockets of a seat come from the ports that a firewall lets in."""

import asyncio
import socket

import pytest

from bridge.ports import TRIES
from bridge.seat.loop import SeatLoop


def free_range(count):
    """Ports that are free now, in a row."""
    for first in range(43_000, 43_000 + 10 * TRIES, count):
        held = []
        try:
            for port in range(first, first + count):
                held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held[-1].bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
        return first, first + count - 1
    pytest.skip("no free ports")


def ports(loop, count, address=("127.0.0.1", 0)):
    async def opened():
        found = []
        try:
            for _ in range(count):
                made = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=address)
                found.append(made[0])
            return [one.get_extra_info("sockname")[1] for one in found]
        finally:
            for one in found:
                one.close()
            await asyncio.sleep(0)

    try:
        return loop.run_until_complete(opened())
    finally:
        loop.close()


def test_sockets_without_a_port_get_one_of_the_range():
    first, last = free_range(3)
    assert sorted(ports(SeatLoop((first, last)), 3)) == [first, first + 1, last]


def test_when_all_are_taken_it_says_so():
    first, last = free_range(2)
    with pytest.raises(OSError, match=f"no UDP port from {first} to {last} is free"):
        ports(SeatLoop((first, last)), 3)


def test_without_a_range_the_system_chooses():
    assert all(port > 1024 for port in ports(SeatLoop(), 2))


def test_a_socket_that_names_its_port_gets_it():
    first, _ = free_range(1)
    assert ports(SeatLoop((1024, 1025)), 1, ("127.0.0.1", first)) == [first]
