"""A SIP phone made of two UDP sockets: it sends exactly what a test says, and keeps all that comes with its time.

No transaction layer, no retransmissions, no jitter buffer: loopback loses nothing, and a test wants to see all of it.
"""

import asyncio
import itertools
import re
import struct
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bridge.media.g711 import pcma_decode, pcmu_decode, pcmu_encode

GUARD_S = 20.0
_serial = itertools.count(1)


@dataclass
class Message:
    """A SIP message that came."""

    start: str
    headers: dict
    body: str
    at: float

    @property
    def status(self):
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self):
        return "" if self.status else self.start.split()[0]

    @property
    def cseq(self):
        return self.headers["cseq"].split()[1]


@dataclass
class Rtp:
    """An RTP packet that came."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    payload: bytes
    at: float


def parse(data, at):
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        known = headers.setdefault(name.strip().lower(), value.strip())
        if name.lower() in {"via", "record-route"} and known != value.strip():
            headers[name.lower()] += f", {value.strip()}"  # a proxy's way back
    return Message(start, headers, body, at)


@dataclass
class Inbox(asyncio.DatagramProtocol):
    """Datagrams as they come, and a bell."""

    read: object
    got: list = field(default_factory=list)
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    hook: object = None

    def datagram_received(self, data, addr):
        item = self.read(data, time.monotonic())
        if item is not None:
            self.got.append(item)
            if self.hook is not None:
                self.hook(item)
            self.bell.set()

    async def until(self, find, guard_s=GUARD_S):
        """The first thing `find(everything so far)` says, as soon as it says one."""
        async with asyncio.timeout(guard_s):
            while (found := find(self.got)) is None:
                self.bell.clear()
                await self.bell.wait()
        return found


def read_rtp(data, at):
    if len(data) < 12:
        return None
    flags, kind, sequence, timestamp, _ = struct.unpack("!BBHII", data[:12])
    return None if flags >> 6 != 2 else Rtp(kind & 127, kind > 127, sequence, timestamp, data[12:], at)


SILENCE = b"\xff" * 160
LOUD = pcmu_encode(
    b"".join((12000 if n % 8 < 4 else -12000).to_bytes(2, "little", signed=True) for n in range(160))
)


def loudness(payload, law="pcmu"):
    """Peak of a G.711 payload."""
    pcm = (pcma_decode if law == "pcma" else pcmu_decode)(payload)
    return max(abs(int.from_bytes(pcm[n : n + 2], "little", signed=True)) for n in range(0, len(pcm), 2))


class RawPhone:
    """One call at a time to `port`. Method names are what it sends; `response`, `request`, `heard` are what came."""

    def __init__(self, port, host="127.0.0.1"):
        self.port = port
        self.host = host
        self.forget()
        self.invite_branch = ""
        self.sdp_version = 0
        self.numbers = itertools.count(1)
        self.rtp_to = None
        self.sip_port = self.rtp_port = 0
        self.sent = []
        self.sequence = 1000
        self.timestamp = 5000

    def forget(self):
        """What comes next is another call."""
        self.call_id = f"raw-{next(_serial)}-{time.monotonic_ns()}"
        self.to_tag = self.target = self.route = ""

    async def open(self):
        loop = asyncio.get_running_loop()
        self.sip_transport, self.sip = await loop.create_datagram_endpoint(
            lambda: Inbox(parse), local_addr=(self.host, 0)
        )
        self.rtp_transport, self.rtp = await loop.create_datagram_endpoint(
            lambda: Inbox(read_rtp), local_addr=(self.host, 0)
        )
        self.sip_port = self.sip_transport.get_extra_info("sockname")[1]
        self.rtp_port = self.rtp_transport.get_extra_info("sockname")[1]

    def close(self):
        self.sip_transport.close()
        self.rtp_transport.close()

    # ---- SIP -------------------------------------------------------------------------------------------------

    def raw(self, text):
        """Send a message as it stands."""
        self.sent.append(parse(text if isinstance(text, bytes) else text.encode(), time.monotonic()))
        self.sip_transport.sendto(
            text if isinstance(text, bytes) else text.encode(), ("127.0.0.1", self.port)
        )

    def sdp(self, codecs=(0,), direction="sendrecv", address="", ptime_ms=20, extra=""):
        names = {0: "PCMU/8000", 8: "PCMA/8000", 3: "GSM/8000", 9: "G722/8000", 97: "opus/48000/2"}
        self.sdp_version += 1
        maps = "".join(f"a=rtpmap:{codec} {names[codec]}\r\n" for codec in codecs)
        return (
            f"v=0\r\no=- 1 {self.sdp_version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {address or self.host}\r\nt=0 0\r\n"
            f"m=audio {self.rtp_port} RTP/AVP {' '.join(map(str, codecs))} 101\r\n{maps}"
            f"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:{ptime_ms}\r\na={direction}\r\n{extra}"
        )

    def message(
        self, method, *, body="", headers="", number=None, branch=None, to="100", kind="application/sdp"
    ):
        """A request of this dialog."""
        number = next(self.numbers) if number is None else number
        branch = branch or f"z9hG4bK{self.call_id}{method}{number}"
        tag = f";tag={self.to_tag}" if self.to_tag else ""
        content = f"Content-Type: {kind}\r\n" if body else ""
        headers = self.route + headers
        return (
            f"{method} {self.target or f'sip:{to}@127.0.0.1:{self.port}'} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.host}:{self.sip_port};branch={branch}\r\nMax-Forwards: 70\r\n"
            f'From: "Raw" <sip:raw@{self.host}:{self.sip_port}>;tag=r1\r\nTo: <sip:{to}@127.0.0.1>{tag}\r\n'
            f"Call-ID: {self.call_id}\r\nCSeq: {number} {method}\r\nContact: <sip:raw@{self.host}:{self.sip_port}>\r\n"
            f"{headers}{content}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def request_out(self, method, **fields):
        """Send a request; returns its CSeq number."""
        number = next(self.numbers)
        self.raw(self.message(method, number=number, **fields))
        return number

    async def response(self, number, method="INVITE", at_least=200, guard_s=GUARD_S):
        """The first response to CSeq `number` with that status or a higher one."""
        wanted = f"{number} {method}"

        def find(messages):
            return next(
                (m for m in messages if m.headers.get("cseq") == wanted and m.status >= at_least), None
            )

        return await self.sip.until(find, guard_s)

    async def request(self, method, guard_s=GUARD_S):
        """The first request of that method from the worker."""
        return await self.sip.until(lambda ms: next((m for m in ms if m.method == method), None), guard_s)

    def reply(self, request, status=200, phrase="OK", headers="", body=""):
        """Answer a request of the worker."""
        names = {"via": "Via", "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq"}
        copied = "".join(f"{name}: {request.headers[key]}\r\n" for key, name in names.items())
        content = "Content-Type: application/sdp\r\n" if body else ""
        self.raw(
            f"SIP/2.0 {status} {phrase}\r\n{copied}{headers}{content}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    async def invite(self, body=None, *, to="100", headers="", guard_s=GUARD_S):
        """INVITE, wait for the final response, ACK it; the response."""
        number = next(self.numbers)
        branch = f"z9hG4bK{self.call_id}i{number}"
        self.invite_branch, self.invite_number = branch, number
        body = self.sdp() if body is None else body
        self.raw(self.message("INVITE", body=body, number=number, branch=branch, to=to, headers=headers))
        answer = await self.response(number, guard_s=guard_s)
        self.take(answer)
        self.ack(number, branch if answer.status >= 300 else None, to=to)
        return answer

    def take(self, answer):
        """Remember the dialog and where audio goes."""
        tag = re.search(r";tag=([^;\s]+)", answer.headers["to"])
        if tag:
            self.to_tag = tag.group(1)
        port = re.search(r"m=audio (\d+)", answer.body)
        if port:
            self.rtp_to = ("127.0.0.1", int(port.group(1)))
        proxies = answer.headers.get("record-route", "") if answer.status < 300 else ""
        if proxies:
            self.target = re.search(r"<([^>]+)>", answer.headers["contact"]).group(1)
            self.route = f"Route: {', '.join(reversed(re.split(r',[ ]*(?=<)', proxies)))}\r\n"

    def ack(self, number, branch=None, body="", to="100"):
        self.raw(self.message("ACK", number=number, branch=branch, body=body, to=to))

    async def bye(self):
        return await self.response(self.request_out("BYE"), "BYE")

    # ---- RTP -------------------------------------------------------------------------------------------------

    def packet(self, payload, *, kind=0, marker=False, step=None, sequence=None, timestamp=None):
        """One RTP packet; counters go on by themselves unless told otherwise."""
        sequence = self.sequence if sequence is None else sequence
        timestamp = self.timestamp if timestamp is None else timestamp
        header = struct.pack("!BBHII", 0x80, kind | (128 if marker else 0), sequence & 0xFFFF, timestamp, 77)
        self.rtp_transport.sendto(header + payload, self.rtp_to)
        self.sequence = (sequence + 1) & 0xFFFF
        self.timestamp = timestamp + (len(payload) if step is None else step)

    async def speak(self, ms, payload=LOUD, *, kind=0, ptime_ms=20):
        """Send audio at the pace of a phone. `payload`: bytes, or a function of the packet's number."""
        start = time.monotonic()
        for number in range(round(ms / ptime_ms)):
            await asyncio.sleep(max(start + number * ptime_ms / 1000 - time.monotonic(), 0))
            self.packet(payload(number) if callable(payload) else payload, kind=kind)

    @asynccontextmanager
    async def speaking(self, payload=LOUD, **options):
        """Audio goes on for as long as the block runs."""
        task = asyncio.create_task(self.speak(60_000, payload, **options))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def press(self, digit, *, packets=4, marker=True, kind=101):
        """RFC 4733: packets of one event, the last three with the end bit."""
        event = "0123456789*#ABCD".index(digit)
        started = self.timestamp
        for number in range(packets + 3):
            end = number >= packets
            duration = 160 * min(number + 1, packets)
            payload = struct.pack("!BBH", event, (128 if end else 0) | 10, duration)
            self.packet(payload, kind=kind, marker=marker and not number, timestamp=started, step=0)
            await asyncio.sleep(0.02 if not end else 0)
        self.timestamp = started + 160 * (packets + 2)

    async def heard(self, count=1, *, loud=True, after=0.0, law="pcmu", guard_s=GUARD_S):
        """Wait for `count` packets with (or without) sound that came after `after`; all of them so far."""

        def find(packets):
            found = [
                p
                for p in packets
                if p.at > after and p.payload_type in {0, 8} and (loudness(p.payload, law) > 500) is loud
            ]
            return found if len(found) >= count else None

        return await self.rtp.until(find, guard_s)


@asynccontextmanager
async def raw_phone(port, host="127.0.0.1"):
    """A phone with its sockets open."""
    phone = RawPhone(port, host)
    await phone.open()
    try:
        yield phone
    finally:
        phone.close()


async def turned_away(port, guard_s=GUARD_S):
    """The answer to the first call that a worker does not take which was told to end; until it knows it takes them."""
    async with asyncio.timeout(guard_s):
        while True:
            async with raw_phone(port) as late:
                answer = await late.invite()
                if answer.status != 200:
                    return answer
                await late.bye()
