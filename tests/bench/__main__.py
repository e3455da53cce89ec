"""`python -m tests.bench [--quick]`: the figures of issue 2 in one run, as a table and build/bench.json.

A bridge with one worker: mixed calls (latency, barge-in, pacing), answers, speech quality, load at 1 and 4 calls.
Then one with four workers: load and latency at 16 calls.
Everything is on loopback, bounded in time, and dead when this ends. A busy machine makes bad figures: what others
used is said at the end. On a machine that must be shared, `chrt -r 10 make bench` keeps the times honest, not the CPU.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
import timeit
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import measures, report, voices
from tests.bench.awake import awake
from tests.bench.report import Measure
from tests.bench.rounds import Bench, Joined, Spec, Usage
from tests.bench.sound import Pcm, with_markers
from tests.bench.system import FORMATS, REPO, Bridge, ModelProcess

MIX = ("marker", "echo", "talk", "marker")
MARKER_GAP = (1600, 3600)  # 200 to 450 ms, any phase against the packets
MARKER_MS = 60.0
LOAD_EXTRA_S = 2.5
AWAKE = ", cores kept awake"
Level = tuple[str, int, str]  # model format, calls, what was done to the cores
CPU_TARGET = {"pcm24": 1.2, "pcmu": 0.8}


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    rounds: int
    round_s: float
    hello_rounds: int
    load_s: float
    small: tuple[tuple[str, int], ...]
    big: tuple[str, ...]
    crowd_rounds: int


BIG = 16
QUICK = Size(3, 4.5, 1, 2.5, (("pcm24", 1), ("pcm24", 4)), ("pcm24", "pcmu"), 0)
FULL = Size(12, 7.0, 4, 12.0, tuple((audio, n) for audio in FORMATS[:2] for n in (1, 4)), FORMATS[:2], 3)


@dataclass(slots=True)
class Run:
    """Everything seen so far."""

    rng: np.random.Generator
    clip: Pcm
    mixed: list[Joined] = field(default_factory=list)
    crowd: list[Joined] = field(default_factory=list)
    hello: list[Joined] = field(default_factory=list)
    speech: list[Joined] = field(default_factory=list)
    loaded: dict[Level, tuple[list[Joined], Usage]] = field(default_factory=dict)

    def marked(self, scene: str, audio: str, seconds: float, *, spread_s: float = 0.3) -> Spec:
        """A call whose caller says markers."""
        pcm, marks = with_markers(round(seconds * 8000), MARKER_GAP, MARKER_MS, self.rng)
        return Spec(scene, audio, pcm, tuple(marks), delay_s=float(self.rng.uniform(0, spread_s)))

    def talking(self, scene: str, audio: str, seconds: float, *, spread_s: float = 0.3) -> Spec:
        """A call whose caller says the clip again and again."""
        pcm = np.resize(self.clip, round(seconds * 8000))
        return Spec(scene, audio, pcm, delay_s=float(self.rng.uniform(0, spread_s)))


def one_worker(run: Run, bench: Bench, size: Size, say: Callable[[str], None]) -> None:
    """Everything that needs at most four calls."""
    say("warming up")
    bench.round([run.marked("talk", audio, 2.0) for audio in ("pcm24", "pcmu", "pcm24", "pcmu")])
    for number in range(size.rounds):
        say(f"latency, round {number + 1} of {size.rounds}")
        run.mixed += bench.round([run.marked(scene, "pcm24", size.round_s) for scene in MIX])[0]
    for number in range(size.hello_rounds):
        say(f"answers, round {number + 1} of {size.hello_rounds}")
        run.hello += bench.round([run.marked("hello", "pcm24", 0.6, spread_s=1.0) for _ in range(4)])[0]
    say("speech quality")
    clip_s = len(run.clip) / 8000
    quality = [run.talking("speech", audio, clip_s + 0.5) for audio in ("pcm24", "pcm24", "pcmu", "pcmu")]
    run.speech += bench.round(quality)[0]
    for audio, calls in size.small:
        load(run, bench, (audio, calls, ""), size.load_s, say)


def four_workers(run: Run, bench: Bench, size: Size, say: Callable[[str], None]) -> None:
    """Everything with 16 calls."""
    say("warming up four workers")
    bench.round([run.marked("marker", ("pcm24", "pcmu")[i % 2], 1.0) for i in range(BIG)])
    for audio in size.big:
        load(run, bench, (audio, BIG, ""), size.load_s, say)
        with awake():
            load(run, bench, (audio, BIG, AWAKE), size.load_s, say)
    for number in range(size.crowd_rounds):
        say(f"latency with {BIG} calls, round {number + 1} of {size.crowd_rounds}")
        run.crowd += bench.round([run.marked(MIX[i % 4], "pcm24", size.round_s) for i in range(BIG)])[0]


def load(run: Run, bench: Bench, level: Level, seconds: float, say: Callable[[str], None]) -> None:
    """Both sides of all calls talk all the time."""
    audio, calls, cores = level
    say(f"load, {calls} calls, {audio}{cores}")
    specs = [run.talking("load", audio, seconds + LOAD_EXTRA_S) for _ in range(calls)]
    joined, usage = bench.round(specs, seconds)
    assert usage is not None
    run.loaded[level] = joined, usage


def figures(run: Run) -> list[Measure]:
    """The table's rows."""
    rows = _answers(run) + _latency("", run.mixed)
    if run.crowd:
        rows += _latency(f", {BIG} calls", run.crowd)
    rows += _pacing("RTP gaps, 4 calls", run.mixed)
    biggest = max(run.loaded, key=lambda level: (level[1], level[0] == "pcm24", not level[2]))
    rows += _pacing(f"RTP gaps, load {biggest[1]} calls", run.loaded[biggest][0])
    return rows + _quality(run) + _costs(run)


def _answers(run: Run) -> list[Measure]:
    silent = [measures.answers(call) for call in run.mixed + run.crowd]
    greeted = [
        (call.caller["answer_ns"] - call.model["delta_ns"][0]) / 1e6
        for call in run.hello
        if call.model["delta_ns"]
    ]
    after = [measures.answers(call)[1] for call in run.hello]
    return [
        Measure("answer: INVITE → 200, session made in between", "ms", [whole for whole, _ in silent]),
        Measure("answer: session up → 200", "ms", [part for _, part in silent], {"p95": 50}),
        Measure("answer: session up → 200, with greeting", "ms", after, {"p95": 50}),
        Measure("answer: greeting's first delta → 200", "ms", greeted),
    ]


def _latency(suffix: str, calls: list[Joined]) -> list[Measure]:
    by_scene = {scene: [call for call in calls if call.spec.scene == scene] for scene in MIX}
    up = [measures.uplink(call) for call in by_scene["marker"]]
    down = [measures.downlink(call) for call in by_scene["marker"]]
    trip = [measures.round_trip(call) for call in by_scene["echo"]]
    cut = [measures.cuts(call) for call in by_scene["talk"]]
    held = [ms for call in by_scene["echo"] for ms in measures.hold(call)]
    missed = f"not found: {sum(u.missing for u in up)} up, {sum(m for _, m in down)} down, "
    missed += f"{sum(m for _, m in trip)} round, {sum(c.missing for c in cut)} cuts"
    return [
        Measure(f"uplink{suffix}", "ms", _flat(u.ms for u in up), {"p50": 10, "p95": 20}, note=missed),
        Measure(f"uplink, sample{suffix}", "ms", _flat(u.sample_ms for u in up)),
        Measure(
            f"uplink: audio lost or inserted in a call{suffix}", "samples", [u.shift for u in up], {"max": 1}
        ),
        Measure(f"downlink{suffix}", "ms", _flat(ms for ms, _ in down), {"p50": 12, "p95": 22}),
        Measure(f"round trip{suffix}", "ms", _flat(ms for ms, _ in trip), {"p50": 25}),
        Measure(f"  of it in the model process{suffix}", "ms", held),
        Measure(f"barge-in stop{suffix}", "ms", _flat(c.stop_ms for c in cut), {"p95": 40}),
        Measure(f"truncation error{suffix}", "ms", _flat(c.error_ms for c in cut), {"max": 20}),
        Measure(f"speech_started → truncate{suffix}", "ms", _flat(c.told_ms for c in cut)),
    ]


def _pacing(name: str, calls: list[Joined]) -> list[Measure]:
    found = [measures.pacing(call) for call in calls]
    broken = [float(pace.bad_sequence + pace.bad_timestamp) for pace in found]
    return [
        Measure(name, "ms", _flat(pace.gaps_ms for pace in found), {"p99": 23}),
        Measure(f"{name}: breaks in sequence or timestamp a call", "packets", broken, {"max": 0}),
    ]


def _quality(run: Run) -> list[Measure]:
    rows = []
    for audio in ("pcm24", "pcmu"):
        calls = [call for call in run.speech if call.spec.audio == audio]
        for name, score in (("up", voices.uplink_scores), ("down", voices.downlink_scores)):
            scores = [score(call, run.clip) for call in calls]
            original = ", ".join(f"{against:.2f}" for _, against in scores)
            rows.append(
                Measure(
                    f"PESQ {name}, {audio}", "MOS", [wire for wire, _ in scores], {"min": 4.4}, at_least=True,
                    note=f"against the original {original}",
                )
            )  # fmt: skip
    return rows


def _costs(run: Run) -> list[Measure]:
    cpu, memory, woken = [], [], []
    for (audio, calls, cores), (_, usage) in run.loaded.items():
        what = f"{calls} calls, {audio}{cores}"
        percent = 100 / usage.seconds / calls
        rate = usage.wakes_per_s / calls
        note = (
            f"control and supervisor {usage.cpu_s[1] * percent:.2f} more; a bare wake cost {usage.wake_us:.0f} µs, "
            f"so wakes alone {rate * usage.wake_us / 1e4:.2f}; others used about {usage.others_busy:.1f} cores"
        )
        limit = {"max": CPU_TARGET[audio]} if calls == BIG else {}
        cpu.append(Measure(f"CPU a call, {what}", "% core", [usage.cpu_s[0] * percent], limit, note=note))
        woken.append(Measure(f"wakes of threads a second and call, {what}", "wakes", [rate]))
        note = f"control and supervisor {usage.mb[1]:.1f} MB, the whole bridge {sum(usage.mb) / calls:.1f} a call"
        limit = {"max": 15.0} if calls == BIG else {}
        memory.append(Measure(f"PSS a call, {what}", "MB", [usage.mb[0] / calls], limit, note=note))
    return cpu + woken + memory


def _flat(lists: Any) -> list[float]:
    return [value for values in lists for value in values]


def _clip() -> Pcm:
    with wave.open(str(REPO / "tests/data/speech8k.wav")) as reader:
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2")


def main() -> int:
    """Exit status 1 when a target is missed and `--strict` was given."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, fewer samples")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    parser.add_argument(
        "--tick-ms", type=int, help="media clock of the workers; the default of the settings otherwise"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--output", type=Path, default=REPO / "build" / "bench.json")
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="sipbridge-bench-"))
    clip = _clip()
    clips = folder / "clip8.npy", folder / "clip24.npy"
    np.save(clips[0], clip)
    np.save(clips[1], voices.to_model_rate(clip))

    def say(what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - started:6.1f} s  {what}\n")

    try:
        run = Run(np.random.default_rng(options.seed), clip)
        size = QUICK if options.quick else FULL
        with ModelProcess(folder, clips) as model:
            for workers, stage in ((1, one_worker), (4, four_workers)):
                with Bridge(folder, model.url, workers, tick_ms=options.tick_ms) as bridge:
                    stage(run, Bench(folder, model, bridge), size, say)
        rows = figures(run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    late = [ns / 1e6 for call in run.mixed for ns in call.caller["late_ns"]]
    rows.append(
        Measure("caller: lateness of its packets", "ms", late, note="of this bench, not of the bridge")
    )
    facts = {
        "seconds": round(time.monotonic() - started, 1),
        "seed": options.seed,
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": f"{platform.python_version()} {sys.base_prefix}",
        "loop_us": round(
            min(timeit.repeat("sum(i * i for i in range(1000))", number=20, repeat=20)) / 20 * 1e6, 1
        ),
        "tick_ms": options.tick_ms,
        "quick": options.quick,
    }
    report.write(rows, facts, options.output)
    return int(options.strict and any(row.verdict == "MISS" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
