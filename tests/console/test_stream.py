"""Server-sent events (HTML standard, section 9.2): an open page comes to know what is new, and when it is over."""

import asyncio

import pytest

from bridge.console.stream import Streams
from bridge.control_door import MAX_CONNECTIONS
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes.events import Script

CARDS = "/console/events?cards=1"


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        yield found


class Reader:
    """Reads a stream as it comes."""

    def __init__(self, browser, path, **headers):
        self.text, self.status, self.headers = "", 0, {}
        self._came = asyncio.Event()
        self._task = asyncio.create_task(self._read(browser, path, headers))

    async def _read(self, browser, path, headers):
        async with browser.client.stream("GET", path, headers=headers) as answer:
            self.status, self.headers = answer.status_code, answer.headers
            async for chunk in answer.aiter_text():
                self.text += chunk
                self._came.set()

    async def until(self, words):
        async with asyncio.timeout(consoles.GUARD_S):
            while words not in self.text:
                self._came.clear()
                await self._came.wait()
        text, self.text = self.text, ""
        return text

    async def ended(self):
        async with asyncio.timeout(consoles.GUARD_S):
            await self._task

    def close(self):
        self._task.cancel()


async def test_a_new_request_its_words_and_its_end_come_to_an_open_page(house):
    page = Reader(await house.as_("anna"), CARDS)
    first = await page.until("id: ")
    assert page.headers["content-type"].startswith("text/event-stream")
    assert page.headers["cache-control"] == "no-store"
    assert '<div id="queue" hx-swap-oob="innerHTML"></div>' in first
    opened = await house.office.call()
    added = await page.until("</article>")
    assert 'hx-swap-oob="beforeend:#queue"' in added
    assert '<span class="count" id="count-pending" hx-swap-oob="true">1</span>' in added
    words = Script(call_id="c1").tell("transcript", who="caller", item_id="i1", text="Please hurry.")
    await house.office.store.write(0, words.events)
    spoken = await page.until("Please hurry.")
    assert f'id="lines-{opened["request_id"]}" hx-swap-oob="true"' in spoken
    assert "<form" not in spoken, "what an approver is typing stays"
    await (await house.as_("bert")).decide(opened["request_id"], "deny")
    settled = await page.until('data-state="denied"')
    assert f'id="r-{opened["request_id"]}"' in settled
    page.close()


async def test_a_page_that_shows_what_there_is_is_not_filled_again(house):
    await house.office.call()
    anna = await house.as_("anna")
    digest = (await anna.get("/console/approvals")).text.partition("shows=")[2].partition('"')[0]
    for again in ({"path": f"{CARDS}&shows={digest}"}, {"path": CARDS, "last-event-id": digest}):
        text = await anna.events(again.pop("path"), "id: ", **again)
        assert "<article" not in text
        assert f"id: {digest}" in text


async def test_the_overview_gets_numbers_only(house):
    await house.office.call()
    text = await (await house.as_("anna")).events("/console/events?shows=", "id: ")
    assert 'id="tile-pending"' in text
    assert "<article" not in text


@pytest.mark.parametrize("change", ["sign-out", "role"])
async def test_an_open_page_ends_when_its_session_does(tmp_path, change):
    async with consoles.running(tmp_path, streams=Streams(look_s=0.05)) as house:
        anna = await house.as_("anna")
        page = Reader(anna, CARDS)
        await page.until("id: ")
        if change == "role":
            await house.office.users.put(User("anna", frozenset({"viewer"}), frozenset()))
        else:
            await anna.post("/console/sign-out", page="/console/")
        assert "signed out" in await page.until("event: bye")
        await page.ended()


async def test_when_control_stops_nobody_waits_for_open_pages(house):
    page = Reader(await house.as_("anna"), CARDS)
    await page.until("id: ")
    house.console._feed.close()
    await page.ended()


async def test_open_pages_cannot_take_every_connection(tmp_path):
    async with consoles.running(tmp_path, streams=Streams(most=1)) as house:
        anna = await house.as_("anna")
        page = Reader(anna, CARDS)
        await page.until("id: ")
        assert (await anna.get(CARDS)).status_code == 503
        page.close()


async def test_one_person_s_windows_leave_room_for_those_of_others(tmp_path):
    async with consoles.running(tmp_path, streams=Streams(most=3, of_one=1)) as house:
        anna = await house.as_("anna")
        page = Reader(anna, CARDS)
        await page.until("id: ")
        assert (await anna.get(CARDS)).status_code == 503
        other = Reader(await house.as_("bert"), CARDS)
        await other.until("id: ")
        page.close()
        async with asyncio.timeout(consoles.GUARD_S):
            status = 503
            while status == 503:  # until it is known here that the page is closed
                async with anna.client.stream("GET", CARDS) as answer:
                    status = answer.status_code
        other.close()


def test_streams_leave_half_of_the_door_s_connections_to_others():
    assert Streams().most <= MAX_CONNECTIONS // 2


async def test_the_page_of_one_request_lives_too_and_hears_of_no_other(house):
    opened = await house.office.call()
    anna = await house.as_("anna")
    shows = (await anna.get(f"/console/approvals/{opened['request_id']}")).text.partition("shows=")[2][:16]
    page = Reader(anna, f"{CARDS}&only={opened['request_id']}&shows={shows}")
    assert "<article" not in await page.until("id: "), "it shows what there is"
    other = await house.office.call(function_call_id="f2", call_id="c2")
    said = Script(call_id="c1").tell("transcript", who="caller", item_id="i1", text="It was order seven.")
    await house.office.store.write(0, said.events)
    heard = await page.until("It was order seven.")
    await house.office.decide(opened["request_id"], verdict="deny")
    assert 'data-state="denied"' in await page.until("</article>")
    assert other["request_id"] not in heard
    page.close()
