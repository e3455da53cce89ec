"""What the load tool loads: `sipbridge serve` sized for the calls, and the local engine with its echo script beside it.

Every process belongs to a kind (the bridge's own: supervisor, zygote, control, worker; beside it kamailio, rtpengine
and the engine), found in the tree under `serve` by its command line. CPU and memory are by the kernel's account
(tests/bench/system.py says which).
"""

import contextlib
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bridge.ports import free_tcp_port
from tests.bench.loadsip import NUMBER
from tests.bench.system import CALLS_PER_WORKER, REPO, Bridge, cpu_s, pss_mb, wakes

OWN = ("supervisor", "zygote", "control", "worker")
BESIDE = ("kamailio", "rtpengine")
RTP_PORTS_PER_WORKER = 24
SPARE_PORTS = 24  # of the slots that the pool has beyond its workers
ENGINE_DEADLINE_S = 20.0
READY_DEADLINE_S = 90.0
ALL_READY = "sipbridge: health on"  # the last line of what `serve` announces when every program is ready
_WORDS = (  # in a command line; the first that is there
    (b"bridge\0control", "control"),
    (b"bridge.supervisor", "supervisor"),
    (b"bridge\0serve", "supervisor"),
    (b"rtpengine", "rtpengine"),
    (b"kamailio", "kamailio"),
    (b"zygote", "zygote"),
    (b"forkserver", "zygote"),
    (b"worker", "worker"),
)


def tree(root: int) -> list[int]:
    """This process and everything under it."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    waiting += map(int, (task / "children").read_text().split())
    return found


def kind_of(command: bytes) -> str:
    """The kind of a process by its command line; "other" when it is none of ours."""
    return next((kind for words, kind in _WORDS if words in command), "other")


def by_kind(pids: Iterable[int]) -> dict[str, list[int]]:
    """Processes by kind. A worker forked from a warm image has that one's command line, and its own name in comm."""
    kinds: dict[str, list[int]] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            comm = Path(f"/proc/{pid}/comm").read_bytes()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            kind = "worker" if comm.startswith(b"worker") else kind_of(command)
            kinds.setdefault(kind, []).append(pid)
    return kinds


@dataclass(frozen=True, slots=True)
class Usage:
    """What one kind of process used over `seconds`: cores, megabytes, wake-ups a second, how many there are."""

    cores: float
    mb: float
    wakes_per_s: float
    count: int


class Meter:
    """Takes the counters of all kinds at its birth; `read` gives what was used since."""

    def __init__(self, kinds: Mapping[str, list[int]]) -> None:
        self._kinds = kinds
        self._began = time.monotonic()
        self._before = {kind: (cpu_s(pids), wakes(pids)) for kind, pids in kinds.items()}

    def read(self) -> dict[str, Usage]:
        """Raises FileNotFoundError when a process is gone."""
        seconds = time.monotonic() - self._began
        now = {kind: (cpu_s(pids), wakes(pids)) for kind, pids in self._kinds.items()}
        return {
            kind: Usage(
                (now[kind][0] - self._before[kind][0]) / seconds,
                pss_mb(pids),
                (now[kind][1] - self._before[kind][1]) / seconds,
                len(pids),
            )
            for kind, pids in self._kinds.items()
        }


def slowness(seconds: float) -> float:
    """Wait, and see what a fixed piece of work costs meanwhile: median CPU milliseconds.

    The same work costs up to half more when neighbours on the host or other programs share caches and cores: a run with
    a larger figure than another is not comparable with it.
    """
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(min(0.5, max(until - time.monotonic(), 0)))
        began = time.thread_time()
        sum(number * number for number in range(30_000))
        found.append((time.thread_time() - began) * 1000)
    return statistics.median(found)


class EchoEngine:
    """`sipbridge sim` with an echo script."""

    def __init__(self, folder: Path, connections: int, appends: int) -> None:
        script = folder / "echo.yaml"
        script.write_text(f"version: 1\necho: {appends}\n", encoding="utf-8")
        command = [
            "sim",
            "--script",
            str(script),
            "--connections",
            str(connections),
            "--log-level",
            "warning",
        ]
        self._log = folder / "engine.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bridge", *command],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=REPO,
            )
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if words[:1] != ["listening"]:
            raise RuntimeError(f"the engine did not start:\n{self._log.read_text()}")
        self.url = words[1]
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(ENGINE_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class LoadBridge(Bridge):
    """The bridge, with as many workers as `calls` need. `audio`: the format towards the model."""

    def __init__(  # the facts of a run
        self,
        folder: Path,
        url: str,
        calls: int,
        audio: str,
        *,
        edge: bool = False,
        record: bool = True,
        tick_ms: int | None = None,
    ) -> None:
        super().__init__(
            folder, url, -(-calls // CALLS_PER_WORKER), tick_ms=tick_ms, spare_ports=int(edge) * SPARE_PORTS
        )
        self._audio = audio
        self._edge = edge
        self._record = record
        if edge:
            self._inner_port = self.ports[0] + 1
            self.ports = self.ports[:1]

    @property
    def place(self) -> tuple[str, int]:
        """Where a call goes that is not sent to a certain worker."""
        return "127.0.0.1", self.ports[0]

    def places(self, calls: int) -> list[tuple[str, int]]:
        """Where each call goes: the edge, or the workers in turn."""
        if self._edge:
            return [self.place] * calls
        return [("127.0.0.1", self.ports[index % self._count]) for index in range(calls)]

    @property
    def kinds(self) -> dict[str, list[int]]:
        """All processes under `serve`."""
        return by_kind(tree(self._process.pid))

    def _plan(self) -> dict[str, object]:
        agent = {
            "instructions": "load",
            "audio": {"format": self._audio},
            "turn_detection": {"type": "server_vad"},
        }
        routes = [{"name": "load", "when": {"to": NUMBER}, "do": [{"agent": "load"}]}]
        trunks = {"trunks": {"load": {"addresses": ["127.0.0.1"]}}} if self._edge else {}
        return {"version": 1, "agents": {"load": agent}, "routes": routes, **trunks}

    def _settings(self) -> dict[str, object]:
        settings = super()._settings()
        first = 20000 + os.getpid() % 7 * 2000
        last = first + self._count * RTP_PORTS_PER_WORKER - 1
        sip = {"port": self.ports[0], "rtp_ports": f"{first}-{last}"}
        settings |= {"sip": sip, "recording": {"enabled": self._record}}
        if self._edge:
            settings |= self._behind_the_edge()
        return settings

    def _behind_the_edge(self) -> dict[str, object]:
        """Kamailio at sip.port for a trunk whose address is ours, rtpengine, and the workers on ports of their own."""
        first = 30000 + os.getpid() % 7 * 1000
        inner, control = (free_tcp_port("127.0.0.1") for _ in range(2))
        rtp = 40000 + os.getpid() % 3 * 600
        edge = {
            "enabled": True,
            "workers_port": self._inner_port,
            "workers_rtp_ports": f"{rtp}-{rtp + 2 * self._count * RTP_PORTS_PER_WORKER - 1}",
            "inner_port": inner,
            "control_port": control,
            "limits": {"calls_per_s": 1000, "source_calls_per_s": 1000},
        }
        sip = {"port": self.ports[0], "rtp_ports": f"{first}-{first + 999}"}
        return {"edge": edge, "sip": sip}

    def _wait(self) -> None:
        """Until `serve` says that everything is ready: a worker that answers OPTIONS may have no dialplan yet."""
        until = time.monotonic() + READY_DEADLINE_S
        while ALL_READY not in self.log.read_text(errors="replace"):
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(
                    f"the bridge did not come up:\n{self.log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End it now, if it still runs."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)


def records(state: Path) -> int:
    """How many calls have a record that has ended."""
    with contextlib.closing(sqlite3.connect(f"file:{state / 'sipbridge.db'}?mode=ro", uri=True)) as base:
        return int(base.execute("select count(*) from calls where ended_at is not null").fetchone()[0])
