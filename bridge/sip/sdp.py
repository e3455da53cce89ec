"""SDP as text, made smaller: only the codecs a trunk may use, best first. Pure.

Sources: RFC 4566 section 5.14 (m=), RFC 3551 table 4 (static payload types), RFC 4733 (telephone-event).
"""

import re
from collections.abc import Sequence

from bridge.sip.events import SdpFacts
from bridge.sip.headers import STATIC_PAYLOADS

EVENTS = "TELEPHONE-EVENT"
_ATTRIBUTE = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+)")
_RTPMAP = re.compile(r"a=rtpmap:(\d+) ([^/\s]+)")


def offers(sdp: SdpFacts | None, codecs: Sequence[str]) -> bool:
    """Whether an offer has one of the codecs. No offer (RFC 3264: we make one then) and no codecs named are a yes."""
    return sdp is None or not codecs or bool({*sdp.codecs} & {*codecs})


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
