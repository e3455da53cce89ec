"""What really goes over loopback: SIP datagrams between some UDP ports, captured by a packet socket (root only).

For parties that cannot tell what they sent: baresip, SIPp, Kamailio, a second worker. `Wire.ladder` is the ladder.
"""

import contextlib
import socket
import struct
import threading
import time
from contextlib import asynccontextmanager

from tests.fakes.ladder import lines_of
from tests.fakes.rawphone import parse

ALL_PROTOCOLS = 3
UDP = 17


class Wire:
    """The messages so far, in order, each with its ports."""

    def __init__(self):
        self.messages = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.1)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                packet, (_, _, kind, *_) = self._socket.recvfrom(65535)
                if kind != socket.PACKET_OUTGOING:  # loopback shows everything twice
                    self._keep(packet)

    def _keep(self, packet):
        size = (packet[0] & 15) * 4
        if packet[0] >> 4 != 4 or packet[9] != UDP:
            return
        source, target, _, _ = struct.unpack("!HHHH", packet[size : size + 8])
        data = packet[size + 8 :]
        if b"SIP/2.0" in data[:200]:
            self.messages.append((source, target, parse(data, time.monotonic())))

    def close(self):
        self._stopping = True
        self._thread.join()
        self._socket.close()

    def ladder(self, *, apart=False, **ports):
        """What the parties said to each other; `ports`: UDP port by name. `apart`: one pair after the other."""
        time.sleep(0.15)  # the thread reads what is there already
        names = {port: name for name, port in ports.items()}
        found = [
            (names[source], names[target], message)
            for source, target, message in list(self.messages)
            if source in names and target in names
        ]
        if apart:
            pairs = [frozenset(one[:2]) for one in found]
            found.sort(key=lambda one: pairs.index(frozenset(one[:2])))
        return lines_of(found)


class NoWire:
    """Where nobody may capture: there is nothing to compare."""

    messages = ()

    def ladder(self, **options):
        return None

    def close(self):
        pass


@asynccontextmanager
async def wire():
    """Capturing for as long as the block; nothing without the right to."""
    try:
        one = Wire()
    except PermissionError:
        one = NoWire()
    try:
        yield one
    finally:
        one.close()
