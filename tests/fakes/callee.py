"""Who is called: a raw phone that takes INVITEs of the worker, on a port of its own."""

import re
from contextlib import asynccontextmanager

from tests.fakes.rawphone import RawPhone


class Callee(RawPhone):
    """Its URI is known before the worker starts; `invite_of` waits for a call, the rest is what it does with it."""

    def __init__(self, port=0):
        super().__init__(port)
        self.offer = None
        self.tag = "callee1"

    @property
    def uri(self):
        return f"sip:callee@127.0.0.1:{self.sip_port}"

    async def called(self):
        """The INVITE of the worker."""
        self.offer = await self.request("INVITE")
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", self.offer.headers["via"]).group(1))
        return self.offer

    def answer_with(self, status, phrase, body="", headers=""):
        """A response to the INVITE, with our tag."""
        contact = f"Contact: <{self.uri}>\r\n"
        names = {"via": "Via", "from": "From", "call-id": "Call-ID", "cseq": "CSeq"}
        copied = "".join(f"{name}: {self.offer.headers[key]}\r\n" for key, name in names.items())
        to = f"To: {self.offer.headers['to']};tag={self.tag}\r\n"
        content = "Content-Type: application/sdp\r\n" if body else ""
        if "record-route" in self.offer.headers:
            headers += f"Record-Route: {self.offer.headers['record-route']}\r\n"
        head = f"SIP/2.0 {status} {phrase}\r\n{copied}{to}{contact}{headers}{content}"
        self.raw(f"{head}Content-Length: {len(body)}\r\n\r\n{body}")

    @property
    def way(self):
        """The proxies between us and the worker (RFC 3261 section 12.1.1)."""
        proxies = self.offer.headers.get("record-route", "")
        return f"Route: {proxies}\r\n" if proxies else ""

    async def takes(self, **sdp):
        """Ring, answer, wait for the ACK; audio can flow."""
        await self.called()
        self.answer_with(180, "Ringing")
        self.answer_with(200, "OK", self.sdp(**sdp).replace("101", str(self.event_type)))
        port = re.search(r"m=audio (\d+)", self.offer.body)
        self.rtp_to = ("127.0.0.1", int(port.group(1)))
        return await self.request("ACK")

    @property
    def event_type(self):
        """The payload type that the worker offers for telephone-event."""
        return int(re.search(r"a=rtpmap:(\d+) telephone-event", self.offer.body).group(1))

    async def presses(self, digit):
        """RFC 4733 with the offer's payload type."""
        await self.press(digit, kind=self.event_type)

    async def refuses(self, status=486, phrase="Busy Here"):
        """No."""
        await self.called()
        self.answer_with(status, phrase)
        return await self.request("ACK")

    def message(
        self, method, *, body="", headers="", number=None, branch=None, to="", kind="application/sdp"
    ):
        """A request within the dialog that the worker began."""
        del to
        number = next(self.numbers) if number is None else number
        branch = branch or f"z9hG4bK{self.call_id}{method}{number}"
        target = re.search(r"<([^>]+)>", self.offer.headers["contact"]).group(1)
        content = f"Content-Type: {kind}\r\n" if body else ""
        return (
            f"{method} {target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.sip_port};branch={branch}\r\nMax-Forwards: 70\r\n"
            f"From: {self.offer.headers['to']};tag={self.tag}\r\nTo: {self.offer.headers['from']}\r\n"
            f"Call-ID: {self.offer.headers['call-id']}\r\nCSeq: {number} {method}\r\nContact: <{self.uri}>\r\n"
            f"{self.way}"
            f"{headers}{content}Content-Length: {len(body)}\r\n\r\n{body}"
        )


@asynccontextmanager
async def callee():
    """A phone with its sockets open."""
    phone = Callee()
    await phone.open()
    try:
        yield phone
    finally:
        phone.close()
