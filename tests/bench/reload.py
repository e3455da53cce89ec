"""`python -m tests.bench.reload`: reloads under live calls and plans of 5,000 routes; a table and build/reload.json.

`sipbridge serve` with four workers; 16 calls with sound both ways all the time; meanwhile the dialplan is changed and
reloaded by the API 100 times, every fifth time with a mistake in it. Then the same with a plan of 5,000 routes. What
the callers heard is measured by the kernel's arrival times of RTP: the gap between two packets of a call.
"""

import json
import pickle
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

import httpx
import numpy as np

from bridge.dialplan.load import load
from bridge.dialplan.plan import CallFacts, Plan
from tests.bench import report, voices
from tests.bench.report import Measure
from tests.bench.rounds import Bench, Spec
from tests.bench.sound import packets
from tests.bench.system import CALLS_PER_WORKER, REPO, Bridge, CallerProcess, ModelProcess, dialplan

WORKERS = 4
RELOADS, BIG_RELOADS, BIG = 100, 20, 5000
BROKEN_EVERY = 5
BEFORE_S = 3.0
"""Calls go on for so long before the first reload: what the machine does to them by itself."""
AFTER_S = 1.0
WARM_RELOADS = 5
"""The first ones load code and fill caches; what leaks does so afterwards as well."""


@dataclass(frozen=True, slots=True)
class Size:
    """Memory (KiB, resident) and open files of control and of the workers."""

    rss_kb: tuple[int, int]
    fds: tuple[int, int]


@dataclass(slots=True)
class Reloaded:
    """What was seen of some reloads under some calls."""

    calls: list[dict[str, Any]]
    first_ns: int = 0
    took_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    before: Size | None = None
    after: Size | None = None

    def dropped(self) -> int:
        """Calls that did not go on to the BYE of the caller."""
        return sum(call["status"] != 200 or call["bye_status"] != 200 for call in self.calls)

    def gaps(self) -> tuple[list[float], list[float]]:
        """Milliseconds between packets of a call: before the first reload, and from it on."""
        early, late = [], []
        for call in self.calls:
            at = np.sort(np.array(call["rx_ns"], np.int64))[5:]
            gaps = np.diff(at) / 1e6
            early += gaps[at[1:] < self.first_ns].tolist()
            late += gaps[at[1:] >= self.first_ns].tolist()
        return early, late


def size(bridge: Bridge) -> Size:
    """Of control and the workers now."""
    groups = [bridge.control], bridge.workers
    rss, fds = [], []
    for pids in groups:
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
        rss.append(sum(int(text.split("VmRSS:")[1].split()[0]) for text in texts))
        fds.append(sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids))
    return Size((rss[0], rss[1]), (fds[0], fds[1]))


def plan_text(number: int, more_routes: int = 0, *, broken: bool = False) -> str:
    """The bench's plan, the `number`th edition; JSON is YAML."""
    plan = dialplan()
    routes: Any = plan["routes"]
    routes += [{"name": f"edition {number}", "when": {"to": f"edition-{number}"}, "do": [{"hang_up": {}}]}]
    routes += [
        {
            "name": f"n{i}",
            "when": {"to": [f"+4930{i:06d}", f"+4931{i:05d}*"]},
            "do": [{"agent": "load-pcm24"}],
        }
        for i in range(more_routes)
    ]
    if broken:
        routes[-1]["do"] = [{"agent": "nobody"}]
    return json.dumps(plan, indent=1)


def under_calls(
    folder: Path, bridge: Bridge, model: ModelProcess, clip: np.ndarray, job: dict[str, Any]
) -> Reloaded:
    """`job`: calls, reloads, more_routes, and how long a call may last (call_s); it ends soon after the last reload."""
    payload = folder / "payload.npy"
    np.save(payload, packets(np.resize(clip, round(job["call_s"] * 8000)), 0))
    calls: list[dict[str, object]] = [
        {
            "label": f"c{index}",
            "scene": "load",
            "number": "load-pcm24",
            "port": bridge.ports[index // CALLS_PER_WORKER],
            "payloads": str(payload),
            "payload_type": 0,
            "delay_s": 0.05 * index,
        }
        for index in range(job["calls"])
    ]
    stop = folder / "stop"
    caller = CallerProcess(folder, calls, stop=stop)
    seen = Reloaded([])
    try:
        caller.wait_up()
        time.sleep(BEFORE_S)
        seen.first_ns = time.monotonic_ns()
        _reloads(bridge, job, seen)
        time.sleep(AFTER_S)
    finally:
        stop.touch()
        path = caller.finish(job["call_s"] + 15)

    seen.calls = pickle.loads(path.read_bytes())
    model.take()
    return seen


def _reloads(bridge: Bridge, job: dict[str, Any], seen: Reloaded) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(bridge.api)), timeout=30) as client:
        until = time.monotonic() + job["call_s"] - BEFORE_S - 3
        for number in range(job["reloads"]):
            if number == min(WARM_RELOADS, job["reloads"] // 2):
                seen.before = size(bridge)
            broken = number % BROKEN_EVERY == BROKEN_EVERY - 1
            bridge.plan.write_text(plan_text(number, job["more_routes"], broken=broken))
            began = time.perf_counter()
            answer = client.post("http://control/api/v1/dialplan/reload")
            took, data = (time.perf_counter() - began) * 1000, answer.json()
            (seen.refused_ms if broken else seen.took_ms).append(took)
            _judge(number, broken, answer.status_code, data, seen)
            if time.monotonic() > until:
                seen.wrong.append(f"only {number + 1} reloads fitted into the calls")
                break
        seen.after = size(bridge)


def _judge(number: int, broken: bool, status: int, data: dict[str, Any], seen: Reloaded) -> None:
    if broken and (
        status != 422 or "nobody" not in str(data["problems"]) or data["version"] != seen.versions[-1]
    ):
        seen.wrong.append(f"reload {number} with a mistake: {status} {str(data)[:200]}")
    if not broken and (status != 200 or data["lagging"] or data["version"] in seen.versions):
        seen.wrong.append(f"reload {number}: {status} {str(data)[:200]}")
    seen.versions.append(data["version"])


def rows(name: str, seen: Reloaded) -> list[Measure]:
    """The table's rows of one run."""
    early, late = seen.gaps()
    assert seen.before is not None
    assert seen.after is not None
    count = f"{len(seen.took_ms)} good, {len(seen.refused_ms)} refused"
    made = [
        Measure(f"{name}: calls dropped", "calls", [float(seen.dropped())], {"max": 0}, note=count),
        Measure(f"{name}: reloads that went wrong", "reloads", [float(len(seen.wrong))], {"max": 0}),
        Measure(f"{name}: RTP gap, {BEFORE_S:g} s before the reloads", "ms", early),
        Measure(f"{name}: RTP gap during and after them", "ms", late, {"max": 60}),
        Measure(f"{name}: reload asked → in force on all workers", "ms", seen.took_ms),
        Measure(f"{name}: reload asked → refused", "ms", seen.refused_ms),
    ]
    for at, who in enumerate(("control", f"{WORKERS} workers")):
        rss = [one.rss_kb[at] / 1024 for one in (seen.before, seen.after)]
        fds = [one.fds[at] for one in (seen.before, seen.after)]
        note = f"{rss[0]:.1f} → {rss[1]:.1f} MB, open files {fds[0]} → {fds[1]}"
        made.append(Measure(f"{name}: memory more, {who}", "MB", [rss[1] - rss[0]], note=note))
        made.append(Measure(f"{name}: open files more, {who}", "files", [float(fds[1] - fds[0])], {"max": 2}))
    return made


def loading(folder: Path) -> list[Measure]:
    """Big plans: files to plan, text to plan, and one call to its route."""
    path = folder / "big.yaml"
    path.write_text(plan_text(0, BIG))
    files, texts = [], []
    plan = load(path)
    text = plan.to_json()
    for _ in range(7):
        files.append(timeit.timeit(lambda: load(path), number=1) * 1000)
        texts.append(timeit.timeit(lambda: Plan.from_json(text), number=1) * 1000)
    note = f"{path.stat().st_size / 1e6:.1f} MB of YAML, {len(text) / 1e6:.1f} MB as JSON"
    made = [
        Measure(f"a plan of {BIG} routes: files → plan", "ms", files, {"p50": 1000}, note=note),
        Measure(f"a plan of {BIG} routes: JSON → plan (worker)", "ms", texts),
    ]
    numbers = [f"+4930{i:06d}" for i in range(0, BIG, 7)] + [f"+4931{i:05d}9" for i in range(0, BIG, 7)]
    made.append(_routing(f"routing among {BIG}", plan, numbers))
    for name, regex in (("unanchored", "/{i}0[0-9]{{2}}$/"), ("words", "/(sales|help) ?desk{i}/")):
        plan = load(_regexes(folder, regex))
        made.append(_routing(f"routing among {BIG}, 500 of them {name} regexes", plan, numbers))
    return made


def _regexes(folder: Path, regex: str) -> Path:
    whole = json.loads(plan_text(0, BIG - 500))
    matching = [
        {"name": f"x{i}", "when": {"to": regex.format(i=7000 + i)}, "do": [{"hang_up": {}}]}
        for i in range(500)
    ]
    whole["routes"] = matching + whole["routes"] + [{"name": "rest", "do": [{"hang_up": {}}]}]
    path = folder / "regexes.yaml"
    path.write_text(json.dumps(whole, indent=1))
    return path


def _routing(name: str, plan: Plan, numbers: list[str]) -> Measure:
    times = []
    for number in numbers * 3:
        facts = CallFacts(number, "+491701234567")
        began = time.perf_counter_ns()
        plan.route(facts)
        times.append((time.perf_counter_ns() - began) / 1e6)
    return Measure(name, "ms", times[len(numbers) :], {"p99": 1.0})


def live(folder: Path, job: dict[str, Any], say: Callable[[str], None], workers: int = WORKERS) -> Reloaded:
    """Start a bridge, place the calls, reload."""

    with wave.open(str(REPO / "tests/data/speech8k.wav")) as reader:
        clip = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    clips = folder / "clip8.npy", folder / "clip24.npy"
    np.save(clips[0], clip)
    np.save(clips[1], voices.to_model_rate(clip))
    say(f"{job['calls']} calls, {job['reloads']} reloads, {job['more_routes']} more routes")
    with ModelProcess(folder, clips) as model, Bridge(folder, model.url, workers) as bridge:
        Bench(folder, model, bridge).round([_warm(clip) for _ in range(job["calls"])])
        return under_calls(folder, bridge, model, clip, job)


def _warm(clip: np.ndarray) -> Spec:
    return Spec("marker", "pcm24", clip[:8000])


def main() -> int:
    """Exit status 1: a target was missed."""
    folder = Path(tempfile.mkdtemp(prefix="sipbridge-reload-"))

    def say(what: str) -> None:
        sys.stderr.write(what + "\n")

    try:
        found = loading(folder)
        for name, job in (
            ("16 calls", {"calls": 16, "reloads": RELOADS, "more_routes": 0, "call_s": 240.0}),
            (
                f"16 calls, {BIG} routes",
                {"calls": 16, "reloads": BIG_RELOADS, "more_routes": BIG, "call_s": 240.0},
            ),
        ):
            place = folder / name.replace(" ", "-").replace(",", "")
            place.mkdir()
            seen = live(place, job, say)
            found += rows(name, seen)
            for wrong in seen.wrong:
                say(wrong)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.write(found, {"python": sys.version.split()[0]}, REPO / "build" / "reload.json")
    return int(any(one.verdict == "MISS" for one in found))


if __name__ == "__main__":
    sys.exit(main())
