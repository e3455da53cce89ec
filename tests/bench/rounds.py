"""One round of calls: what each call sends is made, the caller and the model do it, and both reports are joined.

specs ──► caller process ─┐
          worker(s)       ├──► [Joined(spec, caller's CallResult, model's SessionLog)]
          model process ──┘
"""

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.sound import PACKET, Pcm, decoded, packets
from tests.bench.system import (
    CALLS_PER_WORKER,
    Bridge,
    CallerProcess,
    ModelProcess,
    cpu_s,
    machine_busy_s,
    pss_mb,
    wakes,
)

SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Spec:
    """One call to place. `pcm` (8 kHz) is what the caller says; `marks` are positions in it worth finding again."""

    scene: str
    audio: str
    pcm: Pcm
    marks: tuple[int, ...] = ()
    payload_type: int = 0
    delay_s: float = 0.0


class Joined:
    """One call seen from both ends. `caller` and `model` have the fields of CallResult and SessionLog."""

    def __init__(self, spec: Spec, caller: dict[str, Any], model: dict[str, Any]) -> None:
        self.spec = spec
        self.caller = caller
        self.model = model
        self.sent_ns = np.array(caller["sent_ns"], np.int64)
        order = np.argsort(np.array(caller["rx_ns"], np.int64), kind="stable")
        self.rx_ns = np.array(caller["rx_ns"], np.int64)[order]
        self.rx = [caller["rx"][at] for at in order]

    def headers(self) -> tuple[np.ndarray, np.ndarray]:
        """RTP sequence numbers and timestamps of what the caller received, in order of arrival."""
        sequence = np.array([int.from_bytes(packet[2:4]) for packet in self.rx], np.int64)
        timestamp = np.array([int.from_bytes(packet[4:8]) for packet in self.rx], np.int64)
        return sequence, timestamp

    def heard(self) -> Pcm:
        """What the caller received, laid end to end (20 ms a packet)."""
        payload = b"".join(packet[12:].ljust(PACKET, b"\xff")[:PACKET] for packet in self.rx)
        return decoded(payload, self.spec.payload_type)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the bridge cost while all calls of a round were up.

    `cpu_s` and `mb`: of the workers, and of supervisor and control. `wakes_per_s`: of the workers' threads.
    `wake_us`: what one wake of an idle thread was charged meanwhile; a virtual machine makes this the larger part.
    `others_busy`: cores used by everything that is neither the bridge nor the bench, by the kernel's coarse account.
    """

    seconds: float
    cpu_s: tuple[float, float]
    mb: tuple[float, float]
    wakes_per_s: float
    wake_us: float
    others_busy: float


class Bench:
    """The processes of a run and the folder they share."""

    def __init__(self, folder: Path, model: ModelProcess, bridge: Bridge) -> None:
        self._folder = folder
        self._model = model
        self._bridge = bridge
        self._count = 0

    def round(
        self,
        specs: Sequence[Spec],
        measure_s: float | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> tuple[list[Joined], Usage | None]:
        """Place all calls of `specs`, four to a worker, and wait until they are over.

        `meanwhile` is called after the measuring, while all are up.
        """
        self._count += 1
        calls = []
        for index, spec in enumerate(specs):
            path = self._folder / f"payload-{index}.npy"
            np.save(path, packets(spec.pcm, spec.payload_type))
            calls.append(
                {
                    "label": f"r{self._count}c{index}",
                    "scene": spec.scene,
                    "number": f"{spec.scene}-{spec.audio}",
                    "port": self._bridge.ports[index // CALLS_PER_WORKER],
                    "payloads": str(path),
                    "payload_type": spec.payload_type,
                    "delay_s": spec.delay_s,
                }
            )
        longest_s = max(len(spec.pcm) / 8000 + spec.delay_s for spec in specs)
        caller = CallerProcess(self._folder, calls)
        usage = None
        try:
            caller.wait_up()
            if measure_s:
                usage = self._watch(measure_s, caller.pid)
            meanwhile()
        finally:
            path = caller.finish(longest_s + 15)
        results = pickle.loads(path.read_bytes())
        logs = {log["label"]: log for log in pickle.loads(self._model.take().read_bytes())}
        for result in results:
            if result["status"] != 200 or result["label"] not in logs:
                raise RuntimeError(
                    f"call {result['label']} ({result['scene']}) failed: status {result['status']}"
                )
        return [Joined(s, r, logs[r["label"]]) for s, r in zip(specs, results, strict=True)], usage

    def _watch(self, measure_s: float, caller_pid: int) -> Usage:
        time.sleep(SETTLE_S)
        workers = self._bridge.workers
        rest = [pid for pid in self._bridge.pids if pid not in workers]
        bench = [self._model.pid, caller_pid]
        groups = (workers, rest, bench)
        start, busy, before = time.monotonic(), machine_busy_s(), [cpu_s(pids) for pids in groups]
        slept = wakes(workers)
        wake_us = _wake_us(measure_s)
        slept = wakes(workers) - slept
        used = [cpu_s(pids) - early for pids, early in zip(groups, before, strict=True)]
        seconds, busy = time.monotonic() - start, machine_busy_s() - busy
        others = max(busy - sum(used), 0.0) / seconds
        return Usage(
            seconds, (used[0], used[1]), (pss_mb(workers), pss_mb(rest)), slept / seconds, wake_us, others
        )


def _wake_us(seconds: float) -> float:
    """CPU that the machine charges a thread for nothing but waking up, meanwhile."""
    count, end, start = 0, time.monotonic() + seconds, time.thread_time()
    while time.monotonic() < end:
        time.sleep(0.02)
        count += 1
    return (time.thread_time() - start) / count * 1e6
