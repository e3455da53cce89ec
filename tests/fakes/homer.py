"""A capture server: takes HEP3 packets and reads their chunks by the specification, with none of our code."""

import asyncio
import ipaddress
import struct
from contextlib import asynccontextmanager

NAMES = {1: "family", 2: "protocol", 3: "source", 4: "target", 5: "source", 6: "target", 7: "source_port",
         8: "target_port", 9: "seconds", 10: "microseconds", 11: "type", 12: "agent", 15: "payload"}  # fmt: skip


def decode(packet):
    """Chunk values by name. Fails on anything that is not as the specification says."""
    magic, length = struct.unpack(">4sH", packet[:6])
    assert (magic, length) == (b"HEP3", len(packet))
    found, at = {}, 6
    while at < length:
        vendor, kind, size = struct.unpack(">HHH", packet[at : at + 6])
        assert vendor == 0
        assert 6 <= size <= length - at
        value = packet[at + 6 : at + size]
        if kind in {3, 4, 5, 6}:
            assert len(value) == (4 if kind < 5 else 16)
            found[NAMES[kind]] = str(ipaddress.ip_address(value))
        else:
            found[NAMES[kind]] = value if kind == 15 else int.from_bytes(value, "big")
        at += size
    return found


class Homer(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = []
        self.came = asyncio.Event()

    def datagram_received(self, data, _address):
        self.got.append(decode(data))
        self.came.set()

    async def until(self, condition, guard_s=5.0):
        async with asyncio.timeout(guard_s):
            while not condition(self.got):
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def homer():
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Homer, local_addr=("127.0.0.1", 0))
    server.port = transport.get_extra_info("sockname")[1]
    try:
        yield server
    finally:
        transport.close()
