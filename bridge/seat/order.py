"""What control tells a seat and what a seat says, as values: one line of JSON each on its standard input and output.

    control ──Order, then {"call_id"}, end of input: over──► seat process ──{"answer": SDP}, {"over": why}──► control

Worker-safe. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_LINE_BYTES = 128 * 1024
MAX_SDP_CHARS = 32 * 1024
_MDNS = re.compile(r"(?m)^(a=candidate:\S+ \d+ \S+ \d+ )[A-Za-z0-9-]{1,63}\.local ")
_MEDIA = re.compile(r"(?m)^m=(\S+)")
_CANDIDATE = re.compile(r"(?m)^(a=candidate:\S+ \d+ \S+ \d+ )(\S+)( \d+ typ host.*)$")
NOWHERE = "192.0.2.1"  # RFC 5737: for a browser whose address is not known


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server: `stun:host:port`, `turn:host:port?transport=udp`."""

    url: str
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Ice:
    """How the browser reaches us. `address`: what it is told instead of our own; `first_port` 0: any port."""

    address: str = ""
    first_port: int = 0
    last_port: int = 0
    servers: tuple[IceServer, ...] = ()


@dataclass(frozen=True, slots=True)
class Listen:
    """Be a party of a call: where its worker expects us, and the key (hex) of call/seatline.py."""

    address: str
    key: str
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Dial:
    """Place a call as a phone would, from the address `bind`. `from_uri`: who it says it is."""

    uri: str
    bind: str
    from_uri: str
    headers: Mapping[str, str] = field(default_factory=dict)
    max_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Order:
    """One seat. `offer`: the browser's SDP. `listen` or `dial`."""

    offer: str
    ice: Ice = Ice()
    listen: Listen | None = None
    dial: Dial | None = None


def unusable(offer: str) -> str:
    """Why an SDP is no offer of our page; "": it is. One audio stream and a data channel, complete."""
    if len(offer) > MAX_SDP_CHARS or not offer.startswith("v=0"):
        return "the browser's offer is no SDP"
    if sorted(_MEDIA.findall(offer)) != ["application", "audio"]:
        return "the browser's offer must have one audio stream and one data channel"
    return ""


def located(offer: str, browser: str) -> str:
    """The offer with the browser's address in place of the names behind which it hides it (mDNS).

    Nobody has to resolve them, which over a router nobody can. A wrong address does no harm: the browser's own checks
    show where it is (peer-reflexive candidates, RFC 8445 section 7.3.1.3).
    """
    return _MDNS.sub(rf"\g<1>{browser or NOWHERE} ", offer)


def announced(answer: str, address: str) -> str:
    """Our answer with the address that the browser has to use, where a router stands between (NAT 1:1)."""
    if not address:
        return answer
    seen: set[str] = set()
    lines = []
    for line in _CANDIDATE.sub(rf"\g<1>{address}\g<3>", answer).splitlines():
        if line.startswith("a=candidate:"):
            foundation, _, rest = line.partition(" ")
            if rest in seen and foundation:
                continue
            seen.add(rest)
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"
