"""`python -m tests.bench.watched`: do calls notice that people watch them in the console, and do the pages keep up?

    SIPp, telephones ─► (edge ►) workers ─► local engine, echo script       as `make load`, --calls of them
    100 calls in all and 100 requests that wait, in the same store
    console ◄── programs that hold live pages open and load others           only in every second phase
            ◄── Chromium, after that: what people see, while the calls go on

Phases with nobody and with many at the console take turns under the same calls; packets are counted by phase. Printed:
gaps between packets and added delay of both, the time until a page that is open is told of a change, until Chromium
paints a page, and until it shows a change. Aims (issue 6): paint < 500 ms, event < 300 ms, pacing within 10 %.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import structlog

from bridge.store.sessionstore import SessionStore
from bridge.store.userstore import User
from tests.bench.approvals import PAINT, seen_ms
from tests.bench.load import DRAIN_S, SETTLE_S, SLACK_S, Bench, parsed
from tests.bench.loadmedia import Heard, Histogram, Telephones
from tests.bench.loadsip import Caller
from tests.bench.loadsystem import EchoEngine, LoadBridge
from tests.fakes import browser as browsers
from tests.fakes import office as offices

ALL = 100
"""Calls, and requests that wait."""
PHASE_S = 8.0
ROUNDS = 3
LIVE_PAGES = ("/console/events?cards=1&shows=", "/console/calls/events?shows=")
EACH_LIVE = 5
PAGES = ("/console/approvals", "/console/calls", "/console/")
LOAD_EVERY_S = 0.5
GUARD_S = 20.0
SESSION_S = 43_200.0
EVENTS = 6


class House:
    """The console of a bridge: its address, a person's cookie, and hands on its store."""

    def __init__(self, base: str, secret: str, office: offices.Office) -> None:
        self.base, self.secret, self.office = base, secret, office

    def client(self) -> httpx.AsyncClient:
        """Somebody who has signed in."""
        return httpx.AsyncClient(base_url=self.base, cookies={"sipbridge": self.secret}, timeout=GUARD_S)

    async def ask(self, amount: int, call_id: str) -> None:
        """A request that waits for a person."""
        await self.office.call("pay", json.dumps({"amount": amount}), f"f{amount}", call_id, caller="+491")


@contextlib.asynccontextmanager
async def house(bridge: LoadBridge, folder: Path) -> AsyncIterator[House]:
    """The running bridge's console with ALL requests that wait, and as many calls."""
    settings = json.loads((bridge.state.parent / "bench.yaml").read_text())
    url = f"sqlite:///{bridge.state / 'sipbridge.db'}"
    async with offices.running(folder, url) as office:
        people = User("root.admin", frozenset({"admin", "approver", "operator"}), frozenset({"boss"}))
        await office.users.put(people)
        secret = await SessionStore(office.store, SESSION_S, SESSION_S).begin(people.name, time.time())
        here = House(f"http://127.0.0.1:{settings['console']['port']}", secret, office)
        for number, call_id in enumerate(more_calls(bridge.state / "sipbridge.db")):
            await here.ask(100 + number, call_id)
        yield here


def more_calls(path: Path) -> list[str]:
    """ALL ids of live calls: those that are, and copies of their rows for the rest."""
    with contextlib.closing(sqlite3.connect(path, timeout=GUARD_S)) as base, base:
        names = [row[1] for row in base.execute("pragma table_info(calls)")]
        others = ", ".join(name for name in names if name != "call_id")
        live = [
            row[0] for row in base.execute("select call_id from calls where ended_at is null limit ?", (ALL,))
        ]
        paper = [f"{number:032x}" for number in range(ALL - len(live))]
        for call_id in paper:
            base.execute(
                f"insert into calls (call_id, {others}) select ?, {others} from calls where call_id = ?",
                (call_id, live[0]),
            )
    return [*live, *paper]


async def watch(here: House, stop: asyncio.Event, loads: list[float]) -> None:
    """Hold live pages open and load others until `stop`; `loads`: milliseconds of each load."""

    async def hold(client: httpx.AsyncClient, path: str) -> None:
        async with client.stream("GET", path) as answer:
            if answer.status_code == 200:
                async for _ in answer.aiter_raw():
                    pass

    async def load(client: httpx.AsyncClient) -> None:
        number = 0
        while not stop.is_set():
            before = time.monotonic()
            answer = await client.get(PAGES[number % len(PAGES)])
            if answer.status_code == 200:
                loads.append((time.monotonic() - before) * 1000)
            number += 1
            await asyncio.sleep(LOAD_EVERY_S)

    async with here.client() as client:
        holding = [asyncio.create_task(hold(client, path)) for path in LIVE_PAGES for _ in range(EACH_LIVE)]
        try:
            await load(client)
        finally:
            for task in holding:
                task.cancel()
            await asyncio.gather(*holding, return_exceptions=True)


async def event_ms(here: House, amount: int) -> float:
    """From a new request in the store until a page that is open is told of it."""
    told = asyncio.Event()

    async def listen(client: httpx.AsyncClient) -> float:
        async with client.stream("GET", LIVE_PAGES[0]) as answer:
            seen = ""
            async for piece in answer.aiter_text():
                told.set()
                seen = seen[-100:] + piece
                if str(amount) in seen:
                    return time.monotonic()
        raise RuntimeError("the stream ended")

    async with here.client() as client, asyncio.timeout(GUARD_S):
        listening = asyncio.create_task(listen(client))
        await told.wait()
        await asyncio.sleep(1.0)  # it fills itself first
        before = time.monotonic()
        await here.ask(amount, "c1")
        return (await listening - before) * 1000


async def painted(here: House) -> dict[str, list[float]]:
    """What Chromium says, by page."""
    found: dict[str, list[float]] = {}
    async with browsers.browser() as running:
        tab = await browsers.tab(running, viewport={"width": 1280, "height": 900})
        await tab.page.context.add_cookies([{"name": "sipbridge", "value": here.secret, "url": here.base}])
        for path in PAGES:
            for _ in range(EVENTS):
                answer = await tab.page.goto(f"{here.base}{path}")
                if answer is None or not answer.ok:
                    break
                await tab.page.wait_for_timeout(500)
                found.setdefault(f"paint {path}", []).append((await tab.page.evaluate(PAINT))[0])
        await tab.page.goto(f"{here.base}/console/approvals")
        await tab.page.wait_for_timeout(1500)
        for number in range(EVENTS):
            change = _asker(here, 880000 + number)
            found.setdefault("shown", []).append(await seen_ms(tab.page, str(880000 + number), change))
    return found


def _asker(here: House, amount: int) -> Callable[[], Awaitable[None]]:
    return lambda: here.ask(amount, "c1")


def together(parts: Sequence[Heard], which: str) -> Histogram:
    """One histogram of several phases."""
    total: Counter[str] = Counter()
    for part in parts:
        for bin_, count in getattr(part, which).bins:
            total[str(bin_)] += count
    return Histogram(total)


async def measured(bridge: LoadBridge, phones: Telephones, folder: Path) -> dict[str, Any]:
    """Phases in turn, then events, then the browser."""
    loads: list[float] = []
    phases: dict[str, list[Heard]] = {"nobody": [], "watched": []}
    async with house(bridge, folder) as here:
        for _ in range(ROUNDS):
            for name, parts in phases.items():
                stop = asyncio.Event()
                watching = asyncio.create_task(watch(here, stop, loads)) if name == "watched" else None
                await asyncio.sleep(1.0)
                phones.mark()
                await asyncio.sleep(PHASE_S)
                parts.append(phones.report())
                stop.set()
                if watching is not None:
                    await watching
        stop = asyncio.Event()
        watching = asyncio.create_task(watch(here, stop, []))
        events = [await event_ms(here, 770000 + number) for number in range(EVENTS)]
        stop.set()
        await watching
        seen = await painted(here)
    return {"phases": phases, "loads": loads, "events": events, "seen": seen}


def told(found: dict[str, Any]) -> list[str]:
    """The figures in words."""
    lines = []
    for name, parts in found["phases"].items():
        gaps, rtt = together(parts, "gaps"), together(parts, "rtt")
        lines.append(
            f"{name:8} gaps p50 {gaps.percentile(50):.1f} p99 {gaps.percentile(99):.1f} "
            f"p99.9 {gaps.percentile(99.9):.1f} max {gaps.largest:.0f} ms; "
            f"round trip p50 {rtt.percentile(50):.0f} p99 {rtt.percentile(99):.0f} ms"
        )
    p99 = {name: together(parts, "gaps").percentile(99) for name, parts in found["phases"].items()}
    lines.append(f"pacing p99 watched / nobody: {p99['watched'] / p99['nobody']:.3f}")
    lines.append(_figures("page loaded by a program", found["loads"]))
    lines.append(_figures("open page is told", found["events"]))
    lines += [_figures(name, values) for name, values in found["seen"].items()]
    return lines


def _figures(name: str, values: Sequence[float]) -> str:
    if not values:
        return f"{name}: nothing"
    return f"{name}: median {statistics.median(values):.0f} ms, worst {max(values):.0f} ms ({len(values)})"


def main(arguments: Sequence[str]) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=40, help="real calls among the hundred")
    parser.add_argument("--edge", action="store_true", help="through Kamailio and rtpengine")
    mine = parser.parse_args(arguments)
    options = parsed(["--edge"] if mine.edge else ["--direct"])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    folder, calls = Path(tempfile.mkdtemp(prefix="watched-")), mine.calls
    program = Bench(options, folder, sys.stdout.write).program
    (folder / "office").mkdir()
    hold_s = calls / options.rate + SETTLE_S + 2 * ROUNDS * (PHASE_S + 3) + 120 + DRAIN_S + SLACK_S
    with (
        EchoEngine(folder, 2 * calls + 8, 10) as engine,
        LoadBridge(folder, engine.url, calls, "pcmu", edge=mine.edge) as bridge,
        Telephones(program, "127.0.0.1", calls, exact=True) as phones,
    ):
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
            while phones.report().up < calls:
                time.sleep(0.2)
            time.sleep(SETTLE_S)
            found = asyncio.run(measured(bridge, phones, folder / "office"))
        finally:
            caller.kill()
    sys.stdout.write(
        f"{calls} real calls of {ALL}, {ALL} requests that wait\n" + "\n".join(told(found)) + "\n"
    )
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
