"""The approvals page in Debian's Chromium, over a real gate: what only a browser can show."""

import asyncio
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


async def test_the_forms_of_cards_further_down_come_when_one_gets_there_and_without_javascript_on_pages_of_their_own(
    house,
):
    """A browser's autofill looks at every field before it paints: a hundred cards took half a second longer."""
    ids = [(await house.office.call(function_call_id=f"f{n}"))["request_id"] for n in range(12)]
    async with browsers.browser() as running:
        tab = await opened(running, house, viewport={"width": 1100, "height": 600})
        last = tab.page.locator(f"#r-{ids[-1]}")
        assert await last.get_by_role("button", name="Deny").count() == 0
        await last.scroll_into_view_if_needed()
        await last.get_by_role("button", name="Deny").click()
        await tab.page.locator(f"#r-{ids[-1]}.denied").wait_for()
        assert await house.office.settled(ids[-1]) == "denied"
        assert tab.complaints == []

        plain = await opened(running, house, java_script_enabled=False)
        await plain.page.locator(f"#r-{ids[-2]}").locator("noscript a").click()
        await plain.page.get_by_role("button", name="Approve", exact=True).click()
        await plain.page.get_by_text("Your decision counts.").wait_for()
        assert await house.office.settled(ids[-2]) == "succeeded"


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


async def test_two_people_approve_in_two_browsers_and_the_first_sees_the_second(house):
    async with browsers.browser() as running:
        anna, bert = [await opened(running, house, name) for name in ("anna", "bert")]
        request_id = (await house.office.call("two", '{"amount": 4000}'))["request_id"]
        for one in (anna, bert):
            await one.page.locator(f"#r-{request_id} .decide").wait_for()
        await bert.page.get_by_label("Reason (the").fill("let me look")
        await anna.page.get_by_role("button", name="Approve", exact=True).click()
        await anna.page.get_by_text("You have approved. Somebody else has to approve too.").wait_for()
        await bert.page.get_by_text("1 of 2 approvals, from boss · so far anna").wait_for()
        assert await bert.page.get_by_label("Reason (the").input_value() == "let me look", (
            "what is typed stays"
        )
        assert await anna.page.get_by_role("button", name="Approve", exact=True).count() == 0
        await bert.page.get_by_role("button", name="Approve", exact=True).click()
        for one in (anna, bert):
            await one.page.locator("article.succeeded", has_text="approved by anna, bert").wait_for()
            assert one.complaints == []
        assert [done[:2] for done in house.office.done] == [("two", 4000)]


async def test_the_caller_is_asked_and_what_they_say_and_what_became_of_the_question_is_seen_by_all(house):
    async with browsers.browser() as running:
        anna = await opened(running, house)
        request_id = (await house.office.call())["request_id"]
        bert = await opened(running, house, "bert", f"/console/approvals/{request_id}")
        await anna.page.get_by_text("Ask the caller something first").click()
        await anna.page.get_by_label("The agent asks the caller exactly this").fill("Which card did you use?")
        await anna.page.get_by_role("button", name="Ask now").click()
        await bert.page.locator(".questions", has_text="being asked by anna").wait_for()
        command = house.office.commands.pop()
        done = {"call_id": command.call_id, "command_id": command.command_id, "ok": True, "interrupted": True}
        await house.office.office.answer("tool.command_done", done)
        said = Script(call_id="c1").tell("transcript", who="caller", item_id="i1", text="The blue one.")
        await house.office.store.write(0, said.events)
        for one in (anna, bert):
            await one.page.locator(".questions", has_text="the caller spoke into it").wait_for()
            await one.page.locator(".lines", has_text="The blue one.").wait_for()
            assert one.complaints == []
        await anna.page.get_by_text("Change it, and approve").click()
        await anna.page.locator("[name='argument.amount']").fill("35")
        await anna.page.get_by_role("button", name="Approve in this form").click()
        await bert.page.locator("article.succeeded", has_text="Changed by anna").wait_for()
        assert [done[1] for done in house.office.done] == [35]


ALERTS = """
window.told = [];
window.Notification = class { constructor(words) { told.push(words); }
  static permission = 'granted'; static requestPermission() { return Promise.resolve('granted'); } };
AudioContext.prototype.createOscillator = new Proxy(AudioContext.prototype.createOscillator, {
  apply(make, context, words) { told.push('tone'); return Reflect.apply(make, context, words); } });
"""


NO_NOTIFICATIONS = """
window.Notification = class { constructor() { throw new TypeError('not here'); } static permission = 'granted' };
"""


async def told(tab, count):
    """What the page has told, as soon as it is so much; its policy (CSP) lets no script wait for it."""
    async with asyncio.timeout(consoles.GUARD_S):
        while len(found := await tab.page.evaluate("told")) < count:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
    return found


async def test_an_approver_is_called_by_sound_and_notification_for_what_they_can_decide_only(house):
    async with browsers.browser() as running:
        anna = await opened(running, house, permissions=["notifications"])
        await anna.page.add_init_script(ALERTS)
        await anna.page.reload()
        await anna.page.get_by_label("Sound").check()
        await anna.page.get_by_label("Notifications").check()
        await told(anna, 2)  # two tones, to hear what it will be like
        await anna.page.evaluate("told.length = 0")
        await house.office.call()
        assert sorted(await told(anna, 3)) == ["Approval needed: pay", "tone", "tone"]
        sales = await opened(running, house, "sales", permissions=["notifications"])
        await sales.page.add_init_script(ALERTS)
        await sales.page.reload()
        await sales.page.get_by_label("Notifications").check()
        await house.office.call(function_call_id="f2")
        await sales.page.locator("article").nth(1).wait_for()
        assert await sales.page.evaluate("told") == []
        await anna.page.add_init_script(NO_NOTIFICATIONS)
        await anna.page.reload()
        await house.office.call(function_call_id="f3")
        await anna.page.locator("article").nth(2).wait_for()
        assert await anna.page.title() == "(3) Approvals · sipbridge", (
            "as on Android, where there is no Notification"
        )
        assert (anna.complaints, sales.complaints) == ([], [])
