"""A raw INVITE as text in, a clean typed `Invite` out. Pure, no I/O, never raises on what a peer sent.

pjsip has already parsed the message once and refused what is not SIP; this second, lenient reading takes the
facts a call
needs. Everything a peer controls is data: control characters go, lengths are capped, the number of headers is
bounded.

Sources: RFC 3261 section 7.3 (header form), 20 (headers), RFC 3325 (P-Asserted-Identity), RFC 5806 (Diversion),
RFC 4566 and 3264 (SDP).
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from bridge.errors import SipError
from bridge.sip.events import EdgeWord, Invite, Party, SdpFacts
from bridge.trunk import EDGE_HEADERS, OWN_HEADERS

MAX_VALUE_CHARS = 256  # a display name or a number longer than this is an attack, not a person
MAX_HEADERS = 100  # pjsip takes about as many in a UDP message; far above what any trunk sends
COMPACT_FORMS = {  # RFC 3261 section 7.3.3
    "i": "Call-ID", "m": "Contact", "e": "Content-Encoding", "l": "Content-Length", "c": "Content-Type",
    "f": "From", "s": "Subject", "k": "Supported", "t": "To", "v": "Via", "x": "Session-Expires", "r": "Refer-To",
    "b": "Referred-By",
}  # fmt: skip
UPPER_WORDS = {"Id": "ID", "Cseq": "CSeq", "Www": "WWW", "Mime": "MIME", "Sip": "SIP", "Uui": "UUI"}
DIALOG_HEADERS = {
    "From",
    "To",
    "Call-ID",
    "CSeq",
}  # read wherever they stand: whose request it is follows from them
SECRET_HEADERS = {"Authorization", "Proxy-Authorization"}
STATIC_PAYLOADS = {
    "0": "PCMU",
    "3": "GSM",
    "4": "G723",
    "8": "PCMA",
    "9": "G722",
    "18": "G729",
}  # RFC 3551 table 4

DIGITS = "0123456789*#ABCD"
EVENT_NUMBERS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}  # RFC 4733 section 3.2

MAX_CONTEXT_CHARS = 512  # one SIP message over UDP has about 1300 bytes for everything
_HNV_SAFE = "[]/?:+$-_.!~*'()"  # RFC 3261 section 25.1: hnv-unreserved, unreserved
_HEADER_NAME = re.compile(r"[A-Za-z0-9_.!%*+`'~-]{1,64}\Z")
_END_OF_HEAD = re.compile(r"\n[\n\r]")
_SIGNAL = re.compile(r"^[ \t]*Signal[ \t]*=[ \t]*([^\s;]+)", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r";[ \t]*tag[ \t]*=[ \t]*([^;\s>]+)[^<>]*$", re.IGNORECASE)
_NAME_ADDR = re.compile(r'^\s*(?:"((?:[^"\\]|\\.)*)"|([^<"]*?))\s*<([^>]*)>')
# The user part may hold ";" and "?" (RFC 3261 section 25.1, user-unreserved): sip:+49301;phone-context=de@trunk
_PASSWORD = re.compile(
    r"(sips?:[^:@;?<>\s]{0,256}):[^@<>\s]{0,256}@", re.IGNORECASE
)  # RFC 3261 section 19.1.1
_QUOTED_OR_URI = re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>')
_VERSTAT = re.compile(r";verstat=([A-Za-z-]{1,40})(?=[;@]|$)", re.IGNORECASE)
_URI = re.compile(r"^(?:sips?|tel):(?:([^@]*)@)?([^;?]*)", re.IGNORECASE)


def clean(value: str, max_chars: int = MAX_VALUE_CHARS) -> str:
    """`value` without control, format and surrogate characters, stripped, at most `max_chars` long."""
    kept = "".join(char for char in value if unicodedata.category(char)[0] != "C")
    return kept.strip()[:max_chars].rstrip()


def verstat(invite: Invite, trusted: Iterable[str], *, trunk_trusted: bool = False) -> str:
    """What a trusted trunk says of the caller's number (ATIS-1000074 section 5.3.2.3), such as TN-Validation-Passed.

    Trusted are the networks `trusted`, and the call's own trunk if the plan says so (`trunk_trusted`). "" for everybody
    else: the parameter is only text, and whoever sends the INVITE can write it.
    """
    return invite.verstat if trunk_trusted or _comes_from(invite.source, trusted) else ""


def _verstat(value: str) -> str:
    """The one verstat parameter of the URI in a header of one value: a display name may say anything."""
    if "," in _QUOTED_OR_URI.sub("", value):
        return ""
    match = _NAME_ADDR.match(value)
    found = _VERSTAT.findall(match[3].partition("?")[0]) if match else []
    return found[0] if len(found) == 1 else ""


def _comes_from(source: str, networks: Iterable[str]) -> bool:
    try:
        address = ipaddress.ip_address(source.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in networks)


def canonical_name(name: str) -> str:
    """`x-customer-id` and `X-CUSTOMER-ID` are one header: `X-Customer-ID`."""
    name = clean(name, 64)
    if name.lower() in COMPACT_FORMS:
        return COMPACT_FORMS[name.lower()]
    words = (word.capitalize() for word in name.split("-"))
    return "-".join(UPPER_WORDS.get(word, word) for word in words)


def parse_party(value: str) -> Party:
    """A From, To, P-Asserted-Identity, Diversion or Contact value.

    Name-addr or bare addr-spec; sip:, sips: or tel:.
    """
    match = _NAME_ADDR.match(value)
    if match:
        display = re.sub(r"\\(.)", r"\1", match.group(1) or match.group(2) or "")
        uri = match.group(3)
    else:
        display, uri = "", value.split(";", 1)[0]
    parts = _URI.match(uri.strip())
    if not parts:
        return Party(user="", host="", display=clean(display), uri=clean(uri))
    user, host = parts.group(1), parts.group(2)
    if uri.strip().lower().startswith("tel:"):
        user, host = host, ""
    user = unquote(user or "").split(";", 1)[0].split(":", 1)[0]
    return Party(user=clean(user), host=clean(host), display=clean(display), uri=clean(uri))


def parse_sdp(body: str) -> SdpFacts:
    """The first audio stream of an SDP body; fields that are absent or unreadable keep their defaults."""
    address = direction = ""
    port = ptime_ms = 0
    payloads: list[str] = []
    names = dict(STATIC_PAYLOADS)
    in_audio = False
    for line in body.splitlines()[:500]:
        kind, _, value = line.partition("=")
        match kind:
            case "m":
                if in_audio:
                    break
                fields = value.split()
                in_audio = len(fields) > 3 and fields[0] == "audio"
                if in_audio:
                    port = _number(fields[1])
                    payloads = fields[3:20]
            case "c":
                address = value.split()[-1] if value.split() else address
            case "a":
                name, _, argument = value.partition(":")
                direction = name if name in {"sendrecv", "sendonly", "recvonly", "inactive"} else direction
                if name == "ptime":
                    ptime_ms = _number(argument)
                elif name == "rtpmap" and " " in argument:
                    payload, encoding = argument.split(" ", 1)
                    names[payload] = encoding.split("/", 1)[0].upper()
    codecs = [clean(names.get(payload, payload), 32) for payload in payloads]
    return SdpFacts(
        codecs=tuple(codec for codec in codecs if codec != "TELEPHONE-EVENT"),
        ptime_ms=ptime_ms,
        direction=direction or "sendrecv",
        address=clean(address, 64),
        port=port,
        telephone_event="TELEPHONE-EVENT" in codecs,
    )


def reason_text(value: str) -> str:
    """The words of a Reason header (RFC 3326): its text parameter when there is one, else the header as it stands."""
    text = re.search(r';\s*text\s*=\s*(?:"([^"]*)"|([^;\s]+))', value, re.IGNORECASE)
    return clean((text.group(1) or text.group(2) or "") if text else value)


def parse_invite(message: str, source: str = "") -> Invite:
    """The whole INVITE as received. `source` is the address it came from, `ip:port`.

    What it says goes into records, so credentials stay out: no (Proxy-)Authorization, no password in a URI. Nor are
    X-Sipbridge-* among its headers, whoever wrote them.
    """
    head, body = _head_and_body(message)
    request_line, *lines = head.split("\n")
    headers: dict[str, str] = {}
    asserted_times = 0
    edge: dict[str, list[str]] = {}
    for number, line in enumerate(_unfold(lines)):
        raw_name, colon, value = line.partition(":")
        name = canonical_name(raw_name)
        if name.lower().startswith(EDGE_HEADERS):
            edge.setdefault(raw_name.strip(" \t").lower(), []).append(value.strip())
        elif colon and name not in SECRET_HEADERS and (number < MAX_HEADERS or name in DIALOG_HEADERS):
            headers[name] = _PASSWORD.sub(r"\1@", value.strip())
            asserted_times += name == "P-Asserted-Identity"
    asserted = headers.get("P-Asserted-Identity")
    diversion = headers.get("Diversion")
    words = request_line.split()
    request_uri = _PASSWORD.sub(r"\1@", words[1]) if len(words) > 1 else ""
    return Invite(
        sip_call_id=clean(headers.get("Call-ID", "")),
        request_uri=clean(request_uri),
        from_party=parse_party(headers.get("From", "")),
        to_party=parse_party(headers.get("To", "")),
        asserted=parse_party(asserted) if asserted else None,
        diversion=parse_party(diversion) if diversion else None,
        user_agent=clean(headers.get("User-Agent", ""), 128),
        source=clean(source, 64),
        headers={name: clean(value) for name, value in headers.items()},
        sdp=parse_sdp(body) if body.strip() else None,
        request_party=parse_party(f"<{request_uri}>"),
        from_tag=tag_of(headers.get("From", "")),
        to_tag=tag_of(headers.get("To", "")),
        verstat=_verstat(asserted or headers.get("From", "")) if asserted_times < 2 else "",
        edge_word=EdgeWord(_only(edge, "source"), _only(edge, "trunk")),
    )


def with_headers(uri: str, headers: Mapping[str, str]) -> str:
    """`uri` with headers for the INVITE that is to be made of it: sip:x@y?X-Context=… (RFC 3261 section 19.1.1).

    Raises SipError for a name that is none, or one that section 19.1.5 warns of: it could change who calls, or whom.
    """
    pairs = []
    for name, value in headers.items():
        ours = canonical_name(name) in OWN_HEADERS or name.lower().startswith(EDGE_HEADERS)
        if not _HEADER_NAME.match(name) or ours:
            raise SipError(400, f"the header {clean(name, 40)!r} cannot go along with a transfer")
        pairs.append(f"{name}={quote(clean(value, MAX_CONTEXT_CHARS), safe=_HNV_SAFE)}")
    if not pairs:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{'&'.join(pairs)}"


def own_invite(who: str, uri: str, trunk: str = "") -> Invite:
    """The INVITE we send to `uri`, as far as a record of the call wants to know it. `who`: USER@HOST."""
    return Invite("", uri, parse_party(f"<sip:{who}>"), parse_party(f"<{uri}>"), trunk=trunk)


def info_digit(message: str) -> str | None:
    """The keypad digit of an INFO request (application/dtmf-relay, application/dtmf).

    "" when there is none in it that can be understood; None when the body is something else.
    """
    headers = parse_invite(message).headers
    kind = headers.get("Content-Type", "").split(";", 1)[0].strip().lower()
    _, body = _head_and_body(message)
    if kind == "application/dtmf":
        signal = body.strip()
    elif kind == "application/dtmf-relay":
        found = _SIGNAL.search(body)
        signal = found.group(1) if found else ""
    else:
        return None
    signal = EVENT_NUMBERS.get(signal, signal).upper()
    return signal if len(signal) == 1 and signal in DIGITS else ""


def tag_of(value: str) -> str:
    """The tag of a From or To value, which must not be cut before; "" when it has none."""
    found = _TAG.search(value)
    return clean(found.group(1)) if found else ""


def _only(edge: Mapping[str, list[str]], name: str) -> str:
    """The value of an X-Sipbridge header that is there once. Twice: somebody got one past the edge; "" then."""
    values = edge.get(EDGE_HEADERS + name, [])
    return clean(values[0]) if len(values) == 1 else ""


def _head_and_body(message: str) -> tuple[str, str]:
    """Where Kamailio and pjsip see the end of the headers: at an empty line, and at one that begins with a lone CR.

    Whoever saw it later would take for headers what the edge took for the body, and did not strip.
    """
    head, *rest = _END_OF_HEAD.split(message.replace("\r\n", "\n"), maxsplit=1)
    return head, rest[0] if rest else ""


def _unfold(lines: list[str]) -> list[str]:
    """RFC 3261 section 7.3.1: a line that starts with white space continues the one before."""
    unfolded: list[str] = []
    for line in lines:
        if line[:1] in {" ", "\t"}:
            if unfolded:
                unfolded[-1] += " " + line.strip()
        elif line:
            unfolded.append(line)
    return unfolded


def _number(text: str) -> int:
    return int(text) if text.strip().isascii() and text.strip().isdigit() and len(text) < 8 else 0
