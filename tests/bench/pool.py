"""`python -m tests.bench.pool [--workers 4] [--kills 20]`: how fast workers start, and what they cost in memory.

The same bridge twice: workers started by exec, each loading everything for itself (`pool.warm: false`), and forked
from the zygote. Times: a worker is killed (-9); *start* is from the supervisor's order to the worker's `ready` line,
said when a call would be taken; *replaced* is from the kill to the supervisor knowing that. Memory is PSS, idle and
with four calls in every worker; what is shared counts by its share, zygote and spare count too. Results also in
build/bench-pool.json. Bounded in time, on loopback, dead when it ends.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge.pool.client import ask
from tests.bench import report, voices
from tests.bench.__main__ import _clip
from tests.bench.report import Measure
from tests.bench.rounds import Bench, Spec
from tests.bench.system import CALLS_PER_WORKER, REPO, Bridge, ModelProcess, _command, pss_mb

MODES: dict[str, Mapping[str, object]] = {"exec": {"warm": False}, "zygote": {"warm": True, "spares": 1}}
KINDS = ("worker", "zygote", "spare", "control", "supervisor")
START_TARGET_MS = 300.0
READY_DEADLINE_S = 15.0
REST_S = 1.5
LOAD_S = 8.0
LOOK_S = 0.002


def kills(bridge: Bridge, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of `count` replacements: from the order to ready, from the kill to known as ready."""
    starts, replaced = [], []
    for number in range(count):
        victim = _workers(bridge)[number % len(_workers(bridge))]
        began = time.monotonic()
        os.kill(victim["pid"], signal.SIGKILL)
        while True:
            now = _workers(bridge)[victim["slot"]]
            if now["life"] > victim["life"] and now["state"] == "active":
                break
            if time.monotonic() - began > READY_DEADLINE_S:
                raise RuntimeError(f"worker {victim['slot']} is not back: {now}")
            time.sleep(LOOK_S)
        replaced.append((time.monotonic() - began) * 1000)
        starts.append(now["ready_ms"])
        time.sleep(REST_S)
    return starts, replaced


def memory(bridge: Bridge) -> dict[str, list[float]]:
    """PSS in MB of every process, by kind."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for pid in bridge.pids:
        words = _command(pid)
        kind = next((kind for kind in KINDS if f"bridge\0{kind}".encode() in words), "supervisor")
        found[kind].append(pss_mb([pid]))
    return found


def loaded(bridge: Bridge, model: ModelProcess, folder: Path, audio: str) -> dict[str, list[float]]:
    """The same in the middle of four talking calls in each worker."""
    bench = Bench(folder, model, bridge)
    pcm = np.resize(_clip(), round(LOAD_S * 8000))
    calls = len(bridge.ports) * CALLS_PER_WORKER
    specs = [Spec("load", audio, pcm) for _ in range(calls)]
    taken: list[dict[str, list[float]]] = []
    bench.round(specs, measure_s=LOAD_S / 2, meanwhile=lambda: taken.append(memory(bridge)))
    return taken[0]


def mode(name: str, folder: Path, model: ModelProcess, workers: int, count: int) -> list[Measure]:
    """All figures of one way of starting workers."""
    began = time.monotonic()
    with Bridge(folder, model.url, workers, pool=MODES[name]) as bridge:
        up_s = time.monotonic() - began
        time.sleep(2 * REST_S)
        idle = memory(bridge)
        busy = loaded(bridge, model, folder, "pcmu")
        starts, replaced = kills(bridge, count)
    target = {"p95": START_TARGET_MS} if name == "zygote" else {}
    calls = workers * CALLS_PER_WORKER
    rows = [
        Measure(f"{name}: bridge up with {workers} workers", "s", [up_s]),
        Measure(f"{name}: start of a worker", "ms", starts, target),
        Measure(f"{name}: replaced after kill -9", "ms", replaced, {"max": 1000.0} if target else {}),
    ]
    for what, found in (("idle", idle), ("4 calls a worker", busy)):
        rows += [
            Measure(f"{name}: PSS of a {kind}, {what}", "MB", sizes) for kind, sizes in found.items() if sizes
        ]
        rows.append(Measure(f"{name}: PSS of the bridge, {what}", "MB", [sum(map(sum, found.values()))]))
    whole = sum(map(sum, busy.values()))
    rows.append(
        Measure(f"{name}: PSS a call, {calls} calls, whole bridge", "MB", [whole / calls], {"max": 15.0})
    )
    return rows


def _workers(bridge: Bridge) -> list[dict[str, Any]]:
    state: list[dict[str, Any]] = ask(bridge.state, {"do": "status"})["workers"]
    return state


def main() -> int:
    """Exit status 1 when a target is missed and `--strict` was given."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pool", description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--modes", default="exec,zygote")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    parser.add_argument("--output", type=Path, default=REPO / "build" / "bench-pool.json")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sipbridge-bench-pool-"))
    clip = _clip()
    clips = folder / "clip8.npy", folder / "clip24.npy"
    np.save(clips[0], clip)
    np.save(clips[1], voices.to_model_rate(clip))
    rows: list[Measure] = []
    try:
        with ModelProcess(folder, clips) as model:
            for name in options.modes.split(","):
                sys.stderr.write(f"{name}: {options.workers} workers, {options.kills} kills\n")
                rows += mode(name, folder, model, options.workers, options.kills)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    load = [round(one, 2) for one in os.getloadavg()]
    report.write(rows, {"workers": options.workers, "cores": os.cpu_count(), "load": load}, options.output)
    return 1 if options.strict and any(row.verdict == "MISS" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
