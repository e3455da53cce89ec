"""`python -m tests.bench.approvals [COUNT]`: the approvals page in Chromium with so many requests that wait (100).

    gate and console in this process ─► store with COUNT pending, on COUNT calls ─► one page, one approver

Printed in ms: until the first paint, until all cards are there, and from a change in the store until the open page
shows it (a new request, words of a call, a decision), each several times. Budget: 500 to paint, 300 for an event.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.fakes import browser as browsers
from tests.fakes import console as consoles
from tests.fakes.events import Script

ROUNDS = 8
PAINT = """() => { const [page] = performance.getEntriesByType('navigation');
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  return [paint ? paint.startTime : -1, page.domContentLoadedEventEnd, page.responseEnd]; }"""
SEEN = """words => new Promise(done => { const look = () => {
    if (!document.body.textContent.includes(words)) return;
    seen.disconnect(); requestAnimationFrame(() => done(Date.now())); };
  const seen = new MutationObserver(look); seen.observe(document.body, {childList: true, subtree: true}); look(); })"""


async def seen_ms(page, words, change):
    """From the change until the page shows these words."""
    waiting = asyncio.create_task(page.evaluate(SEEN, words))
    await asyncio.sleep(0.2)
    before = time.time()
    await change()
    async with asyncio.timeout(20):
        return (await waiting) - 1000 * before


async def measure(house, count, running):
    """The figures, by name."""
    office = house.office
    for number in range(count):
        said = Script(call_id=f"c{number}", boot=f"b{number}").tell("call.started", direction="in")
        said.tell(
            "transcript", who="caller", item_id="i", text=f"I am caller {number} and I want my money back."
        )
        await office.store.write(0, said.events)
        arguments = json.dumps({"amount": 10 + number})
        await office.call("two", arguments, f"f{number}", f"c{number}", caller=f"+4930{number}")
    tab = await browsers.tab(running, viewport={"width": 1280, "height": 900})
    secret = (await house.as_("anna")).client.cookies["sipbridge"]
    await tab.page.context.add_cookies([{"name": "sipbridge", "value": secret, "url": house.base}])
    found = {"paint": [], "dom": [], "html": [], "new": [], "words": [], "decided": []}
    for _ in range(ROUNDS):
        await tab.page.goto(f"{house.base}/console/approvals")
        await tab.page.wait_for_timeout(600)
        for name, value in zip(("paint", "dom", "html"), await tab.page.evaluate(PAINT), strict=True):
            found[name].append(value)
    for number in range(ROUNDS):
        arguments = json.dumps({"amount": 770000 + number})

        async def ask(number=number, arguments=arguments):
            await office.call("pay", arguments, f"n{number}", f"c{number}")

        async def speak(number=number):
            said = Script(call_id=f"c{number}", boot=f"w{number}")
            said.tell("transcript", who="caller", item_id=f"w{number}", text=f"spoken {number} now")
            await office.store.write(0, said.events)

        async def decide(number=number):
            (row,) = [one for one in await office.gates.of_call(f"c{number}") if one.tool == "pay"]
            await office.decide(row.request_id, verdict="deny", reason=f"denied so {number}")

        found["new"].append(await seen_ms(tab.page, str(770000 + number), ask))
        found["words"].append(await seen_ms(tab.page, f"spoken {number} now", speak))
        found["decided"].append(await seen_ms(tab.page, f"denied so {number}", decide))
    return found


async def main(count):
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        async with consoles.running(Path(folder)) as house, browsers.browser() as running:
            for name, values in (await measure(house, count, running)).items():
                figures = f"median {statistics.median(values):6.0f} ms   worst {max(values):6.0f} ms"
                sys.stdout.write(f"{name:8} {figures}\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
