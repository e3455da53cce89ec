"""The bridge under test: real worker processes on loopback, and what they cost by the kernel's account.

Workers are started as the supervisor starts them (`python -m bridge worker`, configuration as a line on standard
input, the plan on disk); control is away, so their events go to the spool. CPU is the time on a core of every thread
of every worker (/proc/*/task/*/schedstat, nanoseconds), memory is PSS (smaps_rollup).
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bridge.config import (
    LimitsConfig,
    LogConfig,
    MediaConfig,
    PathsConfig,
    ProviderConfig,
    RecordingConfig,
    SipConfig,
    WorkerConfig,
)
from bridge.dialplan.plan import Agent, AgentStep, Condition, Plan, Route

REPO = Path(__file__).resolve().parents[2]
CALLS_PER_WORKER = 4
SCENES = ("marker", "echo", "talk", "speech", "load", "hello")
FORMATS = ("pcm24", "pcmu", "pcma")
START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 5.0


def plan() -> Plan:
    """Called number = scene-format; the scene is also the name of the model asked for."""
    agents, routes = [], []
    for scene in SCENES:
        for audio in FORMATS:
            name = f"{scene}-{audio}"
            agents.append(
                Agent(
                    name,
                    "bench {{ caller.number }}",
                    greeting="hello" if scene == "hello" else None,
                    model=scene,
                    audio_format=audio,  # type: ignore[arg-type]  # FORMATS are its values
                    turn_detection={"type": "server_vad"},
                )
            )
            routes.append(Route(name, (Condition("to", (name,)),), (AgentStep(name),)))
    return Plan(tuple(routes), tuple(agents))


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU used so far, in nanoseconds, by thread name; and the moment."""

    at_ns: int
    by_thread: dict[str, int]

    @property
    def total_ns(self) -> int:
        """All threads."""
        return sum(self.by_thread.values())


def cost(pids: list[int]) -> Cost:
    """Time on a core of every thread of these processes."""
    found: dict[str, int] = {}
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                name = (task / "comm").read_text().strip()
                used = int((task / "schedstat").read_text().split()[0])
                found[name] = found.get(name, 0) + used
    return Cost(time.monotonic_ns(), found)


def pss_mb(pids: list[int]) -> float:
    """Proportional set size of these processes together."""
    total_kb = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total_kb += int(line.split()[1])
    return total_kb / 1024


def machine_busy_s() -> float:
    """Seconds all cores of the machine have worked since boot, by anybody."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _wait, irq, soft, steal = (int(value) for value in fields)
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    """UDP ports that are free now."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for sock in socks:
        sock.bind(("127.0.0.1", 0))
    ports: list[int] = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


class Workers:
    """N worker processes. Use as a context manager: nothing survives the block."""

    def __init__(
        self, folder: Path, model_url: str, *, recording: bool = True, profile: bool = False
    ) -> None:
        self._folder = folder
        self._model_url = model_url
        self._recording = recording
        self._profile = profile
        self._processes: list[subprocess.Popen[str]] = []
        self.ports: list[int] = []
        (folder / "run").mkdir(parents=True, exist_ok=True)
        (folder / "run" / "plan.json").write_text(plan().to_json(), encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_DEADLINE_S
        for process in self._processes:
            try:
                process.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def pids(self) -> list[int]:
        """Process ids, in order of the workers."""
        return [process.pid for process in self._processes]

    def grow(self, count: int) -> None:
        """Start workers until there are `count`, and wait until all answer OPTIONS."""
        fresh = range(len(self._processes), count)
        self.ports.extend(free_ports(len(fresh)))
        for index in fresh:
            self._processes.append(self._start(index))
        for index in fresh:
            self._wait(index)

    def _start(self, index: int) -> "subprocess.Popen[str]":
        errors = (self._folder / f"worker-{index}.log").open("w")
        command = [sys.executable, "-m", "bridge", "worker"]
        if self._profile:
            command = [sys.executable, "-m", "tests.bench.profiled", str(self._folder / f"profile-{index}")]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=errors, stderr=errors, text=True, cwd=REPO
        )
        assert process.stdin is not None
        process.stdin.write(self._config(index).to_json() + "\n")
        process.stdin.flush()
        return process

    def _config(self, index: int) -> WorkerConfig:
        state = self._folder
        first = 20000 + (os.getpid() * 400 + index * 100) % 16000
        return WorkerConfig(
            index=index,
            name=f"worker-{index}",
            sip=SipConfig(port=self.ports[index], rtp_first=first, rtp_last=first + 99),
            media=MediaConfig(),
            recording=RecordingConfig(enabled=self._recording, folder=str(state / "recordings")),
            limits=LimitsConfig(),
            providers=(ProviderConfig(name="local", kind="compatible", url=self._model_url),),
            log=LogConfig(level="warning"),
            paths=PathsConfig(
                state_dir=str(state),
                link_socket=str(state / "link.sock"),
                spool=str(state / "spool"),
                prompts=str(state / "prompts"),
            ),
        )

    def _wait(self, index: int) -> None:
        until = time.monotonic() + START_DEADLINE_S
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(0.1)
            while time.monotonic() < until and self._processes[index].poll() is None:
                if _answers(sock, self.ports[index]):
                    return
        log = (self._folder / f"worker-{index}.log").read_text()
        raise RuntimeError(f"worker {index} did not come up:\n{log[-2000:]}")


def _answers(sock: socket.socket, port: int) -> bool:
    here = f"127.0.0.1:{sock.getsockname()[1]}"
    message = (
        f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{time.monotonic_ns()};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:bench@{here}>;tag=1\r\nTo: <sip:127.0.0.1:{port}>\r\n"
        f"Call-ID: {time.monotonic_ns()}\r\nCSeq: 1 OPTIONS\r\nContact: <sip:bench@{here}>\r\nContent-Length: 0\r\n\r\n"
    )
    sock.sendto(message.encode(), ("127.0.0.1", port))
    with contextlib.suppress(TimeoutError, ConnectionRefusedError):
        return sock.recv(4096).startswith(b"SIP/2.0")
    return False


class ModelProcess:
    """The fake model in a process of its own."""

    def __init__(self, folder: Path, clips: tuple[Path, Path]) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.model", *map(str, clips)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO,
        )  # fmt: skip
        assert self._process.stdout is not None
        word, port = self._process.stdout.readline().split()
        assert word == "listening"
        self.url = f"ws://127.0.0.1:{port}/v1/realtime"
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def take(self) -> Path:
        """The file with everything seen since the last time."""
        path = self._folder / "model.pickle"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"take {path}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "taken\n"
        return path


class CallerProcess:
    """The phone in a process of its own; `wait_up` returns when every call was answered (or refused)."""

    def __init__(self, folder: Path, calls: list[dict[str, object]]) -> None:
        self.path = folder / "caller.pickle"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.caller"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO,
        )  # fmt: skip
        self.pid = self._process.pid
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"calls": calls, "result": str(self.path)}) + "\n")
        self._process.stdin.flush()

    def wait_up(self) -> None:
        """Every call is answered."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "up\n":
            raise RuntimeError("the caller ended before its calls were up")

    def finish(self, deadline_s: float) -> Path:
        """Wait for the end; the file with the results."""
        try:
            status = self._process.wait(deadline_s)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        if status:
            raise RuntimeError(f"the caller failed with {status}")
        return self.path
