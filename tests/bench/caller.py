"""The bench's phone: N calls at once in one process, exact packet times, nothing understood.

    job (JSON on stdin) ──► INVITE/ACK, RTP both ways, BYE ──► everything sent and received, with times (pickle)

Sends go out at absolute times (20 ms apart, a random phase for each call) and are stamped just before `send`.
Receptions are stamped by the kernel when the packet arrives (SO_TIMESTAMPNS), so this loop may look late without
disturbing a figure, and so costs little: it sleeps, sends what is due, and empties that call's socket. All times
are CLOCK_MONOTONIC nanoseconds. It writes `up` to stdout when all calls are answered. Loopback only.
"""

import heapq
import json
import pickle
import random
import re
import select
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SO_TIMESTAMPNS = 35
HOST = "127.0.0.1"
PTIME_NS = 20_000_000
ANSWER_DEADLINE_S = 12.0
BYE_DEADLINE_S = 2.0
TAIL_NS = 200_000_000
_BUFFER_BYTES = 1 << 20


@dataclass(slots=True)
class CallResult:
    """What one call saw. `rx` are whole RTP packets."""

    label: str
    scene: str
    payload_type: int
    invite_ns: int = 0
    ringing_ns: int = 0
    answer_ns: int = 0
    status: int = 0
    bye_status: int = 0
    sent_ns: list[int] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    rx_ns: list[int] = field(default_factory=list)
    rx: list[bytes] = field(default_factory=list)


def _udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    sock.setblocking(False)
    return sock


def _rtp_pair() -> tuple[socket.socket, socket.socket]:
    while True:
        port = random.randrange(40000, 60000, 2)
        rtp, rtcp = _udp(), _udp()
        try:
            rtp.bind((HOST, port))
            rtcp.bind((HOST, port + 1))
        except OSError:
            rtp.close()
            rtcp.close()
        else:
            return rtp, rtcp


def received(sock: socket.socket) -> list[tuple[int, bytes]]:
    """Everything that waits on a socket, with the kernel's arrival times moved to CLOCK_MONOTONIC."""
    found = []
    while True:
        try:
            data, extra, _, _ = sock.recvmsg(4096, 64)
        except (BlockingIOError, ConnectionRefusedError):
            break
        seconds, nanoseconds = struct.unpack("qq", extra[0][2])
        found.append((seconds * 1_000_000_000 + nanoseconds, data))
    if not found:
        return found
    shift = time.time_ns() - time.monotonic_ns()
    return [(at - shift, data) for at, data in found]


class Call:
    """One call: its dialog, its sockets, its schedule."""

    def __init__(self, job: dict[str, Any], sip: socket.socket) -> None:
        self._sip = sip
        self._target = (HOST, job["port"])
        self._number = job["number"]
        self._ident = f"{random.getrandbits(64):x}"
        self._local = f"{HOST}:{sip.getsockname()[1]}"
        self._to_tag = ""
        self._rtp, self._rtcp = _rtp_pair()
        self._payloads = [row.tobytes() for row in np.load(job["payloads"])]
        self._sequence = random.randrange(1 << 15)
        self._timestamp = random.randrange(1 << 30)
        self._ssrc = random.getrandbits(32)
        self.due_ns = 0
        self.done = False
        self.result = CallResult(job["label"], job["scene"], job["payload_type"])

    @property
    def call_id(self) -> str:
        """SIP Call-ID."""
        return f"{self._ident}@bench"

    def _request(self, method: str, number: int, body: str = "") -> bytes:
        target = f"sip:{self._number}@{self._target[0]}:{self._target[1]}"
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._local};branch=z9hG4bK{self._ident}{number}{method};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.result.label}@{self._local}>;tag={self._ident}",
            f"To: <{target}>{self._to_tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:{self.result.label}@{self._local}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def invite(self) -> None:
        """Offer one codec, 20 ms."""
        kind = self.result.payload_type
        name = {0: "PCMU", 8: "PCMA"}[kind]
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {self._rtp.getsockname()[1]} RTP/AVP {kind} 101\r\na=rtpmap:{kind} {name}/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        )
        self.result.invite_ns = time.monotonic_ns()
        self._sip.sendto(self._request("INVITE", 1, body), self._target)

    def response(self, at_ns: int, status: int, message: str) -> None:
        """A response to our INVITE or BYE."""
        if "BYE" in message.split("CSeq:", 1)[1].split("\r\n", 1)[0]:
            self.result.bye_status = status
            self.done = True
            return
        if status < 200:
            if status == 180:
                self.result.ringing_ns = self.result.ringing_ns or at_ns
            return
        tag = re.search(r"^To:[^\r\n]*?(;tag=[^;\s]+)", message, re.MULTILINE | re.IGNORECASE)
        self._to_tag = tag.group(1) if tag else ""
        self._sip.sendto(self._request("ACK", 1), self._target)
        if self.result.status:
            return
        self.result.status, self.result.answer_ns = status, at_ns
        port = re.search(r"^m=audio (\d+)", message, re.MULTILINE)
        if status != 200 or port is None:
            self.done = True
            return
        self._rtp.connect((HOST, int(port.group(1))))
        self.due_ns = time.monotonic_ns() + 2_000_000 + random.randrange(PTIME_NS)

    def send(self) -> bool:
        """The packet that is due. False: that was all."""
        result = self.result
        number = len(result.sent_ns)
        if number >= len(self._payloads):
            return False
        header = struct.pack(
            "!BBHII",
            0x80,
            result.payload_type | (0 if number else 0x80),
            (self._sequence + number) & 0xFFFF,
            (self._timestamp + number * 160) & 0xFFFFFFFF,
            self._ssrc,
        )
        now = time.monotonic_ns()
        self._rtp.send(header + self._payloads[number])
        result.sent_ns.append(now)
        result.late_ns.append(now - self.due_ns)
        self.due_ns += PTIME_NS
        return True

    def receive(self) -> None:
        """Keep what came."""
        for at, data in received(self._rtp):
            self.result.rx_ns.append(at)
            self.result.rx.append(data)

    def bye(self) -> None:
        """End the call."""
        self.receive()
        received(self._rtcp)
        self._sip.sendto(self._request("BYE", 2), self._target)


class Phone:
    """All calls of a job."""

    def __init__(self, jobs: list[dict[str, Any]], stop: str = "") -> None:
        self._stop = Path(stop) if stop else None
        self._sip = _udp()
        self._sip.bind((HOST, 0))
        self._calls = [Call(job, self._sip) for job in jobs]
        self._by_id = {call.call_id: call for call in self._calls}
        start = time.monotonic_ns() + 1_000_000
        # What to do when: an INVITE, a packet, or the BYE.
        self._agenda: list[tuple[int, int, str]] = [
            (start + int(job["delay_s"] * 1e9), index, "invite") for index, job in enumerate(jobs)
        ]
        heapq.heapify(self._agenda)
        self._starting = len(jobs)

    def run(self) -> list[CallResult]:
        """Until every call is over, or the deadlines of those that are not."""
        end_ns = 0
        while self._agenda or (time.monotonic_ns() < end_ns and not all(c.done for c in self._calls)):
            now = time.monotonic_ns()
            due = self._agenda[0][0] if self._agenda else now + 2_000_000
            self._wait(due, now)
            if self._agenda and time.monotonic_ns() >= self._agenda[0][0]:
                self._act()
                end_ns = time.monotonic_ns() + int(BYE_DEADLINE_S * 1e9)
        return [call.result for call in self._calls]

    def _wait(self, due: int, now: int) -> None:
        """Sleep to the next deed; while a SIP answer is awaited, wake for it."""
        if due - now > 300_000 and (self._starting or not self._agenda):
            select.select([self._sip], [], [], min(due - now - 200_000, 5_000_000) / 1e9)
        elif due > now:
            time.sleep((due - now) / 1e9)
        for at, data in received(self._sip):
            self._message(at, data.decode("utf-8", "replace"))

    def _act(self) -> None:
        _, index, deed = heapq.heappop(self._agenda)
        call = self._calls[index]
        again = 0
        match deed:
            case "invite":
                call.invite()
                deed, again = "give up", time.monotonic_ns() + int(ANSWER_DEADLINE_S * 1e9)
            case "give up" if not call.result.status:
                call.done = True
                self._started()
            case "send":
                over = self._stop is not None and self._stop.exists()
                on = not over and call.send()
                deed, again = ("send", call.due_ns) if on else ("bye", call.due_ns + TAIL_NS)
                call.receive()
                again = max(again, call.due_ns)
            case "bye":
                call.bye()
        if again:
            heapq.heappush(self._agenda, (again, index, deed))

    def _message(self, at_ns: int, message: str) -> None:
        first = message.split("\r\n", 1)[0]
        ident = re.search(r"^Call-ID:\s*(\S+)", message, re.MULTILINE | re.IGNORECASE)
        call = self._by_id.get(ident.group(1)) if ident else None
        if call is None:
            return
        if not first.startswith("SIP/2.0"):
            self._requested(call, message)
            return
        before = call.result.status
        call.response(at_ns, int(first.split()[1]), message)
        if not before and call.result.status:
            self._agenda = [entry for entry in self._agenda if self._calls[entry[1]] is not call]
            if not call.done:
                self._agenda.append((call.due_ns, self._calls.index(call), "send"))
            heapq.heapify(self._agenda)
            self._started()

    def _requested(self, call: Call, message: str) -> None:
        """The bridge ended the call: agree, and stop."""
        if message.startswith("BYE"):
            wanted = ("via:", "from:", "to:", "call-id:", "cseq:")
            lines = [line for line in message.split("\r\n") if line.lower().startswith(wanted)]
            answer = "\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0"]) + "\r\n\r\n"
            self._sip.sendto(answer.encode(), call._target)
            call.receive()
            call.done = True
            self._agenda = [entry for entry in self._agenda if self._calls[entry[1]] is not call]
            heapq.heapify(self._agenda)

    def _started(self) -> None:
        self._starting -= 1
        if not self._starting:
            sys.stdout.write("up\n")
            sys.stdout.flush()


def main() -> None:
    """`python -m tests.bench.caller`: `{"calls": [...], "result": PATH, "stop": PATH}` on standard input.

    Calls end when their sound does, or as soon as the file `stop` (if any) is there.
    """
    job = json.loads(sys.stdin.readline())
    results = Phone(job["calls"], job["stop"]).run()
    Path(job["result"]).write_bytes(pickle.dumps([asdict(result) for result in results]))


if __name__ == "__main__":
    main()
