"""`make load`, `python -m tests.bench.load`: SIPp and speech against the whole, as the number of calls grows.

    SIPp ──SIP──► (edge ►) workers ──WebSocket──► local engine, echo script
    telephones (loadmedia.c) ──RTP──► … ──► …and back: every frame has its call's and its own number in it

For each number of calls a bridge of its own, sized for them: calls are placed at --rate, talk for --seconds while
everything is measured, then one call more than there is room for must get its 503. At last new calls a second, and
where the knee is. Prints a table, writes build/load.json (which `sipbridge capacity` reads). Loopback only, bounded in
time, nothing is left running.
"""

import argparse
import csv
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.capacity import Measured
from bridge.cli.capacity import SHIPPED
from tests.bench.loadmedia import MAX_CALLS, Telephones, compiled
from tests.bench.loadreport import AIMS, Level, RateStep, knee, summary
from tests.bench.loadsip import Caller, Refusal, one_too_many
from tests.bench.loadsystem import EchoEngine, LoadBridge, Meter, records, slowness
from tests.bench.system import CALLS_PER_WORKER, REPO, machine_busy_s

LEVELS = (4, 8, 16, 32, 48, 64, 80)
SETTLE_S = 2.5
DRAIN_S = 1.0
SLACK_S = 4.0
UP_DEADLINE_S = 15.0
PROBES = 5
IDLE_S = 2.0
RATE_HOLD_S = 2.0
RATE_S = 5.0
FRAME_MS = 20
LINES_S = 4.0  # lines for each new call a second: a short call, its setup and its end
Say = Callable[[str], None]


class Bench:
    """What all levels of a run share."""

    def __init__(self, options: argparse.Namespace, folder: Path, say: Say) -> None:
        self.options = options
        self.folder = folder
        self.say = say
        self.program = compiled(folder)
        self.count = 0

    def level(self, calls: int) -> Level:
        """One number of calls, from an idle bridge to its records."""
        options = self.options
        self.count += 1
        folder = self.folder / f"level-{self.count}-{calls}"
        folder.mkdir()
        exact = options.format == "pcmu"
        with (
            EchoEngine(folder, 2 * calls + 8, options.chunk_ms // FRAME_MS) as engine,
            LoadBridge(
                folder,
                engine.url,
                calls,
                options.format,
                edge=options.edge,
                record=options.record,
                tick_ms=options.tick_ms,
            ) as bridge,
            Telephones(self.program, "127.0.0.1", calls, exact=exact) as phones,
        ):
            time.sleep(1.0)
            idle = Meter(bridge.kinds)
            time.sleep(IDLE_S)
            resting = idle.read()
            hold_s = calls / options.rate + SETTLE_S + options.seconds + DRAIN_S + SLACK_S
            caller = Caller(
                folder,
                "hold",
                bridge.places(calls),
                phones.port,
                telephones=calls,
                rate=options.rate,
                hold_s=hold_s,
            )
            try:
                up = self._wait_up(phones, caller, calls)
                time.sleep(SETTLE_S)
                kinds = bridge.kinds | {"engine": [engine.pid], "telephones": [phones.pid]}
                busy, meter = machine_busy_s(), Meter(kinds)
                phones.mark()
                began = time.monotonic()
                slow_ms = slowness(options.seconds)
                used, seconds = meter.read(), time.monotonic() - began
                busy = (machine_busy_s() - busy) / seconds
                phones.hush()
                time.sleep(DRAIN_S)
                heard = phones.report()
                refusals = self._too_many(bridge, calls)
                placed = caller.finish()
            finally:
                caller.kill()
            time.sleep(0.5)
            kept = records(bridge.state) if not options.no_records else -1
        others = max(busy - sum(usage.cores for usage in used.values()), 0.0)
        engine_ms = options.chunk_ms - FRAME_MS
        return Level(calls, up, placed, heard, used, resting, refusals, kept, others, engine_ms, slow_ms)

    def _wait_up(self, phones: Telephones, caller: Caller, calls: int) -> int:
        """Until every telephone is spoken to; how many are."""
        until = time.monotonic() + calls / self.options.rate + UP_DEADLINE_S
        up = 0
        while up < calls and time.monotonic() < until and not caller.ended():
            time.sleep(0.1)
            up = phones.report().up
        return up

    def _too_many(self, bridge: LoadBridge, calls: int) -> list[Refusal]:
        """Calls beyond the last line, when the level fills all lines."""
        if calls % CALLS_PER_WORKER:
            return []
        return [one_too_many(place) for place in (bridge.places(calls) * PROBES)[:PROBES]]

    def rates(self, rates: Sequence[float], calls: int) -> list[RateStep]:
        """New calls a second, each call short, against a bridge with room for `calls`."""
        folder = self.folder / "rates"
        folder.mkdir()
        steps = []
        with (
            EchoEngine(folder, 2 * calls + 8, self.options.chunk_ms // FRAME_MS) as engine,
            LoadBridge(folder, engine.url, calls, self.options.format, edge=self.options.edge) as bridge,
            Telephones(
                self.program, "127.0.0.1", min(calls, MAX_CALLS), exact=self.options.format == "pcmu"
            ) as phones,
        ):
            for rate in rates:
                number = round(rate * RATE_S)
                hold_s = min(RATE_HOLD_S, max((calls - 2) / rate - 0.7, 0.3))
                caller = Caller(
                    folder, f"rate-{rate:g}", bridge.places(number), phones.port,
                    telephones=min(calls, MAX_CALLS), rate=rate, hold_s=hold_s,
                )  # fmt: skip
                try:
                    placed = caller.finish()
                finally:
                    caller.kill()
                steps.append(RateStep(rate, hold_s, placed))
                word = "" if placed.good == number else f"; {placed.said[-300:].strip()}"
                self.say(f"  {rate:g} new calls a second: {placed.good} of {number} right{word}")
                time.sleep(1.0)
        return steps


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--calls", default=",".join(map(str, LEVELS)), help="numbers of calls, like 4,16,80 (at most 108)"
    )
    parser.add_argument("--rate", type=float, default=20.0, help="new calls a second while a level fills")
    parser.add_argument(
        "--rates", default="10,20,30,40", help="new calls a second to try at the end; none: skip"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="how long a level is measured")
    parser.add_argument("--format", choices=("pcmu", "pcm24"), default="pcmu", help="audio towards the model")
    parser.add_argument(
        "--chunk-ms",
        type=int,
        default=200,
        help="audio the engine gives at a time, as a model would; 20: at once",
    )
    parser.add_argument("--tick-ms", type=int, help="the workers' media.tick_ms, to compare")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--edge", action="store_true", help="through Kamailio and rtpengine")
    where.add_argument("--direct", dest="edge", action="store_false", help="to the workers (default)")
    parser.add_argument("--no-record", dest="record", action="store_false", help="calls are not recorded")
    parser.add_argument("--no-records", action="store_true", help="do not count the call records at the end")
    parser.add_argument("--csv", type=Path, help="the levels as CSV, too")
    parser.add_argument(
        "--json", type=Path, default=REPO / "build" / "load.json", help="where the figures go"
    )
    parser.add_argument(
        "--ship", action="store_true", help="make these the figures that `sipbridge capacity` comes with"
    )
    parser.add_argument("--keep", action="store_true", help="leave the working folder (logs) there")
    return parser.parse_args(arguments)


def table(levels: Sequence[Level]) -> Table:
    """One row a number of calls."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    rows = [level.row() for level in levels]
    for name in rows[0]:
        grid.add_column(name, justify="right")
    for row in rows:
        grid.add_row(*(str(value) for value in row.values()))
    return grid


def main(arguments: Sequence[str]) -> int:
    """0: every level was right and within the aims; 1: not."""
    options = parsed(arguments)
    console = Console(width=None if Console().is_terminal else 190)
    folder = Path(tempfile.mkdtemp(prefix="load-"))
    levels: list[Level] = []

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    bench = Bench(options, folder, say)
    way = "through the edge" if options.edge else "direct"
    say(f"load: {options.format}, {way}, {os.cpu_count()} cores")
    for calls in (int(word) for word in options.calls.split(",")):
        level = bench.level(calls)
        levels.append(level)
        say(f"  {calls} calls: {level.said()}")
    rates = [float(word) for word in options.rates.split(",")] if options.rates != "none" else []
    lines = max(*(level.calls for level in levels), *(round(rate * LINES_S) for rate in rates), 0)
    steps = bench.rates(rates, lines) if rates else []
    console.print(table(levels))
    for line in summary(levels, steps):
        say(line)
    write(options, levels, steps)
    say(f"written to {options.json}" + (f", logs in {folder}" if options.keep else ""))
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(level.right for level in levels) else 1


def write(options: argparse.Namespace, levels: Sequence[Level], steps: Sequence[RateStep]) -> None:
    """The JSON, and the CSV when one is wanted."""
    facts = {
        "format": options.format,
        "edge": options.edge,
        "recorded": options.record,
        "chunk_ms": options.chunk_ms,
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "aims": AIMS,
    }
    data = {
        "facts": facts,
        "levels": [level.to_dict() for level in levels],
        "knee": knee(levels),
        "rates": [step.to_dict() for step in steps],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.ship and any(level.right for level in levels):
        ship(data, options)
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            rows = [level.row() for level in levels]
            writer = csv.DictWriter(
                file, sorted({name for row in rows for name in row}, key=list(rows[-1]).index)
            )
            writer.writeheader()
            writer.writerows(rows)


def ship(data: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Write bridge/capacity.json: what the largest level that was right needed."""
    way = "through the edge" if options.edge else "direct"
    at = data["facts"]["at"][:10]
    measured = max((one for one in data["levels"] if one["right"]), key=lambda one: one["calls"])
    machine = f"{os.cpu_count()} cores of {_cpu_model()} (slow ms {measured['slow_ms']:.1f})"
    source = (
        f"make load, {measured['calls']} calls, {machine}, {way}, Python {platform.python_version()}, {at}"
    )
    kept = json.loads(SHIPPED.read_text(encoding="utf-8")) if SHIPPED.exists() else {}
    kept[options.format] = asdict(Measured.read(data, source))
    rounded = {name: {key: _rounded(value) for key, value in one.items()} for name, one in kept.items()}
    SHIPPED.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
