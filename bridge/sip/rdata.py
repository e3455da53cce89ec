"""Where things lie in pjsip_rx_data, the message that pjsip has just read: pjproject 2.15.1, 64 bit (LP64).

Read by address in the doorman's callbacks, on the pj thread, while the message lives. `msg_info` proves the layout with
every message: a pointer that pjsip itself gave must lie where it should.
"""

import ctypes
import ipaddress
import re
from socket import AF_INET

from bridge.sip.edge import Socket

PACKET_BYTES = 4000  # PJSIP_MAX_PKT_LEN, in pjsip_rx_data before msg_info
# Where msg_info begins in pjsip_rx_data (LP64): 304 bytes tp_info, 120 of pkt_info beside the packet. Not searched
# for: the pool behind keeps pointers of messages before.
_MSG_INFO_AT = 304 + PACKET_BYTES + 120

# pkt_info begins with a time (16 bytes) and the packet, then a word of zeros, the length and the sender's sockaddr.
_SOCKADDR_AT = 304 + 16 + PACKET_BYTES + 8 + 8
_SOCKADDR_BYTES = 28  # of IPv6
_WHAT = re.compile(rb"(?:Request msg |Response msg (\d{3})/)([^\s/]+)/")


class MsgInfo(ctypes.Structure):
    """The head of msg_info in pjsip_rx_data. `msg_buf`: where the parser began, behind leading line ends."""

    _fields_ = (
        ("msg_buf", ctypes.c_void_p),
        ("len", ctypes.c_int),
        ("msg", ctypes.c_void_p),
        ("info", ctypes.c_void_p),
    )


def msg_info(rdata: int, info: int) -> MsgInfo:
    """Msg_info of a message whose info text is at `info`. Raises LookupError when it does not lie where it should."""
    found = MsgInfo.from_address(rdata + _MSG_INFO_AT)
    if found.info != info:
        raise LookupError("pjsip_rx_data is not laid out as in pjproject 2.15.1")
    return found


def packet(found: MsgInfo) -> str:
    """The request as pjsip read it."""
    return ctypes.string_at(found.msg_buf, min(found.len, PACKET_BYTES)).decode("utf-8", "replace")


def sender(rdata: int) -> Socket:
    """Who sent it, as the kernel says: an IPv4 or IPv6 socket, in the form of edge.sockets."""
    sockaddr = ctypes.string_at(rdata + _SOCKADDR_AT, _SOCKADDR_BYTES)
    port = int.from_bytes(sockaddr[2:4], "big")
    address = sockaddr[4:8] if sockaddr[0] == AF_INET else sockaddr[8:24]
    return str(ipaddress.ip_address(address)), port


def sender_text(rdata: int) -> str:
    """IP:PORT as pjsip writes it."""
    address, port = sender(rdata)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def what(info: bytes) -> tuple[int, str]:
    """Status and method out of `Request msg INVITE/cseq=1 (rdata0x…)` or `Response msg 200/INVITE/cseq=1 (rdata0x…)`.

    The method in capitals: to pjsip it is the same in any case. (0, "") when the text is another.
    """
    found = _WHAT.match(info)
    return (int(found[1] or 0), found[2].decode("ascii", "replace").upper()) if found else (0, "")
