"""Doctor's caller against a scripted other side on real sockets."""

import asyncio
import re
import struct

from bridge.doctor.selfcall import look


class OtherSide(asyncio.DatagramProtocol):
    """Answers OPTIONS and INVITE; sends `packets` of RTP once it has an ACK."""

    def __init__(self, status=200, packets=30, byte=b"\x10", routes=""):
        self.status, self.packets, self.byte, self.routes = status, packets, byte, routes
        self.seen, self.branches = [], []
        self.routed = []

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, addr):
        text = data.decode("latin-1")
        if not re.match(r"[A-Z]+ sip", text):
            return
        method = text.split()[0]
        self.seen.append(method)
        self.branches += re.findall(r"branch=(\w+)", text)
        self.routed += re.findall(r"^Route: ([^\r\n]*)", text, re.MULTILINE)
        if method == "ACK" or (self.status == 0 and method != "OPTIONS"):
            self.speak(addr) if method == "ACK" else None
            return
        kept = "".join(
            f"{found}\r\n" for found in re.findall(r"^(?:Via|From|Call-ID|CSeq):[^\r\n]*", text, re.MULTILINE)
        )
        body = ""
        if method == "INVITE":
            self.rtp_to = int(re.search(r"m=audio (\d+)", text)[1])
            self.transport.sendto(f"SIP/2.0 100 Trying\r\n{kept}To: <sip:x>\r\n\r\n".encode(), addr)
            body = f"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {self.port} RTP/AVP 8 0 101\r\n"
        status = self.status if method == "INVITE" else 200
        head = (
            f"SIP/2.0 {status} Fine\r\n{kept}To: <sip:x>;tag=1\r\nContact: <sip:x@127.0.0.1:{self.port}>\r\n"
        )
        self.transport.sendto(f"{head}{self.routes}\r\n{body}".encode(), addr)

    def speak(self, addr):
        for number in range(self.packets):
            head = struct.pack("!BBHII", 0x80, 0, number, number * 160, 7)
            self.transport.sendto(head + self.byte * 160, (addr[0], self.rtp_to))


async def with_other(number="", **script):
    loop = asyncio.get_running_loop()
    transport, other = await loop.create_datagram_endpoint(
        lambda: OtherSide(**script), local_addr=("127.0.0.1", 0)
    )
    try:
        facts = await look("127.0.0.1", other.port, number, listen_s=0.3)
        for _ in range(3):  # what was sent last is read
            await asyncio.sleep(0)
        return facts, other
    finally:
        transport.close()


async def test_options_says_that_somebody_is_there():
    facts, other = await with_other()
    assert (facts.status, facts.number, other.seen) == (200, "", ["OPTIONS"])
    assert facts.setup_ms > 0


async def test_a_call_sees_sdp_and_packets_and_ends():
    routes = "Record-Route: <sip:a;lr>, <sip:b;lr>\r\nRecord-Route: <sip:c;lr>\r\n"
    facts, other = await with_other("199", routes=routes)
    assert (facts.status, facts.sdp_address, facts.sdp_port) == (200, "127.0.0.1", other.port)
    assert facts.codecs == ("PCMA", "PCMU")
    assert (facts.packets, facts.loud_packets, facts.from_address) == (30, 30, "127.0.0.1")
    assert other.seen == ["INVITE", "ACK", "BYE"]
    assert other.routed[:3] == ["<sip:c;lr>", "<sip:b;lr>", "<sip:a;lr>"]


async def test_silence_is_counted_as_such():
    facts, _ = await with_other("199", byte=b"\xff")
    assert (facts.packets, facts.loud_packets) == (30, 0)


async def test_a_refusal_is_what_was_seen():
    facts, other = await with_other("199", status=404, packets=0)
    assert (facts.status, facts.reason, facts.packets) == (404, "Fine", 0)
    assert other.seen == ["INVITE", "ACK"]  # else the other side repeats its answer for half a minute
    assert len(set(other.branches)) == 1


async def test_an_address_that_is_not_ours_is_an_error_and_no_exception():
    facts = await look("10.213.7.9", 5060)
    assert facts.error.startswith("no socket on 10.213.7.9")
