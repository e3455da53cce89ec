"""A copy of each SIP message, taken where pjsip reads and writes it: to Homer by UDP, and to the call's record.

    wire ─► mod-tap (7) ─► transport (8) ─► … pjsua         pjsua … ─► transport (8) prints ─► mod-tap (7) ─► wire

The doorman registers it with its own modules; without `hep` and `record` in the configuration there is no module and
no cost. It reads what pjsip has in its buffers (pjproject 2.15.1, 64 bit) and gives it to a UDP socket that never waits
(what the kernel does not take is lost and counted), and as a line to `keep`, which must not wait either. What goes
wrong stops the copies, never a call. Pj thread only.
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
from bridge.sip import ladder
from bridge.sip.clibrary import POINTER, Signatures, open_library
from bridge.sip.edge import Socket, sockets
from bridge.sip.hep import encode
from bridge.sip.ladder import Line
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
Keep = Callable[[str, Line], None]


class _Buffer(ctypes.Structure):
    """pjsip_buffer."""

    _fields_ = (("start", ctypes.c_void_p), ("cur", ctypes.c_void_p), ("end", ctypes.c_void_p))


class Homer:
    """Copies to a capture server. `lost`: what the kernel did not take."""

    def __init__(self, homer: Socket, capture_id: int) -> None:
        self._capture_id = capture_id
        self.lost = 0
        family = socket.AF_INET6 if ":" in homer[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(homer)

    def take(self, copy: Copy, *, sent: bool) -> None:
        """One message more."""
        del sent
        packet = encode(*copy, time.time(), self._capture_id)
        try:
            self._socket.send(packet)
        except OSError:  # full, or nobody listens there (ICMP)
            self.lost += 1

    def close(self) -> None:
        """No more."""
        self._socket.close()


class Tap:
    """`received` and `sent` are pjsip's module callbacks and answer 0: go on.

    `keep` gets what is a message of a call, by its Call-ID, as a line of the record (ladder.py); None: nothing is kept.
    """

    def __init__(
        self, extension: Path, here: Socket, homer: Homer | None, keep: Keep | None, *, whole: bool = False
    ) -> None:
        self._library = open_library(extension, _SIGNATURES)
        self._here = here
        self._homer = homer
        self._keep = keep
        self._whole = whole
        self._stopped = False

    @classmethod
    def of(cls, extension: Path, sip: SipConfig, keep: Keep | None = None) -> Self | None:
        """As the configuration wants it; None: no copies. Raises SipError for an address that cannot be used."""
        keep = keep if sip.record != "off" else None
        if not sip.hep and keep is None:
            return None
        try:
            homer = Homer(next(iter(sockets((sip.hep,)))), sip.hep_id) if sip.hep else None
            here = (sip.public_address or sip.bind, sip.port)
            return cls(extension, here, homer, keep, whole=sip.record == "whole")
        except OSError as error:
            raise SipError(500, f"no copies can be sent to {sip.hep}: {error}") from error

    def close(self) -> None:
        """No more copies."""
        self._stopped = True
        if self._homer is not None:
            self._homer.close()

    def received(self, rdata: int) -> int:
        """A message came in."""
        return self._copy(self._incoming, rdata, sent=False)

    def sent(self, tdata: int) -> int:
        """A message is about to go out; it is printed."""
        return self._copy(self._outgoing, tdata, sent=True)

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

    def _copy(self, read: Callable[[int], Copy], data: int, *, sent: bool) -> int:
        """A bug here ends the copies, not the call."""
        if self._stopped:
            return 0
        try:
            copy = read(data)
            if self._keep is not None and (line := as_line(copy[0], sent=sent, whole=self._whole)):
                self._keep(*line)
            if self._homer is not None:
                self._homer.take(copy, sent=sent)
        except Exception:
            self._stopped = True
            log.exception("sip.tap_stopped")
        return 0


def as_line(message: bytes, *, sent: bool, whole: bool) -> tuple[str, Line] | None:
    """A message for the record, now."""
    return ladder.read(message, sent=sent, mono=time.monotonic(), whole=whole)


def _target(tdata: int) -> Socket:
    """Where it goes. The length behind the address proves that it is one."""
    sockaddr = ctypes.string_at(tdata + _SOCKADDR_AT, 32)
    family, length = sockaddr[0], int.from_bytes(sockaddr[28:32], "little")
    if _LENGTHS.get(family) != length:
        raise LookupError("the address in pjsip_tx_data does not lie where it should")
    address = sockaddr[4:8] if family == socket.AF_INET else sockaddr[8:24]
    return str(ipaddress.ip_address(address)), int.from_bytes(sockaddr[2:4], "big")
