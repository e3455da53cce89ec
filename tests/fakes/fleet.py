"""Many phones in one process, on addresses given to them: each says its own sound and tells it from everybody else's.

    fleet = Fleet(network, "phones", "203.0.113.9", ("203.0.113.1", 5060))
    call = await fleet.call("100")            # INVITE, retransmitted as RFC 3261 says, until a final answer
    call.status, call.answered_s, call.heard, call.foreign, call.silences(since)

The sound of phone n is a pattern of 40 signs, over and over, that no other phone has however it is turned: what an echo
brings back is known by it as its own, foreign, or neither (silence, the concealment of a lost packet). SIP is the least
a user agent has to do: retransmissions of INVITE and BYE, ACK for every 200, 200 for every request from the other side.
"""

import asyncio
import itertools
import random
import re
import socket
import struct
import time
from array import array
from collections import Counter
from contextlib import asynccontextmanager, contextmanager

from tests.fakes.rawphone import parse

PHONES, PERIOD = 64, 40
FRAME_MS = 20
T1_S, T2_S = 0.5, 4.0
SILENCE = b"\xff" * 160
_serial, _callers = itertools.count(1), itertools.count(1)


def _patterns():
    """A pattern of `PERIOD` signs for each phone; turned as you like it is unlike every other in 6 signs at least."""
    dice, found, seen = random.Random(7), [], []
    while len(found) < PHONES:
        word = dice.getrandbits(PERIOD)
        turned = [(word >> at | word << (PERIOD - at)) & (1 << PERIOD) - 1 for at in range(PERIOD)]
        if all((turned[0] ^ other).bit_count() >= 6 for other in (*seen, *turned[1:])):
            found.append(turned)
            seen += turned
    return found


def _sounds(turned):
    """20 ms of a pattern in each of its turns, G.711."""
    return [
        bytes(0x90 if word >> at & 1 else 0x10 for at in range(PERIOD)) * (160 // PERIOD) for word in turned
    ]


SOUNDS = [_sounds(turned) for turned in _patterns()]
WHOSE = {sound: number for number, sounds in enumerate(SOUNDS) for sound in sounds}
SIGNS = bytes(1 if byte & 0x80 else 0 for byte in range(256))
WORDS = {sound[:PERIOD].translate(SIGNS): number for sound, number in WHOSE.items()}


def voice(number):
    """20 ms of phone `number`, loud."""
    return SOUNDS[number][0]


def whose(payload):
    """The phone whose voice this is; None: nobody's, or too little of it."""
    number = WHOSE.get(payload)
    if number is not None or payload == SILENCE:
        return number
    signs = payload.translate(SIGNS)
    counts = Counter(WORDS.get(signs[at : at + PERIOD]) for at in range(len(signs) - PERIOD + 1))
    number, count = counts.most_common(1)[0] if counts else (None, 0)
    return number if count >= 60 else None


class Call:
    """One call and what became of it; times are of the loop's clock, seconds."""

    def __init__(self, fleet, number, to, caller):
        self.fleet, self.number, self.to, self.caller = fleet, number, to, caller
        self.call_id = f"fleet-{next(_serial)}-{time.monotonic_ns()}"
        self.began_at = self.ended_at = self.answered_at = None
        self.status, self.reason, self.ended_by = 0, "", ""
        self.heard, self.foreign, self.sent = array("d"), 0, 0
        self.rtp_to, self.target, self.route, self.to_tag = None, "", "", ""
        self.answers = asyncio.Queue()
        self.over = asyncio.Event()
        self.talking = False
        self.branch = f"z9hG4bK{self.call_id}"
        self.cseq = 1
        self._sequence = self._timestamp = 0

    # ---- what came of it ---------------------------------------------------------------------------------------

    @property
    def up(self):
        return self.answered_at is not None and self.ended_at is None

    @property
    def answered_s(self):
        """From INVITE to 200."""
        return None if self.answered_at is None else self.answered_at - self.began_at

    def silences(self, since=0.0, least_s=0.2, until=None):
        """(from, seconds) of every time its own voice did not come back."""
        until = until or self.ended_at or self.fleet.now()
        times = [max(since, self.answered_at), *(at for at in self.heard if at > since), until]
        return [(a, b - a) for a, b in itertools.pairwise(times) if b - a >= least_s]

    # ---- SIP ---------------------------------------------------------------------------------------------------

    def message(self, method, *, body="", branch=None, cseq=None):
        host, port = self.fleet.address, self.fleet.sip_port
        where = self.target or f"sip:{self.to}@{self.fleet.place[0]}:{self.fleet.place[1]}"
        content = "Content-Type: application/sdp\r\n" if body else ""
        tag = f";tag={self.to_tag}" if self.to_tag else ""
        return (
            f"{method} {where} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch={branch or self.branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{self.caller}@{host}:{port}>;tag={self.call_id[-9:]}\r\n"
            f"To: <sip:{self.to}@{self.fleet.place[0]}>{tag}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {cseq or self.cseq} {method}\r\nContact: <sip:{self.caller}@{host}:{port}>\r\n{self.route}{content}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def sdp(self):
        host, port = self.fleet.address, self.fleet.rtp_port(self.number)
        return (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
            "a=sendrecv\r\n"
        )

    async def place(self, give_up_s):
        """INVITE until a final answer; 408 when none came in time."""
        self.began_at = self.fleet.now()
        answer = await self._transaction(self.message("INVITE", body=self.sdp()), "INVITE", give_up_s)
        if answer is None:
            self.status, self.ended_at = 408, self.fleet.now()
            self.over.set()
            return
        self.status = answer.status
        self.reason = answer.headers.get("reason", "") or answer.start
        tag = re.search(r";tag=([^;\s]+)", answer.headers["to"])
        self.to_tag = tag.group(1) if tag else ""
        if self.status >= 300:
            self.fleet.send(self.message("ACK"))
            self.ended_at = self.fleet.now()
            self.over.set()
            return
        self._take(answer)
        self.acknowledge()
        if not self.ended_at:
            self.answered_at = self.fleet.now()
            self.talking = True

    def _take(self, answer):
        self.target = re.search(r"<([^>]+)>", answer.headers["contact"]).group(1)
        proxies = answer.headers.get("record-route", "")
        if proxies:
            self.route = f"Route: {', '.join(reversed(re.split(r',[ ]*(?=<)', proxies)))}\r\n"
        address = re.search(r"c=IN IP4 (\S+)", answer.body).group(1)
        self.rtp_to = address, int(re.search(r"m=audio (\d+)", answer.body).group(1))

    def acknowledge(self):
        self.fleet.send(self.message("ACK", branch=f"{self.branch}a", cseq=1))

    async def hang_up(self, give_up_s=4.0):
        """BYE; its status, 0 without an answer."""
        if not self.up:
            return 0
        self.talking = False
        self.cseq += 1
        text = self.message("BYE", branch=f"{self.branch}b{self.cseq}")
        answer = await self._transaction(text, "BYE", give_up_s)
        self.ended("caller")
        return answer.status if answer else 0

    def ended(self, by):
        if self.ended_at is None:
            self.ended_at, self.ended_by, self.talking = self.fleet.now(), by, False
            self.over.set()

    async def _transaction(self, text, method, give_up_s):
        """Timer A or E, until an answer; then what the last answer is. A provisional one ends an INVITE's repeats."""
        until, wait, provisional = self.fleet.now() + give_up_s, T1_S, False
        self.fleet.send(text)
        while (left := until - self.fleet.now()) > 0:
            try:
                async with asyncio.timeout(min(left, left if provisional else wait)):
                    answer = await self.answers.get()
            except TimeoutError:
                if not provisional:
                    self.fleet.send(text)
                    wait = min(wait * 2, T2_S)
                continue
            if not answer.headers["cseq"].endswith(method):
                continue
            if answer.status >= 200:
                return answer
            provisional = method == "INVITE"
        return None

    # ---- RTP ---------------------------------------------------------------------------------------------------

    def say(self, transport):
        """One packet of its voice."""
        header = struct.pack(
            "!BBHII", 0x80, 0, self._sequence & 0xFFFF, self._timestamp & 0xFFFFFFFF, 4711 + self.number
        )
        transport.sendto(header + voice(self.number), self.rtp_to)
        self._sequence += 1
        self._timestamp += 160
        self.sent += 1

    def hear(self, payload):
        """A packet came."""
        number = whose(payload)
        if number == self.number:
            self.heard.append(self.fleet.now())
        self.foreign += number is not None and number != self.number


class _Rtp(asyncio.DatagramProtocol):
    def __init__(self, fleet, number):
        self._fleet, self._number = fleet, number

    def datagram_received(self, data, addr):
        call = self._fleet.at.get(self._number)
        if call is not None and len(data) > 12 and data[1] & 127 == 0:
            call.hear(data[12:])

    def error_received(self, exc):
        """A machine that is gone says so by ICMP."""


class _Sip(asyncio.DatagramProtocol):
    def __init__(self, fleet):
        self._fleet = fleet

    def datagram_received(self, data, addr):
        if len(data) > 8:
            self._fleet.received(parse(data, self._fleet.now()), addr)

    def error_received(self, exc):
        pass


class Fleet:
    """All the phones. `network.inside(host)` opens their sockets; calls go to `place`."""

    def __init__(self, network, host, address, place, phones=PHONES):
        self.network, self.host, self.address, self.place = network, host, address, place
        self.calls, self.at, self.by_id = [], {}, {}
        self._free = list(range(phones))
        self._rtp, self.sip_port, self.late_ms = [], 0, 0.0
        self.others = []

    def now(self):
        return asyncio.get_running_loop().time()

    @asynccontextmanager
    async def running(self):
        loop = asyncio.get_running_loop()
        with self.network.inside(self.host):
            sockets = [_udp(self.address) for _ in range(len(self._free) + 1)]
        self._sip, _ = await loop.create_datagram_endpoint(lambda: _Sip(self), sock=sockets[0])
        self.sip_port = sockets[0].getsockname()[1]
        for number, sock in enumerate(sockets[1:]):
            transport, _ = await loop.create_datagram_endpoint(lambda n=number: _Rtp(self, n), sock=sock)
            self._rtp.append(transport)
        talk = asyncio.create_task(self._talk())
        try:
            yield self
        finally:
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)
            for transport in (self._sip, *self._rtp):
                transport.close()

    def rtp_port(self, number):
        return self._rtp[number].get_extra_info("sockname")[1]

    def send(self, text):
        self._sip.sendto(text.encode(), self.place)

    async def call(self, to="100", caller=None, give_up_s=10.0):
        """Place a call; it talks from the answer on."""
        number = self._free.pop(0)
        call = Call(self, number, to, caller or f"+4930{next(_callers):06}")
        self.calls.append(call)
        self.at[number], self.by_id[call.call_id] = call, call
        await call.place(give_up_s)
        if not call.up:
            self.free(call)
        return call

    async def calls_of(self, count, to="100", spacing_s=0.05):
        """So many calls, one after the other; those that are up."""
        tasks = []
        for _ in range(count):
            tasks.append(asyncio.create_task(self.call(to)))
            await asyncio.sleep(spacing_s)
        return [call for call in await asyncio.gather(*tasks) if call.up]

    def free(self, call):
        """Its phone may be used again."""
        if self.at.get(call.number) is call:
            del self.at[call.number]
            self._free.append(call.number)

    async def hang_up(self, calls):
        """All of them at once; the statuses of the BYEs."""
        statuses = await asyncio.gather(*(call.hang_up() for call in calls))
        for call in calls:
            self.free(call)
        return statuses

    @contextmanager
    def forgetting(self):
        """What ended is not kept: for runs of hours."""
        yield
        for call in [call for call in self.calls if call.ended_at is not None]:
            self.calls.remove(call)
            self.by_id.pop(call.call_id, None)

    def received(self, message, addr):
        call = self.by_id.get(message.headers.get("call-id", ""))
        if message.status:
            if call is None:
                return
            if message.status == 200 and call.answered_at and message.headers["cseq"].endswith("INVITE"):
                call.acknowledge()
            else:
                call.answers.put_nowait(message)
            return
        if message.method == "ACK":
            return
        self._answer(message, addr)
        if message.method == "BYE" and call is not None:
            call.reason = message.headers.get("reason", "")
            call.ended("bridge")
            self.free(call)
        elif call is None:
            self.others.append(message)

    def _answer(self, request, addr):
        names = {"via": "Via", "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq"}
        copied = "".join(
            f"{name}: {request.headers[key]}\r\n" for key, name in names.items() if key in request.headers
        )
        self._sip.sendto(f"SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n".encode(), addr)

    async def _talk(self):
        """Every phone that talks sends a packet every 20 ms."""
        started, ticks = self.now(), 0
        while True:
            ticks += 1
            wait = started + ticks * FRAME_MS / 1000 - self.now()
            self.late_ms = max(self.late_ms, -wait * 1000)
            await asyncio.sleep(max(wait, 0))
            for number, call in list(self.at.items()):
                if call.talking and call.rtp_to:
                    call.say(self._rtp[number])


def _udp(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.setblocking(False)
    return sock
