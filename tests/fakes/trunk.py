"""A SIP trunk with telephones behind it: it keeps every INVITE, and each number answers as a test says.

A behaviour is a function `(call) -> coroutine`; busy, reject, silent (rings until CANCEL), and `answers(pcm…)`, which
picks up, says its PCM and listens until BYE. No transactions: a retransmitted INVITE is kept and not answered twice.
"""

import asyncio
import re
import time
from contextlib import asynccontextmanager

from bridge.media.g711 import pcmu_encode
from tests.fakes.rawphone import Inbox, loudness, parse, read_rtp

SILENT_20_MS = bytes(320)


class TrunkCall:
    """One INVITE and what follows it."""

    def __init__(self, trunk, invite):
        self.trunk, self.invite = trunk, invite
        self.number = re.match(r"INVITE sip:([^@]+)@", invite.start).group(1)
        self.acked, self.over, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.rtp = self.transport = None
        self.at = invite.at
        self.peer = trunk.peer

    def reply(self, status, phrase, request=None, body="", headers=""):
        request = request or self.invite
        names = {"via": "Via", "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq"}
        copied = "".join(f"{name}: {request.headers[key]}\r\n" for key, name in names.items())
        if "record-route" in request.headers:  # of a proxy between us
            copied += f"Record-Route: {request.headers['record-route']}\r\n"
        if status > 100 and "tag=" not in request.headers["to"]:
            copied = re.sub(r"(?m)^(To: .*?)\r$", rf"\1;tag=t{id(self)}\r", copied)
        content = "Content-Type: application/sdp\r\n" if body else ""
        contact = f"Contact: <sip:{self.number}@127.0.0.1:{self.trunk.port}>\r\n"
        self.trunk.send(
            self.peer,
            f"SIP/2.0 {status} {phrase}\r\n{copied}{contact}{headers}{content}"
            f"Content-Length: {len(body)}\r\n\r\n{body}",
        )

    async def pick_up(self):
        loop = asyncio.get_running_loop()
        self.transport, self.rtp = await loop.create_datagram_endpoint(
            lambda: Inbox(read_rtp), local_addr=("127.0.0.1", 0)
        )
        port = self.transport.get_extra_info("sockname")[1]
        self.rtp_to = ("127.0.0.1", int(re.search(r"m=audio (\d+)", self.invite.body).group(1)))
        body = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
        )
        self.answered_at = time.monotonic()
        self.reply(200, "OK", body=body)

    async def speak(self, pcm):
        """Say it, then silence, until BYE."""
        start, number = time.monotonic(), 0
        while not self.over.is_set():
            await asyncio.sleep(max(start + number * 0.02 - time.monotonic(), 0))
            piece = pcm[number * 320 : number * 320 + 320]
            payload = pcmu_encode(piece if len(piece) == 320 else SILENT_20_MS)
            head = (
                b"\x80\0"
                + (number & 0xFFFF).to_bytes(2, "big")
                + (number * 160).to_bytes(4, "big")
                + b"\0\0\0\7"
            )
            self.transport.sendto(head + payload, self.rtp_to)
            number += 1

    def bye(self):
        """Hang up."""
        headers = self.invite.headers
        self.ended_at = time.monotonic()
        self.over.set()
        self.trunk.send(
            self.peer,
            "BYE sip:bridge@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.trunk.port};branch=z9hG4bKb{id(self)}\r\n"
            f"From: {headers['to']};tag=t{id(self)}\r\nTo: {headers['from']}\r\nCall-ID: {headers['call-id']}\r\n"
            "CSeq: 9 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        )

    def heard(self, level=500):
        """Packets with sound in them, with their times."""
        return (
            []
            if self.rtp is None
            else [p for p in self.rtp.got if p.payload_type == 0 and loudness(p.payload) > level]
        )


async def busy(call):
    call.reply(486, "Busy Here")


async def reject(call):
    call.reply(603, "Decline")


async def silent(call):
    """Rings, and nobody comes."""
    call.reply(180, "Ringing")
    await call.cancelled.wait()
    call.reply(487, "Request Terminated")


def answers(pcm, ring_s=0.1, hang_up_after_s=None):
    """Somebody, or something, picks up and says this."""

    async def behave(call):
        call.reply(180, "Ringing")
        await asyncio.sleep(ring_s)
        await call.pick_up()
        await call.speak(pcm)

    return behave


class Trunk(asyncio.DatagramProtocol):
    """`behaviours`: by number; `default` for the rest. `invites`: every number that was dialled, in order."""

    def __init__(self, behaviours=None, default=busy):
        self.behaviours, self.default = behaviours or {}, default
        self.calls, self.tasks, self.port = {}, set(), 0
        self.changed = asyncio.Event()
        self.requests = []

    @property
    def invites(self):
        return [call.number for call in self.calls.values()]

    def of(self, number):
        """The calls to a number."""
        return [call for call in self.calls.values() if call.number == number]

    def send(self, peer, text):
        self.transport.sendto(text.encode(), peer)

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, addr):
        message = parse(data, time.monotonic())
        if message.status:
            return
        self.peer = addr
        self.requests.append(message)
        call = self.calls.get(message.headers["call-id"])
        if message.method == "INVITE" and call is None:
            call = self.calls[message.headers["call-id"]] = TrunkCall(self, message)
            behave = self.behaviours.get(call.number, self.default)
            behave = behave.pop(0) if isinstance(behave, list) else behave
            task = asyncio.create_task(behave(call))
            self.tasks.add(task)
        elif call is not None and message.method == "ACK":
            call.acked.set()
        elif call is not None and message.method in {"BYE", "CANCEL"}:
            call.reply(200, "OK", message)
            call.ended_at = message.at
            (call.over if message.method == "BYE" else call.cancelled).set()
        self.changed.set()

    async def until(self, condition, guard_s=15.0):
        """Wait until it holds."""
        async with asyncio.timeout(guard_s):
            while not condition():
                self.changed.clear()
                try:
                    async with asyncio.timeout(0.1):
                        await self.changed.wait()
                except TimeoutError:
                    continue


@asynccontextmanager
async def fake_trunk(behaviours=None, default=busy):
    """A trunk on a free port of loopback."""
    loop = asyncio.get_running_loop()
    transport, trunk = await loop.create_datagram_endpoint(
        lambda: Trunk(behaviours, default), local_addr=("127.0.0.1", 0)
    )
    try:
        yield trunk
        problems = [task.exception() for task in trunk.tasks if task.done() and task.exception()]
        assert not problems, problems
    finally:
        for task in trunk.tasks:
            task.cancel()
        await asyncio.gather(*trunk.tasks, return_exceptions=True)
        for call in trunk.calls.values():
            if call.transport is not None:
                call.transport.close()
        transport.close()
