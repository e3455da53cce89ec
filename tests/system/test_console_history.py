"""The history as ops live it: a real call is found, played in time with its picture, and shared with a stranger."""

import asyncio
import os
from pathlib import Path

import pytest

from bridge.cli.demo import embedded_bridge, environment
from tests.fakes import axe, consoles
from tests.fakes import browser as browsers
from tests.system.test_console import sipbridge

ROOT = Path(__file__).parents[2]
CALLER = "+49301111"
SCRIPT = """
version: 1
voice: en-us
wpm: 170
steps:
  - wait_ms: 1200
  - say: I want a refund of forty dollars.
  - after_agent: true
  - dtmf: "1"
  - wait_ms: 2500
"""

pytestmark = [pytest.mark.system, browsers.needed()]


async def call(environ, folder, address):
    script = folder / "call.yaml"
    script.write_text(SCRIPT)
    words = ("call", f"sip:100@{address}", "--script", str(script), "--from", CALLER, "--json")
    status, output = await sipbridge(environ, *words)
    assert status == 0, output


async def until(page, true):
    """Playwright's own waiting evaluates a string, which the pages' policy forbids."""
    async with asyncio.timeout(15):
        while not await page.evaluate(true):  # noqa: ASYNC110  # a page
            await asyncio.sleep(0.1)


async def position(page):
    """(where the recording is, where the playhead is)."""
    return await page.evaluate(
        "[document.getElementById('recording').currentTime, +document.getElementById('playhead').getAttribute('x1')]"
    )


async def test_a_call_is_found_played_in_time_with_its_picture_and_shared_until_it_is_revoked(tmp_path):
    environ = environment(tmp_path, os.environ) | {"SIPBRIDGE_TOOLS": str(ROOT / "tools")}
    async with embedded_bridge(tmp_path, environ) as address, browsers.browser() as running:
        where = await consoles.base(tmp_path)
        await call(environ, tmp_path, address)
        ops = await consoles.signed_in(
            running,
            environ,
            where,
            consoles.somebody("olga", "operator"),
            viewport={"width": 1280, "height": 900},
        )
        page = ops.page

        await page.goto("/console/history?number=nobody")
        await page.wait_for_selector(".empty")
        await page.fill("[name=number]", "1111")
        await page.click("button.main")
        assert await page.locator(".calls tbody tr").count() == 1
        assert CALLER in await page.inner_text(".calls")
        await axe.accessible(page)
        await page.screenshot(path=tmp_path / "history.png", full_page=True)
        await page.click(".calls tbody a")

        said = (await page.inner_text("#transcript")).lower()
        assert "refund" in said, said
        assert await page.locator("rect.bar.caller").count() >= 1
        assert await page.locator("rect.bar.person").count() >= 1
        await axe.accessible(page)
        await page.screenshot(path=tmp_path / "call.png", full_page=True)

        await page.focus("#player")
        await page.keyboard.press("ArrowRight")  # nothing of it is loaded yet
        before = await position(page)
        assert before[0] == 2.0
        await page.keyboard.press("Space")
        await until(page, f"document.getElementById('recording').currentTime > {before[0] + 0.5}")
        after = await position(page)
        assert after[1] > before[1]
        await page.evaluate("document.getElementById('recording').pause()")
        target = await page.evaluate(
            "(() => { const p = document.getElementById('player').dataset;"
            " return (Number(p.recording) + 4 - Number(p.start)) * Number(p.scale); })()"
        )
        await page.locator("#picture").click(position={"x": target, "y": 60})
        moved = await position(page)
        assert moved[0] == pytest.approx(4.0, abs=0.1)
        assert moved[1] == pytest.approx(target, abs=2.0)
        await page.wait_for_selector("#transcript li.now")
        await page.focus("#player")
        await page.keyboard.press("Home")
        assert (await position(page))[0] == 0

        arrows = [name.split(",")[0] for name in await page.locator("#ladder a.arrow").evaluate_all(
            "all => all.map(one => one.getAttribute('aria-label'))"
        )]  # fmt: skip
        for what in ("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"):
            assert arrows.count(what) == 1, arrows
        await page.locator("#ladder a.arrow").first.click()
        await page.locator("#sip-0", has_text="INVITE").wait_for()

        await page.select_option("[name=hours]", "24")
        await page.click("text=Make a link")
        link = await page.input_value("#share-link")
        stranger = await browsers.tab(running)
        await stranger.page.goto(link)
        assert "refund" in (await stranger.page.inner_text("#transcript")).lower()
        await stranger.page.evaluate("document.getElementById('recording').play()")
        await until(stranger.page, "document.getElementById('recording').readyState >= 1")
        assert await stranger.page.locator("form, nav").count() == 0
        await stranger.page.route("**/recording", lambda route: route.fulfill(status=404))
        await stranger.page.reload()
        assert not await stranger.page.is_visible("#unplayable")
        await stranger.page.focus("#player")
        await stranger.page.keyboard.press("Space")
        await stranger.page.wait_for_selector("#unplayable")
        await axe.accessible(stranger.page)
        await page.click("text=Revoke")
        await page.locator(".shares").wait_for(state="detached")
        answer = await stranger.page.reload()
        assert answer.status == 404
        assert "This link shows nothing" in await stranger.page.inner_text("main")
    complaints = [one for one in stranger.complaints if "404" not in one]
    assert (ops.complaints, complaints) == ([], []), "the policy (CSP) was broken, or a script"
