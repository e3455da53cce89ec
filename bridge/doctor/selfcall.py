"""A call to ourselves over real sockets: OPTIONS, or INVITE with three seconds of audio. For `sipbridge doctor`.

A caller of forty lines instead of a SIP library: doctor wants to see the SDP and the packets as a stranger would, and
must run beside a bridge without its worker's memory. It knows one transaction, one dialog and PCMU (RFC 3261 sections 8
and 13, RFC 3264, RFC 3550). Never raises; ends its call whatever happens. One asyncio loop.
"""

import asyncio
import re
import secrets
import struct
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.doctor.network import CallFacts

ANSWER_S, LISTEN_S, FRAME_S = 12.0, 3.0, 0.02
RESEND_S = 0.5
REFUSED = "ACK of a refusal"
MAX_DATAGRAMS = 2000
SILENCE = b"\xff" * 160
"""20 ms of PCMU."""
LOUD = 8
"""A packet with more than this many samples that are not near silence speaks."""
_QUIET = frozenset({0xFF, 0x7F, 0xFE, 0x7E, 0xFD, 0x7D, 0xFC, 0x7C})


class _Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue(MAX_DATAGRAMS)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not self.queue.full():  # more than that says nothing new
            self.queue.put_nowait((data, (str(addr[0]), int(addr[1]))))


async def look(host: str, port: int, number: str = "", *, listen_s: float = LISTEN_S) -> CallFacts:
    """OPTIONS without a number, a whole call with one."""
    facts = CallFacts(f"sip:{number + '@' if number else ''}{host}:{port}", number=number)
    loop = asyncio.get_running_loop()
    local = "127.0.0.1" if host.startswith("127.") else host  # ours too: it is this machine
    try:
        sip, inbox = await loop.create_datagram_endpoint(_Inbox, local_addr=(local, 0))
        rtp, heard = await loop.create_datagram_endpoint(_Inbox, local_addr=(local, 0))
    except OSError as error:
        return replace(facts, error=f"no socket on {local}: {error.strerror}")
    try:
        peer = _Peer((host, port), sip, inbox, local, rtp.get_extra_info("sockname")[1])
        return await (_call(peer, facts, rtp, heard, listen_s) if number else _options(peer, facts))
    finally:
        sip.close()
        rtp.close()


class _Peer:
    """The other side's address, our sockets, and the ids of one dialog."""

    def __init__(
        self,
        to: tuple[str, int],
        sip: asyncio.DatagramTransport,
        inbox: _Inbox,
        local: str,
        rtp_port: int,
    ) -> None:
        self.to, self._sip, self._inbox = to, sip, inbox
        self.local, self.port, self.rtp_port = local, sip.get_extra_info("sockname")[1], rtp_port
        self.call_id, self.tag = secrets.token_hex(8), secrets.token_hex(4)
        self.branch = ""

    def request(self, method: str, uri: str, to: str, cseq: int, body: str = "", routes: str = "") -> bytes:
        """A request as bytes. CANCEL, and the ACK of a refusal (`REFUSED`), have the INVITE's branch; others their own.

        RFC 3261 sections 9.1, 13.2.2.4 and 17.1.1.3.
        """
        same = method in {"CANCEL", REFUSED}
        self.branch = self.branch if same else f"z9hG4bK{secrets.token_hex(6)}"
        method = "ACK" if method == REFUSED else method
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.local}:{self.port};branch={self.branch};rport\r\n"
            f"Max-Forwards: 20\r\n{routes}From: <sip:doctor@{self.local}>;tag={self.tag}\r\nTo: {to}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:doctor@{self.local}:{self.port}>\r\n"
            f"User-Agent: sipbridge-doctor\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def send(self, data: bytes) -> None:
        self._sip.sendto(data, self.to)

    async def final(self, message: bytes, method: str) -> tuple[int, str, str] | None:
        """(status, reason, whole text) of the final answer; None: nobody answered in time. Resent until then."""
        until, heard = time.monotonic() + ANSWER_S, False
        while (left := until - time.monotonic()) > 0:
            if not heard:
                self.send(message)
            try:
                async with asyncio.timeout(min(left, RESEND_S if not heard else left)):
                    data, _ = await self._inbox.queue.get()
            except TimeoutError:
                if not heard and until - time.monotonic() < ANSWER_S - 3:
                    return None
                continue
            text = data.decode("utf-8", "replace")
            found = re.match(r"SIP/2\.0 (\d{3}) ?([^\r\n]*)", text)
            if found and re.search(rf"^CSeq: *\d+ {method}", text, re.MULTILINE | re.IGNORECASE):
                heard = True
                if int(found[1]) >= 200:
                    return int(found[1]), found[2], text
        return None


async def _options(peer: _Peer, facts: CallFacts) -> CallFacts:
    uri = f"sip:{peer.to[0]}:{peer.to[1]}"
    began = time.monotonic()
    answer = await peer.final(peer.request("OPTIONS", uri, f"<{uri}>", 1), "OPTIONS")
    if answer is None:
        return facts
    return replace(facts, status=answer[0], reason=answer[1], setup_ms=(time.monotonic() - began) * 1000)


async def _call(
    peer: _Peer, facts: CallFacts, rtp: asyncio.DatagramTransport, heard: _Inbox, listen_s: float
) -> CallFacts:
    uri = f"sip:{facts.number}@{peer.to[0]}:{peer.to[1]}"
    body = (
        f"v=0\r\no=- 1 1 IN IP4 {peer.local}\r\ns=-\r\nc=IN IP4 {peer.local}\r\nt=0 0\r\n"
        f"m=audio {peer.rtp_port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
    )
    began = time.monotonic()
    answer = await peer.final(peer.request("INVITE", uri, f"<{uri}>", 1, body), "INVITE")
    if answer is None:
        peer.send(peer.request("CANCEL", uri, f"<{uri}>", 1))
        return facts
    status, reason, text = answer
    facts = replace(facts, status=status, reason=reason, setup_ms=(time.monotonic() - began) * 1000)
    to = _header(text, "To") or f"<{uri}>"
    if status != 200:
        peer.send(peer.request(REFUSED, uri, to, 1))
        return facts
    target = re.search(r"<([^>]+)>", _header(text, "Contact"))
    contact, routes = target[1] if target else uri, _routes(text)
    peer.send(peer.request("ACK", contact, to, 1, routes=routes))
    try:
        return await _listen(replace(facts, **_sdp(text)), rtp, heard, listen_s)
    finally:
        await peer.final(peer.request("BYE", contact, to, 2, routes=routes), "BYE")


async def _listen(
    facts: CallFacts, rtp: asyncio.DatagramTransport, heard: _Inbox, listen_s: float
) -> CallFacts:
    """Send silence, as a phone does, and count what comes."""
    ssrc, packets, loud, source = secrets.randbits(32), 0, 0, ""
    until, number = time.monotonic() + listen_s, 0
    while time.monotonic() < until:
        if facts.sdp_port:
            head = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160, ssrc)
            rtp.sendto(head + SILENCE, (facts.sdp_address, facts.sdp_port))
            number += 1
        await asyncio.sleep(FRAME_S)
        while not heard.queue.empty():
            data, address = heard.queue.get_nowait()
            if len(data) > 12 and data[0] >> 6 == 2:
                packets, source = packets + 1, address[0]
                loud += sum(byte not in _QUIET and byte not in b"\xd5\x55" for byte in data[12:]) > LOUD
    return replace(facts, packets=packets, loud_packets=loud, from_address=source)


def _sdp(text: str) -> Mapping[str, Any]:
    """Address, port and codecs of the audio stream of an answer."""
    address = re.search(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
    media = re.search(r"^m=audio (\d+) \S+ ([\d ]+)", text, re.MULTILINE)
    names = {"0": "PCMU", "8": "PCMA"}
    codecs = tuple(names[one] for one in media[2].split() if one in names) if media else ()
    return {
        "sdp_address": address[1] if address else "",
        "sdp_port": int(media[1]) if media else 0,
        "codecs": codecs,
    }


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}: *([^\r\n]*)", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def _routes(text: str) -> str:
    """The route set: Record-Route of the answer the other way round (RFC 3261 section 12.1.2)."""
    found = re.findall(r"^Record-Route: *([^\r\n]*)", text, re.MULTILINE | re.IGNORECASE)
    entries = [one.strip() for line in found for one in line.split(",")]
    return "".join(f"Route: {one}\r\n" for one in reversed(entries))
