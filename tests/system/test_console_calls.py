"""Live calls as an operator sees them: Debian's Chromium, `sipbridge serve`, a real call through the local engine."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.settings import load
from bridge.store.store import Store
from tests.fakes import axe, consoles
from tests.fakes import browser as browsers

ROOT = Path(__file__).parents[2]
OPERATOR = consoles.somebody("op", "operator")
WHISPERED = "Offer them ten percent."
SCRIPT = """
version: 1
voice: en-us
wpm: 170
steps:
  - after_agent: true
  - say: What are your opening hours?
  - during_agent_ms: 2500
  - say: Where is my order?
  - after_agent: true
  - wait_ms: 60000
"""

pytestmark = [pytest.mark.system, browsers.needed()]


async def phone(environ, folder, address):
    """A caller who interrupts the greeting, and then only listens; ends with the call."""
    script = folder / "call.yaml"
    script.write_text(SCRIPT)
    words = ("call", f"sip:100@{address}", "--script", str(script), "--from", "+49301111", "--json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *words), cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return json.loads(output)


async def record_of(environ):
    async with Store(str(load(None, environ).store), migrate=False) as store:
        (call,) = await store.recent(10)
        return call, await store.events(call.call_id)


async def test_a_call_is_watched_whispered_to_and_hung_up(tmp_path):
    environ = environment(tmp_path, os.environ) | {"SIPBRIDGE_TOOLS": str(ROOT / "tools")}
    async with (
        embedded_bridge(tmp_path, environ) as address,
        browsers.browser() as running,
        asyncio.timeout(100),
        asyncio.TaskGroup() as tasks,
    ):
        where = await consoles.base(tmp_path)
        person = await consoles.signed_in(
            running, environ, where, OPERATOR, viewport={"width": 1280, "height": 860}
        )
        page = person.page
        await page.goto("/console/")
        await page.click("#tile-calls")
        await page.locator("#none").wait_for()
        ended = tasks.create_task(phone(environ, tmp_path, address))
        row = page.locator("#calls tr", has_text="+49301111")
        await row.wait_for(timeout=40_000)  # nobody loads the page again
        await axe.accessible(page)
        await row.get_by_role("link").click()

        await page.locator("#entries li.agent del").first.wait_for(timeout=40_000)
        await page.locator("#entries li.agent", has_text="interrupted").first.wait_for()
        await page.locator("#entries li.caller", has_text="What are your opening hours").wait_for()
        heard = await page.locator("#entries li.agent:has(del)").first.inner_text()
        assert "We are open from nine" in heard
        async with asyncio.timeout(20):  # somebody is heard
            while not await page.evaluate("document.getElementById('level-agent').value"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert "answered after" in await page.inner_text("#entries")

        await page.get_by_label("Whisper to the agent").fill(WHISPERED)
        await page.get_by_label("Speak at once").check()
        await page.get_by_role("button", name="Tell the agent").click()
        await page.locator("#hands-said", has_text="The agent was told.").wait_for()
        await page.locator("#entries li.note", has_text=f"op to the agent: “{WHISPERED}”").wait_for()
        await page.locator("#entries li.note:has-text('to the agent') ~ li.agent").first.wait_for(
            timeout=20_000
        )
        await page.screenshot(path=tmp_path / "call.png")
        await axe.accessible(page)

        await page.get_by_text("Hang up", exact=True).click()
        await page.get_by_label("Reason, for the record").fill("seen enough")
        await page.get_by_role("button", name="Yes, hang up now").click()
        pressed_at = time.monotonic()
        await page.locator("#over", has_text="This call is over: operator, seen enough.").wait_for()
        report = await ended
        assert time.monotonic() - pressed_at < 10
        assert report, "the phone's call has ended"
        await page.get_by_role("link", name="Its recording, timeline and costs").click()
        await page.locator("h1").wait_for()
        assert "/console/history/" in page.url
    call, events = await record_of(environ)
    assert (call.ended_by, call.end_reason) == ("operator", "seen enough")
    commands = [one.data for one in events if one.type == "command"]
    assert [(one["kind"], one["by"], one["ok"]) for one in commands] == [
        ("whisper", "op", True),
        ("hang_up", "op", True),
    ]
    assert person.complaints == [], "the policy (CSP) was broken, or a script"
