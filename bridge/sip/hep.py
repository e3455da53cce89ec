"""HEP3, the form in which Homer takes copies of SIP messages: a header and chunks of type and length. Pure.

    "HEP3" · length of all (16 bit) · chunk*        chunk: vendor 0 · type · length with this head (16 bit each) · value

Source: HEP/EEP network protocol specification revision 36 (github.com/sipcapture/HEP). Numbers are big-endian.
"""

import ipaddress
import struct

from bridge.sip.edge import Socket

MAGIC = b"HEP3"
MAX_PAYLOAD = 60_000
"""A UDP datagram holds 65,507 bytes; a SIP message of ours has at most 4,000."""
_IPV4, _IPV6 = 2, 10
_UDP = 17
_SIP = 1
_HEAD = struct.Struct(">4sH")
_CHUNK = struct.Struct(">HHH")


def encode(payload: bytes, source: Socket, target: Socket, at_s: float, capture_id: int) -> bytes:
    """One SIP message over UDP as one HEP3 packet. `at_s`: unix seconds."""
    sender, receiver = ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])
    version6 = 6 in {sender.version, receiver.version}
    seconds = int(at_s)
    chunks = (
        (1, bytes([_IPV6 if version6 else _IPV4])),
        (2, bytes([_UDP])),
        (5 if version6 else 3, _packed(sender, version6=version6)),
        (6 if version6 else 4, _packed(receiver, version6=version6)),
        (7, source[1].to_bytes(2, "big")),
        (8, target[1].to_bytes(2, "big")),
        (9, seconds.to_bytes(4, "big")),
        (10, int((at_s - seconds) * 1e6).to_bytes(4, "big")),
        (11, bytes([_SIP])),
        (12, capture_id.to_bytes(4, "big")),
        (15, payload[:MAX_PAYLOAD]),
    )
    body = b"".join(_CHUNK.pack(0, kind, _CHUNK.size + len(value)) + value for kind, value in chunks)
    return _HEAD.pack(MAGIC, _HEAD.size + len(body)) + body


def _packed(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, version6: bool) -> bytes:
    """16 bytes for both as soon as one of them is IPv6: an IPv4 address is mapped (RFC 4291 section 2.5.5.2)."""
    if version6 and address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed
