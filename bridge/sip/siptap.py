"""A copy of each SIP message for Homer, taken where pjsip reads and writes it, sent over UDP.

    wire ─► mod-tap (7) ─► transport (8) ─► … pjsua         pjsua … ─► transport (8) prints ─► mod-tap (7) ─► wire

The doorman registers it with its own modules; without `hep` in the configuration there is no module and no cost. It
reads what pjsip has in its buffers (pjproject 2.15.1, 64 bit) and gives it to a UDP socket that never waits: what the
kernel does not take is lost and counted. What goes wrong stops the copies, never a call. Pj thread only.
"""

import ctypes
import ipaddress
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import structlog

from bridge.config import SipConfig
from bridge.errors import SipError
from bridge.sip.clibrary import POINTER, Signatures, open_library
from bridge.sip.edge import Socket, sockets
from bridge.sip.hep import encode
from bridge.sip.rdata import PACKET_BYTES, msg_info, sender

log = structlog.get_logger(__name__)

PRIORITY = 7  # before the transport layer (8) when a message comes in, behind its printing when one goes out
# pjsip_tx_data (LP64): the list (16 bytes), pool, name (32), then the info text, as pjsip itself gives it; behind it
# the time, the manager, the ioqueue's key (296 bytes), lock, msg, a route; then buf {start, cur, end}, ref_cnt,
# is_pending, token, cb, dest_info (a name, sixteen addresses of 44 bytes and their count, the one in use), and tp_info:
# the transport, the sockaddr it goes to and its length.
_INFO_AT = 56
_BUF_AT = 408
_SOCKADDR_AT = 1200
_LENGTHS = {int(socket.AF_INET): 16, int(socket.AF_INET6): 28}
_SIGNATURES: Signatures = {
    "pjsip_rx_data_get_info": (POINTER, [POINTER]),
    "pjsip_tx_data_get_info": (POINTER, [POINTER]),
}


Copy = tuple[bytes, Socket, Socket]
"""The message, from where, to where."""


class _Buffer(ctypes.Structure):
    """pjsip_buffer."""

    _fields_ = (("start", ctypes.c_void_p), ("cur", ctypes.c_void_p), ("end", ctypes.c_void_p))


class Tap:
    """`received` and `sent` are pjsip's module callbacks and answer 0: go on. `lost`: what the kernel did not take."""

    def __init__(self, extension: Path, here: Socket, homer: Socket, capture_id: int) -> None:
        self._library = open_library(extension, _SIGNATURES)
        self._here = here
        self._capture_id = capture_id
        self._stopped = False
        self.lost = 0
        family = socket.AF_INET6 if ":" in homer[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(homer)

    @classmethod
    def of(cls, extension: Path, sip: SipConfig) -> Self | None:
        """As the configuration wants it; None: no copies. Raises SipError for an address that cannot be used."""
        if not sip.hep:
            return None
        (homer,) = sockets((sip.hep,))
        try:
            return cls(extension, (sip.public_address or sip.bind, sip.port), homer, sip.hep_id)
        except OSError as error:
            raise SipError(500, f"no copies can be sent to {sip.hep}: {error}") from error

    def close(self) -> None:
        """No more copies."""
        self._stopped = True
        self._socket.close()

    def received(self, rdata: int) -> int:
        """A message came in."""
        return self._copy(self._incoming, rdata)

    def sent(self, tdata: int) -> int:
        """A message is about to go out; it is printed."""
        return self._copy(self._outgoing, tdata)

    def _incoming(self, rdata: int) -> Copy:
        found = msg_info(rdata, self._library.pjsip_rx_data_get_info(rdata))
        message = ctypes.string_at(found.msg_buf, min(found.len, PACKET_BYTES))
        return message, sender(rdata), self._here

    def _outgoing(self, tdata: int) -> Copy:
        info = ctypes.c_void_p.from_address(tdata + _INFO_AT)
        if self._library.pjsip_tx_data_get_info(tdata) != info.value:
            raise LookupError("pjsip_tx_data is not laid out as in pjproject 2.15.1")
        buffer = _Buffer.from_address(tdata + _BUF_AT)
        length = buffer.cur - buffer.start
        if not 0 < length <= buffer.end - buffer.start <= PACKET_BYTES:
            raise LookupError("the buffer of pjsip_tx_data does not lie where it should")
        return ctypes.string_at(buffer.start, length), self._here, _target(tdata)

    def _copy(self, read: Callable[[int], Copy], data: int) -> int:
        """A bug here ends the copies, not the call."""
        if self._stopped:
            return 0
        try:
            packet = encode(*read(data), time.time(), self._capture_id)
        except Exception:
            self._stopped = True
            log.exception("hep.stopped")
            return 0
        try:
            self._socket.send(packet)
        except OSError:  # full, or nobody listens there (ICMP)
            self.lost += 1
        return 0


def _target(tdata: int) -> Socket:
    """Where it goes. The length behind the address proves that it is one."""
    sockaddr = ctypes.string_at(tdata + _SOCKADDR_AT, 32)
    family, length = sockaddr[0], int.from_bytes(sockaddr[28:32], "little")
    if _LENGTHS.get(family) != length:
        raise LookupError("the address in pjsip_tx_data does not lie where it should")
    address = sockaddr[4:8] if family == socket.AF_INET else sockaddr[8:24]
    return str(ipaddress.ip_address(address)), int.from_bytes(sockaddr[2:4], "big")
