"""`python -m tests.bench.livecalls [COUNT]`: the table of live calls in Chromium with so many of them (100).

    store with COUNT calls that go on ─► one page, one operator

Printed in ms: until the answer is whole, until the first paint, and from a change in the store until the open page
shows it, each several times; and what a fixed piece of work costs on this machine now (loadsystem.slowness). Budget:
500 to paint, 300 for an event.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.approvals import PAINT, seen_ms
from tests.bench.loadsystem import slowness
from tests.fakes import browser as browsers
from tests.fakes import console as consoles
from tests.fakes.events import Script

ROUNDS = 8


def live(number):
    """A call that goes on."""
    call = Script(call_id=f"{number:032x}", boot=f"b{number}", at=time.time() - number * 7, mono=50.0)
    facts = {"from": f"+4930{number:06}", "to": "100", "from_display": f"Alice {number}"}
    call.tell("call.started", direction="inbound", route="reception", agent="front", worker="w", **facts)
    call.tell("call.answered", 0.5, codec="PCMU", ptime_ms=20)
    return call.tell("agent.started", 0.5, item_id="i1")


async def measure(house, count, running):
    """The figures, by name."""
    for number in range(count):
        await house.office.store.write(0, live(number).events)
    tab = await browsers.tab(running, viewport={"width": 1280, "height": 900})
    secret = (await house.as_("chief")).client.cookies["sipbridge"]
    await tab.page.context.add_cookies([{"name": "sipbridge", "value": secret, "url": house.base}])
    found = {"html": [], "paint": [], "event": []}
    for _ in range(ROUNDS):
        await tab.page.goto(f"{house.base}/console/calls")
        await tab.page.wait_for_timeout(600)
        paint, _, html = await tab.page.evaluate(PAINT)
        found["paint"].append(paint)
        found["html"].append(html)
    for number in range(ROUNDS):

        async def come(number=number):
            call = live(count + number)
            await house.office.store.write(0, call.events)
            house.console.stored([call.call_id])

        found["event"].append(await seen_ms(tab.page, f"+4930{count + number:06}", come))
    return found


async def main(count):
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        async with consoles.running(Path(folder)) as house, browsers.browser() as running:
            for name, values in (await measure(house, count, running)).items():
                figures = f"median {statistics.median(values):6.0f} ms   worst {max(values):6.0f} ms"
                sys.stdout.write(f"{name:8} {figures}\n")
    sys.stdout.write(f"work     {await asyncio.to_thread(slowness, 3.0):.2f} ms of CPU\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
