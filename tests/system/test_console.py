"""The console as an approver lives it: Debian's Chromium, `sipbridge serve`, real calls that wait for the decision."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.settings import load
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore
from tests.fakes import axe, consoles
from tests.fakes import browser as browsers

ROOT = Path(__file__).parents[2]
SCRIPT = """
version: 1
voice: en-us
wpm: 170
steps:
  - after_agent: true
  - say: I want a refund of forty dollars.
  - after_agent: true
  - dtmf: "1"
  - after_agent: true
  - wait_ms: 5000
  - say: Goodbye.
  - after_agent: true
"""

pytestmark = [pytest.mark.system, browsers.needed()]


async def sipbridge(environ, *words):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *words), cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def phone(environ, folder, address, caller):
    script = folder / "call.yaml"
    script.write_text(SCRIPT)
    words = ("call", f"sip:100@{address}", "--script", str(script), "--from", caller, "--json")
    status, output = await sipbridge(environ, *words)
    assert status == 0, output
    return json.loads(output)


async def records(environ):
    """By caller: the state of their request, and what the agent said to them."""
    async with Store(str(load(None, environ).store), migrate=False) as store:
        rows = await GateStore(store).requests()
        found = {}
        for row in rows:
            events = await store.events(row.call_id)
            said = [
                one.data["text"] for one in events if one.type == "transcript" and one.data["who"] == "agent"
            ]
            found[row.caller] = (row.state, row.gate["reason"], " / ".join(said))
        return found


async def the_audit_tells(page, base, folder):
    """From a decided request to what the audit has of its call: by keyboard, on a phone, in the dark, as a file."""
    await page.goto(f"{base}/console/approvals/decided?state=succeeded")
    await page.click(".list a")
    await page.click("text=everything about this call")
    row = page.locator(".list tr", has_text="anna approved")
    await row.wait_for()
    await page.locator(".chain.whole", has_text="The chain holds").wait_for()
    for told in ("the model wants it run", "the caller said yes", "the bridge done"):
        assert told in " ".join((await page.inner_text(".list")).split())
    await axe.accessible(page)
    await row.locator("summary").focus()
    await page.keyboard.press("Enter")
    await row.locator("pre", has_text='"type": "approved"').wait_for()
    await page.screenshot(path=folder / "audit.png", full_page=True)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await axe.accessible(page)
    async with page.expect_download() as begun:
        await page.click("text=Download these")
    taken = await asyncio.to_thread(Path(await (await begun.value).path()).read_text)
    assert len({json.loads(line)["call_id"] for line in taken.splitlines()}) == 1
    await page.set_viewport_size({"width": 1280, "height": 860})


async def test_two_calls_are_decided_from_the_page_as_they_wait_and_each_caller_hears_it(tmp_path):
    environ = environment(tmp_path, os.environ) | {"SIPBRIDGE_TOOLS": str(ROOT / "tools")}
    async with (
        embedded_bridge(tmp_path, environ) as address,
        browsers.browser() as running,
        asyncio.timeout(115),
    ):
        link, base = await consoles.first_link(tmp_path)
        admin = await browsers.tab(running)
        await consoles.choose_password(admin.page, link, "root.admin")
        assert "admin" in await admin.page.inner_text("header")
        await axe.accessible(admin.page)

        async with Store(str(load(None, environ).store), migrate=False) as store:
            await UserStore(store).put(User("anna", frozenset({"approver"}), frozenset({"supervisors"})))
        _, output = await sipbridge(environ, "users", "link", "anna")
        anna = await browsers.tab(running, viewport={"width": 1100, "height": 900})
        page = anna.page
        await consoles.choose_password(page, base + output.strip().partition("8080")[2])
        await page.click("nav >> text=Approvals")
        await page.wait_for_selector(".empty")

        async with asyncio.TaskGroup() as tasks:
            for caller in ("+49301111", "+49302222"):
                tasks.create_task(phone(environ, tmp_path, address, caller))
            card = page.locator("article.pending", has_text="+49301111")
            await card.wait_for(timeout=40_000)  # nobody loads the page again
            text = await card.inner_text()
            for shown in (
                "refund",
                "40 USD",
                "not verified",
                "I want a refund of forty dollars",
                "Is that right?",
            ):
                assert shown.lower() in text.lower(), (shown, text)
            assert re.fullmatch(r"\([12]\) Approvals · sipbridge", await page.title())
            await axe.accessible(page)
            await page.screenshot(path=tmp_path / "approvals.png", full_page=True)
            await card.get_by_role("button", name="Approve", exact=True).click()
            await page.locator("article.succeeded", has_text="+49301111").wait_for()

            card = page.locator("article.pending", has_text="+49302222")
            await card.wait_for(timeout=40_000)
            await card.get_by_label("Reason (the").fill("not without a receipt")
            await card.get_by_role("button", name="Deny").click()
            await page.locator("article.denied", has_text="not without a receipt").wait_for()
            await page.locator("article.denied", has_text="was not approved").wait_for()
            await page.locator("article.succeeded", has_text="Done. I have refunded").wait_for()

        await the_audit_tells(admin.page, base, tmp_path)
        await admin.page.click("text=Sign out")
        await admin.page.wait_for_selector("[name=password]")
        await axe.accessible(admin.page)
    found = await records(environ)
    assert found["+49301111"][0] == "succeeded"
    assert "Done. I have refunded" in found["+49301111"][2]
    assert found["+49302222"][:2] == ("denied", "not without a receipt")
    assert "was not approved" in found["+49302222"][2]
    assert (anna.complaints, admin.complaints) == ([], []), "the policy (CSP) was broken, or a script"
