"""`python -m tests.bench.rolling [--calls 40] [--direct]`: all workers are replaced under calls; none may be lost.

With the edge: SIPp's calls come in all the time, so that about `--calls` are up at every moment, until the last worker
has been replaced; every one must get its 200 and end by the caller's own BYE. `--direct` (no edge): `--calls` calls are
placed, four to each worker, the rolling restart begins when all are up, and ends after the last of them. Callers send
and hear sound (music on hold), a model has no part in it. Exit status 1 when a call failed or a worker is an old one.
"""

import argparse
import csv
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError
from bridge.pool.client import ask
from bridge.ports import free_sip_port
from tests.bench.system import CALLS_PER_WORKER, REPO, Bridge

HOLD_S = 15.0
DIRECT_HOLD_S = 30.0
DEADLINE_S = 240.0
LOOK_S = 0.1
SETTLE_S = 2.0
MEDIA_PORT = 52000


class HoldingBridge(Bridge):
    """A bridge that answers and plays music. One worker more than the calls need, when the edge shares them out."""

    def __init__(self, folder: Path, calls: int, *, edge: bool) -> None:
        workers = -(-calls // CALLS_PER_WORKER) + edge
        super().__init__(folder, "ws://127.0.0.1:9/v1/realtime", workers)
        self._edge = edge
        if edge:
            del self.ports[1:]
        self._inner = free_sip_port("127.0.0.1", self.ports[0] + 1000, workers + 2)

    def _plan(self) -> dict[str, object]:
        trunks = {"sipp": {"addresses": ["127.0.0.1"]}}
        routes = [{"name": "load", "when": {"to": "100"}, "do": [{"hold": {"s": 600}}, {"hang_up": {}}]}]
        return {"version": 1, "trunks": trunks, "routes": routes}

    def _settings(self) -> dict[str, object]:
        settings = super()._settings()
        if self._edge:
            settings["edge"] = {
                "enabled": True,
                "inner_port": self._inner,
                "workers_port": self._inner + 1,
                "limits": {"source_calls_per_s": 1000},
            }
        return settings


class Callers:
    """SIPp: `count` calls at `rate` a second, each with sound for `hold_s`, ended by its BYE."""

    def __init__(self, folder: Path, port: int, count: int, *, rate: float, hold_s: float) -> None:
        self._folder = folder / f"sipp-{port}"
        self._folder.mkdir()
        (self._folder / "call.xml").write_text(scenario(hold_s))
        (self._folder / "speech.wav").write_bytes(bytes(range(0x20, 0xA0)) * 125)  # any sound, 2 s of PCMU
        self.count = count
        with (self._folder / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(
                ["sipp", f"127.0.0.1:{port}", "-sf", "call.xml", "-m", str(count), "-r", f"{rate:g}", "-l", str(count),
                 "-i", "127.0.0.1", "-mi", "127.0.0.1", "-mp", str(MEDIA_PORT + port % 500 * 16), "-nostdin",
                 "-timeout", str(round(DEADLINE_S)), "-recv_timeout", "20000", "-trace_stat", "-stf", "stat.csv",
                 "-fd", "1", "-trace_err", "-error_file", "errors.log"],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=screen, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def place_no_more(self) -> None:
        """Those that are up go on to their end (SIGUSR1 is SIPp's word for it)."""
        self._process.send_signal(signal.SIGUSR1)

    def finish(self) -> tuple[int, int, str]:
        """(calls placed, calls that went right, what SIPp says of the others)."""
        try:
            self._process.wait(DEADLINE_S + 10)
        finally:
            self.kill()
        errors = self._folder / "errors.log"
        rows = list(csv.DictReader((self._folder / "stat.csv").read_text().splitlines(), delimiter=";"))
        placed, right = (int(rows[-1][name]) for name in ("TotalCallCreated", "SuccessfulCall(C)"))
        return placed, right, errors.read_text(errors="replace")[:2000] if errors.exists() else ""

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def scenario(hold_s: float) -> str:
    """A call with sound; requests inside of it go the way that its 200 names (RFC 3261 section 12.2)."""
    text = (REPO / "tests/system/sipp/call.xml").read_text()
    text = text.replace("speech.wav,1,0", "speech.wav,-1,0")
    text = text.replace('milliseconds="1200"', f'milliseconds="{round(hold_s * 1000)}"')
    text = text.replace('<recv response="200"/>', '<recv response="200" rrs="true"/>', 1)
    for method in ("ACK", "BYE"):
        head, _, tail = text.partition(f"{method} sip:100@[remote_ip]:[remote_port]")
        text = f"{head}{method} [next_url]{tail.replace('Max-Forwards', '[routes]' + chr(10) + 'Max-Forwards', 1)}"
    return text


class Watched:
    """The pool while it is replaced: how many workers took calls at the worst moment, and what was said about it."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.fewest = 1 << 30
        self.said: list[str] = []

    def roll(self) -> float:
        """Begin, follow, and end; seconds."""
        began = time.monotonic()
        ask(self._state, {"do": "restart", "slot": "rolling"})
        while True:
            state = ask(self._state, {"do": "status"})
            self.fewest = min(self.fewest, sum(one["state"] == "active" for one in state["workers"]))
            if not state["rolling"]:
                return time.monotonic() - began
            if state["rolling"] != (self.said or [""])[-1]:
                self.said.append(state["rolling"])
            if time.monotonic() - began > DEADLINE_S:
                raise RuntimeError(f"the rolling restart does not end: {state['rolling']}")
            time.sleep(LOOK_S)


def pids(bridge: Bridge) -> set[int]:
    """Of the workers."""
    return {one["pid"] for one in ask(bridge.state, {"do": "status"})["workers"] if one["pid"]}


def direct(bridge: HoldingBridge, folder: Path, calls: int, watched: Watched) -> tuple[list[Callers], float]:
    """Every worker has its four calls, which outlast the beginning of the restart."""
    callers = [
        Callers(folder, port, calls // len(bridge.ports), rate=4, hold_s=DIRECT_HOLD_S)
        for port in bridge.ports
    ]
    _until(lambda: _up(bridge) >= calls, 30)
    return callers, watched.roll()


def through_the_edge(
    bridge: HoldingBridge, folder: Path, calls: int, watched: Watched
) -> tuple[list[Callers], float]:
    """Calls come and go all the time, until the last worker is a new one."""
    rate = calls / HOLD_S
    callers = Callers(folder, bridge.ports[0], round(rate * DEADLINE_S), rate=rate, hold_s=HOLD_S)
    _until(lambda: _up(bridge) >= calls * 0.8, HOLD_S * 3)
    seconds = watched.roll()
    callers.place_no_more()
    return [callers], seconds


def _states(bridge: Bridge) -> set[str]:
    return {one["state"] for one in ask(bridge.state, {"do": "status"})["workers"]}


def _up(bridge: Bridge) -> int:
    return sum(one["calls"] for one in ask(bridge.state, {"do": "status"})["workers"])


def _until(condition: Any, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError("the calls did not come up")
        time.sleep(LOOK_S)


def main() -> int:
    """Exit status 1 when a call was lost or a worker is the old one."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rolling", description=__doc__)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--direct", action="store_true", help="without the edge")
    parser.add_argument("--output", type=Path, default=REPO / "build" / "bench-rolling.json")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sipbridge-rolling-"))
    try:
        with HoldingBridge(folder, options.calls, edge=not options.direct) as bridge:
            _until(lambda: "starting" not in _states(bridge), 30)
            time.sleep(SETTLE_S)  # the edge hears of the last worker
            watched, before = Watched(bridge.state), pids(bridge)
            run = direct if options.direct else through_the_edge
            callers, seconds = run(bridge, folder, options.calls, watched)
            ends = [one.finish() for one in callers]
            old = len(before & pids(bridge))
            configured = len(before)
    except BridgeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    placed, right = sum(end[0] for end in ends), sum(end[1] for end in ends)
    facts = {
        "edge": not options.direct, "workers": configured, "calls_placed": placed, "calls_right": right,
        "restart_s": round(seconds, 1), "fewest_workers_taking_calls": watched.fewest, "workers_not_replaced": old,
    }  # fmt: skip
    for name, value in facts.items():
        sys.stdout.write(f"{name.replace('_', ' '):30} {value}\n")
    sys.stdout.write("".join(end[2] for end in ends))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return int(right < placed or old > 0)


if __name__ == "__main__":
    sys.exit(main())
