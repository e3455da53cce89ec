"""The load tool's signalling: SIPp places the calls, and one INVITE of our own is timed to the microsecond.

SIPp says `INVITE` with the RTP port of one of the telephones (loadmedia.py), and takes calls down when their time is
over. Where a call goes to is a field of its line, so that calls can be spread over workers without an edge.
"""

import csv
import random
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.loadmedia import PORTS_PER_CALL

NUMBER = "100"
RING_S = 20
_SDP = (
    "v=0\r\no=load 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)
_REQUEST = """<send{more}><![CDATA[

{method} {target} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: "load" <sip:load-[field0]@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:{number}@[field1]:[field2]>{tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
{routes}Contact: <sip:load-[field0]@[local_ip]:[local_port]>
Max-Forwards: 70
{body}
]]></send>"""
_SDP_BODY = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=load 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [field0] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
"""
_NO_BODY = "Content-Length: 0\n"


def scenario(number: str = NUMBER) -> str:
    """The SIPp scenario: INVITE (timed to its 200), ACK, a pause of -d, BYE."""

    def request(method: str, cseq: int, body: str, *, more: str = "", inside: bool = True) -> str:
        target = "[next_url]" if inside else f"sip:{number}@[field1]:[field2]"
        tag, routes = ("[peer_tag_param]", "[routes]\n") if inside else ("", "")
        return _REQUEST.format(
            method=method,
            target=target,
            number=number,
            tag=tag,
            cseq=cseq,
            routes=routes,
            body=body,
            more=more,
        )

    parts = [
        '<nop><action><setdest host="[field1]" port="[field2]" protocol="udp"/></action></nop>',
        request("INVITE", 1, _SDP_BODY, more=' retrans="500" start_rtd="setup"', inside=False),
        '<recv response="100" optional="true"/>',
        '<recv response="180" optional="true"/>',
        '<recv response="183" optional="true"/>',
        '<recv response="200" rtd="setup" rrs="true"/>',
        request("ACK", 1, _NO_BODY),
        "<pause/>",
        request("BYE", 2, _NO_BODY, more=' retrans="500"'),
        '<recv response="200"/>',
    ]
    body = "\n".join(parts)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="load">\n{body}\n</scenario>\n'


@dataclass(frozen=True, slots=True)
class Placed:
    """What SIPp says of its calls: how many went well, and INVITE to 200 of each in milliseconds."""

    calls: int
    good: int
    setup_ms: tuple[float, ...]
    said: str


class Caller:
    """SIPp, placing calls at `rate` a second, each up for `hold_s`. `places`: (address, port) of call 0, 1, 2, …"""

    def __init__(  # the facts of a run
        self,
        folder: Path,
        name: str,
        places: Sequence[tuple[str, int]],
        media_port: int,
        *,
        telephones: int,
        rate: float,
        hold_s: float,
        address: str = "127.0.0.1",
    ) -> None:
        self._folder = folder / f"sipp-{name}"
        self._folder.mkdir()
        (self._folder / "load.xml").write_text(scenario(), encoding="utf-8")
        lines = [
            f"{media_port + PORTS_PER_CALL * (index % telephones)};{host};{port};"
            for index, (host, port) in enumerate(places)
        ]
        (self._folder / "calls.csv").write_text("\n".join(["SEQUENTIAL", *lines, ""]), encoding="utf-8")
        self._calls = len(places)
        self._deadline_s = self._calls / rate + hold_s + RING_S + 15
        host, port = places[0]
        command = [
            "sipp", f"{host}:{port}", "-sf", "load.xml", "-inf", "calls.csv", "-m", str(self._calls),
            "-l", str(self._calls), "-r", f"{rate:g}", "-rp", "1000", "-d", str(round(hold_s * 1000)), "-i", address,
            "-p", str(_free_udp(address)), "-mi", address, "-nostdin", "-recv_timeout", str(RING_S * 1000),
            "-timeout", str(round(self._deadline_s)), "-trace_rtt", "-rtt_freq", "1", "-trace_stat", "-stf", "stat.csv",
            "-fd", "1", "-trace_err", "-error_file", "errors.log",
        ]  # fmt: skip
        with (self._folder / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=screen, stderr=subprocess.STDOUT
            )
        self.pid = self._process.pid

    def ended(self) -> bool:
        """Whether SIPp is over."""
        return self._process.poll() is not None

    def finish(self) -> Placed:
        """Wait for the end of all calls."""
        try:
            self._process.wait(self._deadline_s + 10)
        except subprocess.TimeoutExpired:
            self.kill()
        errors = self._folder / "errors.log"
        said = errors.read_text(errors="replace")[-1500:] if errors.exists() else ""
        good = _last(self._folder / "stat.csv", "SuccessfulCall(C)")
        return Placed(self._calls, good, tuple(self._setup_ms()), said)

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _setup_ms(self) -> list[float]:
        found = []
        for path in self._folder.glob("*_rtt.csv"):
            rows = csv.reader(path.read_text().splitlines()[1:], delimiter=";")
            found += [float(row[1]) for row in rows]
        return found


def _last(path: Path, column: str) -> int:
    """The last value of a column of SIPp's statistics."""
    rows = list(csv.DictReader(path.read_text().splitlines(), delimiter=";")) if path.exists() else []
    return int(rows[-1][column]) if rows else 0


def _free_udp(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that should not be let in: the final status, after how long, and Retry-After ("" without)."""

    status: int
    ms: float
    retry_after: str


def one_too_many(place: tuple[str, int], deadline_s: float = 3.0) -> Refusal:
    """Place one call and wait for its final answer; acknowledge it. Status 0: no answer in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(place)
        sock.settimeout(deadline_s)
        here = f"127.0.0.1:{sock.getsockname()[1]}"
        ident = f"{random.getrandbits(48):x}"
        target = f"sip:{NUMBER}@{place[0]}:{place[1]}"
        common = (
            f"{{method}} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{ident};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:late@{here}>;tag={ident}\r\nTo: <{target}>{{tag}}\r\n"
            f"Call-ID: {ident}@load\r\nCSeq: 1 {{method}}\r\nContact: <sip:late@{here}>\r\n"
        )
        body = _SDP.format(host="127.0.0.1", port=9)
        invite = common.format(method="INVITE", tag="") + (
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        began = time.perf_counter()
        sock.send(invite.encode())
        try:
            while True:
                answer = sock.recv(8192).decode("utf-8", "replace")
                status = int(answer.split(" ", 2)[1])
                if status >= 200:
                    break
        except (TimeoutError, ConnectionRefusedError):
            return Refusal(0, deadline_s * 1000, "")
        ms = (time.perf_counter() - began) * 1000
        headers = dict(
            line.split(": ", 1) for line in answer.split("\r\n\r\n")[0].split("\r\n")[1:] if ": " in line
        )
        tag = headers.get("To", "").partition(";tag=")
        ack = common.format(method="ACK", tag="".join(tag[1:])) + "Content-Length: 0\r\n\r\n"
        sock.send(ack.encode())
        if status == 200:  # it was let in: take it down again
            bye = common.format(method="BYE", tag="".join(tag[1:])).replace("CSeq: 1", "CSeq: 2")
            sock.send(
                (bye.replace(f"z9hG4bK{ident}", f"z9hG4bKb{ident}") + "Content-Length: 0\r\n\r\n").encode()
            )
        return Refusal(status, round(ms, 2), headers.get("Retry-After", ""))
