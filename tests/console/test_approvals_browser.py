"""The approvals page in Debian's Chromium, over a real gate: what only a browser can show."""

import json

import pytest

from tests.fakes import browser as browsers
from tests.fakes import console as consoles
from tests.fakes.events import Script

EVIL = "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>"

pytestmark = [pytest.mark.system, browsers.needed()]


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        yield found


async def opened(running, house, name="anna", path="/console/approvals", **context):
    tab = await browsers.tab(running, **context)
    secret = (await house.as_(name)).client.cookies["sipbridge"]
    await tab.page.context.add_cookies([{"name": "sipbridge", "value": secret, "url": house.base}])
    await tab.page.goto(house.base + path)
    return tab


async def test_without_javascript_one_can_approve_and_deny(house):
    async with browsers.browser() as running:
        tab = await opened(running, house, java_script_enabled=False)
        for function_call_id, button, state in (("f1", "Approve", "succeeded"), ("f2", "Deny", "denied")):
            request_id = (await house.office.call(function_call_id=function_call_id))["request_id"]
            await tab.page.goto(f"{house.base}/console/approvals")
            await tab.page.get_by_role("button", name=button, exact=True).click()
            await tab.page.get_by_text("Your decision counts.").wait_for()
            assert await house.office.settled(request_id) == state


async def test_what_is_being_typed_stays_while_the_call_goes_on_and_nothing_evil_runs(house):
    async with browsers.browser() as running:
        tab = await opened(running, house, viewport={"width": 390, "height": 800}, color_scheme="dark")
        page = tab.page
        arguments = json.dumps({"amount": 40})
        await house.office.call(caller=EVIL, agent=EVIL, arguments=arguments)
        reason = page.get_by_label("Reason (the")
        await reason.fill("not without")
        said = Script(call_id="c1").tell("call.started", direction="in", from_display=EVIL)
        await house.office.store.write(
            0, said.tell("transcript", who="caller", item_id="i1", text=EVIL).events
        )
        await page.locator(".lines", has_text="<img src=x").wait_for()
        assert await reason.input_value() == "not without"
        assert await page.title() == "(1) Approvals · sipbridge"
        widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], "a phone does not scroll sideways"
        await house.office.call(function_call_id="f2")
        await page.locator("article").nth(1).wait_for()
        assert await reason.first.input_value() == "not without", "nor does a new request take it away"
        assert tab.complaints == []


async def test_a_new_request_is_told_to_who_wants_sound_and_the_choice_is_kept(house):
    async with browsers.browser() as running:
        tab = await opened(running, house)
        await tab.page.get_by_label("Sound").check()
        await tab.page.reload()
        assert await tab.page.get_by_label("Sound").is_checked()
        await house.office.call()
        await tab.page.locator("#announce", has_text="Approval needed: pay").wait_for(state="attached")
        assert tab.complaints == []
