"""`make hostile`, `python -m tests.bench.failures`: what dies, what callers have of it, what is lost, how long.

Two nodes, one edge, one PostgreSQL in network namespaces (tests/fakes/machines.py), real audio through all of it. Every
fault under load; prints a table and writes build/failures.json. What it found last stands in ops/failures.md. Root.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import failing
from tests.bench.failing import Effect
from tests.bench.system import REPO
from tests.fakes.machines import Installation, why_not_here

Fault = Callable[[Installation, int], Awaitable[Effect]]
FAULTS: dict[str, Fault] = {
    "control": failing.control_killed,
    "node": failing.node_killed,
    "worker": failing.worker_killed,
    "network": failing.network_cut,
    "network-long": failing.network_cut_long,
    "kamailio": failing.kamailio_killed,
    "rtpengine": failing.rtpengine_killed,
    "database": failing.database_killed,
    "database-long": failing.database_killed_long,
    "edge-control": failing.edge_control_killed,
    "approvals": lambda site, _: failing.decided_elsewhere(site),
    "approvals-node": lambda site, _: failing.approval_of_a_dead_node(site),
    "drain": failing.node_drained,
    "full": lambda site, _: failing.one_too_many(site),
    "rolling": failing.rolling_restart,
}


async def run(options: argparse.Namespace, console: Console) -> list[Effect]:
    """All faults that are wanted, one after the other, against one installation."""
    names = options.only or list(FAULTS)
    effects: list[Effect] = []
    with tempfile.TemporaryDirectory(prefix="failures-") as folder:
        site = Installation(Path(folder), workers=options.workers, settings=failing.SETTINGS)
        async with site.running():
            for name in names:
                began = time.monotonic()
                try:
                    effect = await FAULTS[name](site, options.calls)
                except AssertionError as error:
                    effect = Effect(name, wrong=[str(error)[:300]])
                effects.append(effect)
                console.print(
                    f"  {name}: {effect.said()} ({time.monotonic() - began:.0f} s)", highlight=False
                )
    return effects


def main(arguments: Sequence[str]) -> int:
    """0: every effect is the stated one; 1: not; 2: it cannot be done here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--calls",
        type=int,
        default=8,
        help="that are up when it happens; one node must have room for them, or new calls are refused",
    )
    parser.add_argument("--workers", type=int, default=2, help="on each node (at 4 calls each)")
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), help="these faults; all when left out")
    parser.add_argument("--json", type=Path, default=REPO / "build" / "failures.json")
    options = parser.parse_args(arguments)
    console = Console(width=None if Console().is_terminal else 160)
    if why := why_not_here():
        console.print(why)
        return 2
    effects = asyncio.run(run(options, console))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in effects[0].row():
        grid.add_column(name)
    for effect in effects:
        grid.add_row(*(str(value) for value in effect.row().values()))
    console.print(grid)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    facts = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cores": os.cpu_count()}
    data = {"facts": facts, "effects": [effect.__dict__ for effect in effects]}
    options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {options.json}")
    return 1 if any(effect.wrong for effect in effects) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
