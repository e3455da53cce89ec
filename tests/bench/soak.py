"""`python -m tests.bench.soak --minutes N`: calls come and go for hours, and nothing may grow, and nothing may be lost.

A whole installation on machines of its own (tests/fakes/machines.py): edge, two nodes, PostgreSQL, the local engine.
Some callers at a time: most talk to an echo, some ask for a refund that a person approves, one at a time speaks with
the local engine. Every 15 s memory, file handles and threads of every process are written down.

    python -m tests.bench.soak --minutes 30 --json build/soak-1.json      one piece
    python -m tests.bench.soak --join build/soak-*.json                   judged together, written to build/soak.json

Judged: growth that is certain and more than noise (tests/bench/growth.py), after the first minutes; every answered call
has exactly one record; nobody hears anybody else; every call is taken. Needs root (network namespaces).
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.growth import Slope, grows, joined, minutes, slope
from tests.bench.system import REPO
from tests.fakes.machines import EDGE, NODES, ROOT, Installation, why_not_here

SAMPLE_S = 15.0
SETTLE_S = 240.0
"""What a process takes in its first minutes is not judged."""
TALK_S = (3.0, 25.0)
PAUSE_S = (0.5, 4.0)
SPOKEN_EVERY_S = 60.0
REFUNDS = 0.15
MEASURES = {"mb": (2.0, 0.3), "files": (2.0, 0.3), "threads": (1.0, 0.3)}
"""What is measured of each process: growth an hour that is allowed, and the error below which none is believed."""
SPEECH = """\
version: 1
voice: en-us
wpm: 150
steps:
  - after_agent: true
  - say: I want a refund of forty dollars.
  - after_agent: true
  - wait_ms: 6000
  - say: Goodbye.
  - after_agent: true
"""


def usage(pid: int) -> dict[str, float]:
    """Megabytes of a process's own (anonymous) memory, its PSS, open files and threads.

    Growth is judged by the first: PSS also changes when some other program that uses the same libraries comes or goes.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    folder = Path(f"/proc/{pid}")
    files, threads = len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))
    return {
        "mb": kb["Anonymous"] / 1024,
        "pss": kb["Pss"] / 1024,
        "files": float(files),
        "threads": float(threads),
    }


@dataclass
class Piece:
    """One run. `series`: process ("node-a worker 4711") → measure → [seconds, value]."""

    began: str = ""
    minutes: float = 0.0
    calls: int = 0
    refused: list[str] = field(default_factory=list)
    spoken: int = 0
    spoken_wrong: list[str] = field(default_factory=list)
    approved: int = 0
    foreign: int = 0
    cut: int = 0
    silence_s: float = 0.0
    records_wrong: list[str] = field(default_factory=list)
    series: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


class Soak:
    """One run against an installation."""

    def __init__(self, site: Installation, options: argparse.Namespace) -> None:
        self.site, self.options, self.piece = site, options, Piece()
        self.callers: list[str] = []
        self.stop = asyncio.Event()
        self.dice = random.Random(options.seed)
        self.began = time.monotonic()

    async def run(self) -> Piece:
        self.piece.began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for index in range(self.options.calls):
                tasks.create_task(self._caller(index))
            tasks.create_task(self._approver())
            tasks.create_task(self._speaker())
            tasks.create_task(self._sampler())
            await self._sleep(self.options.minutes * 60)
            self.stop.set()
        self.piece.minutes = (time.monotonic() - self.began) / 60
        await self._records()
        return self.piece

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stop.wait()

    async def _caller(self, index: int) -> None:
        await self._sleep(index * 0.7)
        while not self.stop.is_set():
            with self.site.fleet.forgetting():
                await self._one_call()
            await self._sleep(self.dice.uniform(*PAUSE_S))

    async def _one_call(self) -> None:
        fleet, piece = self.site.fleet, self.piece
        refund = self.dice.random() < REFUNDS
        call = await fleet.call("200" if refund else "100")
        piece.calls += 1
        if not call.up:
            piece.refused.append(f"{call.status} at {(time.monotonic() - self.began) / 60:.1f} min")
            return
        self.callers.append(call.caller)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.dice.uniform(*TALK_S) + (6 if refund else 0)):
                await call.over.wait()
        piece.cut += call.ended_at is not None
        await call.hang_up()
        fleet.free(call)
        piece.foreign += call.foreign
        quiet = [seconds for _, seconds in call.silences(call.answered_at + 0.5, 0.3)]
        piece.silence_s = max(piece.silence_s, *quiet, 0.0)

    async def _approver(self) -> None:
        """A person who looks now and then and approves what is there, on any node."""
        while not self.stop.is_set():
            rows = await asyncio.to_thread(self.site.requests, "pending")
            if rows:
                node = self.dice.choice(self.site.nodes)
                status, _ = await node.cli("approvals", "approve", rows[0]["request_id"], "--reason", "fine")
                self.piece.approved += status == 0
            await self._sleep(10)

    async def _speaker(self) -> None:
        """One caller at a time who really speaks; the local engine understands."""
        script = self.site.folder / "speech.yaml"
        script.write_text(SPEECH, encoding="utf-8")
        number = 0
        while not self.stop.is_set():
            number += 1
            caller = f"+49111{number:05}"
            words = ("call", f"sip:300@{EDGE}:5060", "--script", str(script), "--from", caller, "--json")
            process = await asyncio.to_thread(self._phone, words)
            output, _ = await asyncio.to_thread(process.communicate)
            self.piece.spoken += 1
            self.callers.append(caller)
            if process.returncode:
                self.piece.spoken_wrong.append(f"status {process.returncode}: {output[-200:]}")
            await self._sleep(SPOKEN_EVERY_S)

    def _phone(self, words: Sequence[str]) -> "subprocess.Popen[str]":
        with self.site.network.inside("phones"):
            return subprocess.Popen(
                [sys.executable, "-m", "bridge", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    async def _sampler(self) -> None:
        while not self.stop.is_set():
            await asyncio.to_thread(self._sample)
            await self._sleep(SAMPLE_S)

    def _sample(self) -> None:
        at = time.monotonic() - self.began
        for machine in self.site.machines:
            for kind, pids in machine.kinds.items():
                for pid in pids:
                    with contextlib.suppress(OSError):
                        for measure, value in usage(pid).items():
                            name = f"{machine.name} {kind} {pid}"
                            self.piece.series.setdefault(name, {}).setdefault(measure, []).append(
                                (round(at, 1), round(value, 3))
                            )

    async def _records(self) -> None:
        """Every answered call has exactly one record that has ended; waits for the last ones."""
        query = "SELECT from_uri, count(*) AS n, count(ended_at) AS ended FROM calls GROUP BY from_uri"
        until = time.monotonic() + 40
        while time.monotonic() < until:
            rows = {row["from_uri"]: row for row in await asyncio.to_thread(self.site.database.rows, query)}
            wrong = [
                f"{caller}: {rows.get(caller)}"
                for caller in self.callers
                if caller not in rows or rows[caller]["n"] != 1 or rows[caller]["ended"] != 1
            ]
            if not wrong:
                break
            await asyncio.sleep(1)
        self.piece.records_wrong = wrong


# ---- the verdict ------------------------------------------------------------------------------------------------


def trends(pieces: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[Slope, int]]:
    """(kind, measure) → the joined slope of all processes of that kind in all pieces, and how many they were."""
    found: dict[tuple[str, str], list[Slope]] = {}
    for piece in pieces:
        for name, measures in piece["series"].items():
            kind = name.split()[1]
            for measure in MEASURES:
                samples = measures.get(measure, [])
                late = [(at, value) for at, value in samples if at >= min(SETTLE_S, piece["minutes"] * 20)]
                one = slope(minutes(late))
                if one is not None:
                    found.setdefault((kind, measure), []).append(one)
    together = {}
    for (kind, measure), slopes in sorted(found.items()):
        line = joined(slopes, MEASURES[measure][1])
        if line is not None:
            together[kind, measure] = (line, len(slopes))
    return together


def judge(pieces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything that is wrong; empty is a pass."""
    wrong = [
        f"{kind}: {measure} grow by at least {line.least:.2f} an hour"
        for (kind, measure), (line, _) in trends(pieces).items()
        if grows(line, MEASURES[measure][0])
    ]
    for piece in pieces:
        begin = f"piece of {piece['began']}: "
        lists = [key for key in ("refused", "spoken_wrong", "records_wrong") if piece[key]]
        wrong += [f"{begin}{len(piece[key])} {key}: {piece[key][0]}" for key in lists]
        wrong += [f"{begin}{piece[key]} {key}" for key in ("foreign", "cut") if piece[key]]
    return wrong


def told(pieces: Sequence[Mapping[str, Any]], console: Console) -> bool:
    """Print the table and the verdict; whether it is a pass."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("process", "measure", "level", "per hour", "±", "processes", "minutes", ""):
        grid.add_column(name, justify="left" if name in {"process", "measure", ""} else "right")
    for (kind, measure), (line, count) in trends(pieces).items():
        verdict = "[bold red]grows[/]" if grows(line, MEASURES[measure][0]) else "[green]no[/]"
        figures = (f"{line.level:.1f}", f"{line.per_h:+.2f}", f"{line.error:.2f}")
        grid.add_row(kind, measure, *figures, str(count), str(line.points), verdict)
    console.print(grid)
    total = {key: sum(piece[key] for piece in pieces) for key in ("calls", "spoken", "approved", "minutes")}
    console.print(
        f"{total['minutes']:.0f} minutes in {len(pieces)} pieces, {total['calls']} calls, {total['spoken']} spoken, "
        f"{total['approved']} approvals; longest silence {max(piece['silence_s'] for piece in pieces):.1f} s"
    )
    wrong = judge(pieces)
    for line in wrong:
        console.print(f"[bold red]wrong[/] {line}", highlight=False)
    console.print("[green]nothing grows, nothing is lost[/]" if not wrong else "[bold red]FAILED[/]")
    return not wrong


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--calls", type=int, default=6, help="at a time")
    parser.add_argument("--workers", type=int, default=2, help="on each node")
    parser.add_argument(
        "--one", action="store_true", help="one machine, edge and workers, instead of two nodes"
    )
    parser.add_argument("--join", nargs="+", type=Path, help="judge these pieces together")
    parser.add_argument("--json", type=Path, default=REPO / "build" / "soak.json")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """0: a pass; 1: not; 2: it cannot be done here."""
    options = parsed(arguments)
    console = Console(width=None if Console().is_terminal else 150)
    if options.join:
        pieces = [piece for path in options.join for piece in json.loads(path.read_text())["pieces"]]
    else:
        if why := why_not_here():
            console.print(why)
            return 2
        os.nice(options.nice)
        pieces = [asyncio.run(_run(options)).to_dict()]
    fine = told(pieces, console)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(
        json.dumps({"right": fine, "wrong": judge(pieces), "pieces": pieces}) + "\n", encoding="utf-8"
    )
    console.print(f"written to {options.json}")
    return 0 if fine else 1


async def _run(options: argparse.Namespace) -> Piece:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        nodes = () if options.one else tuple(NODES)
        site = Installation(Path(folder), workers=options.workers, nodes=nodes, speech=True)
        async with site.running():
            return await Soak(site, options).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
