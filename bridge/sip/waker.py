"""Wakes the pj thread out of its wait for the network.

pjlib's select has no way to be interrupted from another thread, and polling it every few milliseconds costs
more than the calls
do. So a command is announced by a datagram to our own SIP socket: the double CRLF keep-alive of RFC 5626
section 4.4.1,
which pjsip reads and drops (measured: a command starts 0.1 ms later instead of up to 5).
"""

import contextlib
import socket

KEEP_ALIVE = b"\r\n\r\n"


class Waker:
    """Sends to the SIP socket at `bind`:`port`, which may not be there yet. Any thread."""

    def __init__(self, bind: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._address = (bind, port)

    def wake(self) -> None:
        """The pj thread returns from its wait. A datagram that gets lost costs a poll interval, nothing else."""
        with contextlib.suppress(OSError):
            self._socket.sendto(KEEP_ALIVE, self._address)

    def close(self) -> None:
        """Idempotent."""
        self._socket.close()
