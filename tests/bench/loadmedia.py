"""The load tool's telephones: tests/bench/loadmedia.c, compiled, run and asked. What it counts is said at its head."""

import json
import random
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SOURCE = Path(__file__).with_suffix(".c")
PORTS_PER_CALL = 4
MAX_CALLS = 108
PORTS = (44000, 58000, 500)
TRIES = 10
BIN_MS = 0.1
FAULTS = ("lost", "tail", "repeated", "foreign", "damaged", "strangers", "breaks")


class Histogram:
    """Counts by tenths of a millisecond."""

    def __init__(self, bins: Mapping[str, int]) -> None:
        self.bins = sorted((int(bin_), count) for bin_, count in bins.items())
        self.total = sum(count for _, count in self.bins)

    def percentile(self, percent: float) -> float:
        """Milliseconds; nan when nothing was counted."""
        left = self.total * percent / 100
        for bin_, count in self.bins:
            left -= count
            if left <= 0:
                return round((bin_ + 0.5) * BIN_MS, 2)
        return float("nan")

    @property
    def largest(self) -> float:
        """Milliseconds."""
        return round((self.bins[-1][0] + 0.5) * BIN_MS, 2) if self.bins else float("nan")


@dataclass(frozen=True, slots=True)
class Heard:
    """What the telephones found. `faults`: sums over all calls; `starved`: packets of silence within speech.

    `reordered`: packets that another one had overtaken (rtpengine's threads do that to a burst); a phone puts it right.
    """

    up: int
    sent: int
    back: int
    starved: int
    reordered: int
    faults: Mapping[str, int]
    wrong_calls: tuple[int, ...]
    rtt: Histogram
    gaps: Histogram
    late: Histogram

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """From the program's JSON."""
        calls = data["calls"]
        wrong = tuple(call["call"] for call in calls if any(call[fault] for fault in FAULTS))
        return cls(
            up=sum(call["up"] for call in calls),
            sent=sum(call["sent"] for call in calls),
            back=sum(call["back"] for call in calls),
            starved=sum(call["starved"] for call in calls),
            reordered=sum(call["reordered"] for call in calls),
            faults={fault: sum(call[fault] for call in calls) for fault in FAULTS},
            wrong_calls=wrong,
            rtt=Histogram(data["rtt"]),
            gaps=Histogram(data["gaps"]),
            late=Histogram(data["late"]),
        )

    @property
    def right(self) -> bool:
        """Every frame said came back, once, in order, in its own call and (pass-through) bit by bit."""
        return self.sent > 0 and not self.wrong_calls and self.back == self.sent


def compiled(folder: Path) -> Path:
    """The program, compiled into `folder`. Raises RuntimeError without a compiler or with the compiler's words."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("the load tool needs gcc: apt-get install gcc libc6-dev")
    program = folder / "loadmedia"
    command = [compiler, "-O3", "-march=native", "-Wall", "-Wextra", "-o", str(program), str(SOURCE), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stderr}")
    return program


class Telephones:
    """`calls` telephones on `address`, from a free `port` on. `exact`: what comes back must be the bytes sent."""

    def __init__(self, program: Path, address: str, calls: int, *, exact: bool) -> None:
        for _ in range(TRIES):
            self.port = random.randrange(*PORTS)
            self._process = subprocess.Popen(
                [str(program), address, str(self.port), str(calls), str(int(exact))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            words = self._line().split()
            if words[:1] == ["ready"]:
                break
            _, said = self._process.communicate()
        else:
            raise RuntimeError(f"the telephones did not start: {said}")
        self.pid = self._process.pid
        self.real_time = words[1] == "1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def mark(self) -> None:
        """Count from now on."""
        self._order("mark")

    def hush(self) -> None:
        """Say nothing more: what is under way has time to come back."""
        self._order("hush")

    def speak(self) -> None:
        """Go on talking."""
        self._order("speak")

    def report(self) -> Heard:
        """What was counted since `mark`; counts no more."""
        self._order("report")
        return Heard.read(json.loads(self._line()))

    def _order(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()
