"""The bridge under test, as people run it, and what it costs by the kernel's account.

It is `sipbridge serve` with a settings file and a dialplan made here: supervisor, control, N workers, all on
loopback, its provider is the bench's model. CPU is the time on a core of every thread (/proc/*/task/*/schedstat,
nanoseconds), memory is PSS (smaps_rollup).
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from bridge.ports import free_sip_port, free_tcp_port

REPO = Path(__file__).resolve().parents[2]
CALLS_PER_WORKER = 4
SCENES = ("marker", "echo", "talk", "speech", "load", "hello")
FORMATS = ("pcm24", "pcmu", "pcma")
START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 8.0


def dialplan() -> dict[str, object]:
    """Called number = scene-format; the scene is also the name of the model asked for."""
    agents = {
        f"{scene}-{audio}": {
            "instructions": "bench {{ caller.number }}",
            "model": scene,
            "audio": {"format": audio},
            "turn_detection": {"type": "server_vad"},
            **({"greeting": "hello"} if scene == "hello" else {}),
        }
        for scene in SCENES
        for audio in FORMATS
    }
    routes = [{"name": name, "when": {"to": name}, "do": [{"agent": name}]} for name in agents]
    return {"version": 1, "agents": agents, "routes": routes}


def cpu_s(pids: list[int]) -> float:
    """Time on a core of every thread of these processes so far."""
    total_ns = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # a thread that just ended
                total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def wakes(pids: list[int]) -> int:
    """How often the threads of these processes went to sleep so far, and so had to be woken."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                text = (task / "status").read_text()
                total += int(text.split("\nvoluntary_ctxt_switches:", 1)[1].split(None, 1)[0])
    return total


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


class Bridge:
    """`sipbridge serve` with N workers: supervisor, control and workers. Nothing of it survives the block."""

    def __init__(
        self,
        folder: Path,
        model_url: str,
        workers: int,
        *,
        tick_ms: int | None = None,
        pool: Mapping[str, object] | None = None,
        spare_ports: int = 0,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"bridge-{workers}-", dir=folder))
        self._pool = dict(pool or {})
        self._model_url = model_url
        self._count = workers
        self._tick_ms = tick_ms
        self._process: subprocess.Popen[bytes]
        self.ports = _free_run(workers + spare_ports)

    def __enter__(self) -> Self:
        path = self._folder / "bench.yaml"
        path.write_text(json.dumps(self._settings()), encoding="utf-8")
        (self._folder / "plan.yaml").write_text(json.dumps(self._plan()), encoding="utf-8")
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "bridge", "serve", "--config", str(path)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=REPO
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop()

    @property
    def log(self) -> Path:
        """What the bridge printed."""
        return self._folder / "bridge.log"

    @property
    def plan(self) -> Path:
        """The dialplan file."""
        return self._folder / "plan.yaml"

    @property
    def state(self) -> Path:
        """Its state folder."""
        return self._folder / "state"

    @property
    def api(self) -> Path:
        """The Unix socket of its admin API."""
        return self._folder / "state" / "api.sock"

    @property
    def control(self) -> int:
        """Process id of control."""
        return next(pid for pid in self.pids if b"bridge\0control" in _command(pid))

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return [pid for pid in self.pids if b"worker" in _command(pid)]

    @property
    def pids(self) -> list[int]:
        """Process ids of the whole bridge."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def _plan(self) -> dict[str, object]:
        return dialplan()

    def _settings(self) -> dict[str, object]:
        first = 20000 + os.getpid() % 100 * 200
        return {
            "sip": {"port": self.ports[0], "rtp_ports": f"{first}-{first + 199}"},
            "workers": self._count,
            "dialplans": "plan.yaml",
            "state_dir": "state",
            "console": {"port": free_tcp_port("127.0.0.1")},
            "providers": {"bench": {"kind": "compatible", "url": self._model_url}},
            "deadlines": {"drain_s": 1},
            "log": {"level": "warning"},
            "pool": self._pool,
            **({"media": {"tick_ms": self._tick_ms}} if self._tick_ms else {}),
        }

    def _wait(self) -> None:
        until = time.monotonic() + START_DEADLINE_S
        missing = list(self.ports)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(0.1)
            while missing and time.monotonic() < until and self._process.poll() is None:
                missing = [port for port in missing if not _answers(sock, port)]
        if missing:
            raise RuntimeError(f"the bridge did not come up:\n{self.log.read_text()[-3000:]}")

    def _stop(self) -> None:
        pids = self.pids if self._process.poll() is None else []
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _free_run(count: int) -> list[int]:
    """Ports one after the other that are free now."""
    first = free_sip_port("127.0.0.1", random.randrange(5100, 15000), count)
    return list(range(first, first + count))


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
        if self._process.stdout is not None:
            self._process.stdout.close()

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

    def __init__(self, folder: Path, calls: list[dict[str, object]], *, stop: Path | None = None) -> None:
        self.path = folder / "caller.pickle"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.caller"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO,
        )  # fmt: skip
        self.pid = self._process.pid
        assert self._process.stdin is not None
        self._process.stdin.write(
            json.dumps({"calls": calls, "result": str(self.path), "stop": str(stop or "")}) + "\n"
        )
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
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        if status:
            raise RuntimeError(f"the caller failed with {status}")
        return self.path
