"""SDP as text: where its audio is to go, and made smaller, to the codecs a trunk may use, best first. Pure.

Sources: RFC 4566 section 5.14 (m=), RFC 3551 table 4 (static payload types), RFC 4733 (telephone-event).
"""

import ipaddress
import re
from collections.abc import Sequence

from bridge.sip.events import SdpFacts
from bridge.sip.headers import STATIC_PAYLOADS, parse_sdp

MAX_PTIME_MS = 200  # pjmedia makes no stream of longer packets
EVENTS = "TELEPHONE-EVENT"
WIDE_CODEC = "G722"
_ATTRIBUTE = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+)")
_RTPMAP = re.compile(r"a=rtpmap:(\d+) ([^/\s]+)")
_CONNECTION = re.compile(r"(?:^|[\r\n])(?:c=|a=rtcp:[ \t]*\d+[ \t]+)([^\r\n]*)")
_LITERAL = re.compile(r"IN (IP[46]) ([0-9a-fA-F:.]+)(?:/\d+)*[ \t]*")
_KINDS = {"IP4": ipaddress.IPv4Address, "IP6": ipaddress.IPv6Address}


def literal(message: str, kinds: Sequence[str] = ("IP4", "IP6")) -> bool:
    """Whether all c= and a=rtcp of a message have an address of their kind (RFC 4566 section 5.7, RFC 3605).

    pjmedia aborts the process at `IN IP4 ::1`, and at a name it waits for a name server, all calls with it.
    """
    return all(_is_literal(line, kinds) for line in _CONNECTION.findall(message))


def sure(sdp: SdpFacts | None, message: str) -> bool:
    """Whether an offer that is to take over a call will give a stream: pjsua ends the old call before it tries."""
    if not literal(message, ("IP4",)):
        return False
    return sdp is None or (bool(sdp.codecs) and sdp.ptime_ms <= MAX_PTIME_MS)


def _is_literal(line: str, kinds: Sequence[str]) -> bool:
    found = _LITERAL.fullmatch(line)
    if found is None or found[1] not in kinds:
        return False
    try:
        _KINDS[found[1]](found[2])
    except ValueError:
        return False
    return True


def offers(sdp: SdpFacts | None, codecs: Sequence[str]) -> bool:
    """Whether an offer has one of the codecs. No offer (RFC 3264: we make one then) and no codecs named are a yes."""
    return sdp is None or not codecs or bool({*sdp.codecs} & {*codecs})


def best_alone(sdp: str, codecs: Sequence[str], offer: str) -> str:
    """Our answer `sdp` with the wideband codec only, if the offer has it and no codec that we would rather have.

    pjmedia answers in the offer's order, and phones name G.711 first as often as not.
    """
    offered = parse_sdp(offer).codecs
    best = next((codec for codec in codecs if codec in offered), "")
    return limit_codecs(sdp, (best,)) if best == WIDE_CODEC else sdp


def limit_codecs(sdp: str, codecs: Sequence[str]) -> str:
    """`sdp` with the named codecs of its audio stream only, in that order, and telephone-event.

    Where none of them is in it nothing is changed: an m= line without a codec would be no SDP.
    """
    end = "\r\n" if "\r\n" in sdp else "\n"
    lines = sdp.split(end)
    names = {**STATIC_PAYLOADS, **{m[1]: m[2].upper() for line in lines if (m := _RTPMAP.match(line))}}
    order = [name.upper() for name in codecs]
    for number, line in enumerate(lines):
        if not line.startswith("m=audio "):
            continue
        head, payloads = line.split()[:3], line.split()[3:]
        wanted = sorted((p for p in payloads if names.get(p) in order), key=lambda p: order.index(names[p]))
        if not wanted:
            return sdp
        kept = [*wanted, *(p for p in payloads if names.get(p) == EVENTS)]
        lines[number] = " ".join([*head, *kept])
        gone = {*payloads} - {*kept}
        return end.join(one for one in lines if not ((m := _ATTRIBUTE.match(one)) and m[1] in gone))
    return sdp
