"""The pages of live calls: what is shown to whom, what is told when it changes, and what a form orders."""

import asyncio
import json
import re

import pytest

from bridge.console.audio import AudioDeps
from bridge.console.calls import Elsewhere, LiveParts
from bridge.console.pieces import key_of
from bridge.console.seats import SeatLimits
from bridge.dialplan.agent import Agent
from bridge.dialplan.plan import Plan
from bridge.errors import OrderError
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes.console import words
from tests.fakes.events import Script

EVIL = "<script>alert(1)</script>"
LIVE = "aa11" * 8
PLAN = Plan((), (Agent("front", "", hand_off_to=("billing",)),), transfers={"sales": "sip:sales@pbx"})


class Control:
    """Remembers what it is asked for; `refuses`: with these words."""

    def __init__(self):
        self.orders, self.watched, self.refuses, self.elsewhere = [], [], "", Elsewhere()

    async def act(self, call_id, kind, body, by):
        self.orders.append((call_id, kind, dict(body), by))
        if self.refuses:
            raise OrderError(422, self.refuses)
        return {"call_id": call_id, "done": kind, "recording": True, "paused": True}

    def parts(self):
        return LiveParts(
            self.act,
            lambda: PLAN,
            lambda: {"b1"},
            lambda record, _s: self.watched.append(record.call_id),
            lambda _node: self.elsewhere,
        )


def begun(call_id=LIVE, boot="b1", number="+4930123456"):
    script = Script(call_id=call_id, boot=boot)
    facts = {"direction": "inbound", "from": number, "to": "100", "route": "reception", "worker": "worker-0"}
    script.tell("call.started", from_display=EVIL, **facts).tell("session.connecting", agent="front")
    return script.tell("call.answered", 1.0, codec="PCMU")


@pytest.fixture
async def house(tmp_path):
    control = Control()
    async with consoles.running(tmp_path, more={"live": control.parts()}) as found:
        found.control = control
        await found.office.users.put(User("op", frozenset({"operator"}), frozenset()))
        await found.office.users.put(User("view", frozenset({"viewer"}), frozenset()))
        yield found


def reader(stream):
    """What comes, up to the line with these words; what is behind it is kept for the next time."""
    chunks, kept = stream.aiter_text(), [""]

    async def until(wanted):
        async with asyncio.timeout(10):
            while wanted not in kept[0] or "\n" not in kept[0].partition(wanted)[2]:
                kept[0] += await anext(chunks)
        before, _, after = kept[0].partition(wanted)
        line, _, kept[0] = after.partition("\n")
        return before + wanted + line

    return until


async def said(house, script, *events):
    """More of a call, as a worker tells it."""
    first = len(script.events)
    for event_type, data in events:
        script.tell(event_type, 0.1, **data)
    await house.office.store.write(0, script.events[first:])
    house.console.stored([script.call_id])


async def test_the_table_shows_who_talks_with_whom_and_what_happens(house):
    await house.office.store.write(0, begun().tell("agent.started", item_id="i1").events)
    answer = await (await house.as_("op")).get("/console/calls")
    text = words(answer.text)
    for shown in ("+4930123456", "front reception", "agent speaks", "worker-0", "1 live", EVIL):
        assert shown in text, shown
    assert EVIL not in answer.text
    assert "worker away" not in text


async def test_who_may_only_look_sees_no_number_name_or_word(house):
    script = begun().tell("transcript", who="caller", item_id="i1", text="My card is 41112222333")
    script.tell("function_call", function="f1", name="refund", arguments="41112222333").tell(
        "dtmf", digit="7", method="x"
    )
    await house.office.store.write(0, script.events)
    viewer = await house.as_("view")
    for path in ("/console/calls", f"/console/calls/{LIVE}"):
        answer = await viewer.get(path)
        assert answer.status_code == 200
        assert "***56" in answer.text
        for secret in ("4930123456", "alert(1)", "41112222333", "7 by x"):
            assert secret not in answer.text, (path, secret)
    assert "refund" in answer.text
    text = await viewer.events(f"/console/calls/{LIVE}/events?shows=0", "id: ")
    assert "refund" in text
    assert "41112222333" not in text


async def test_the_table_is_searched_and_sorted_by_its_address(house):
    await house.office.store.write(0, begun().events)
    await house.office.store.write(0, begun("bb22" * 8, "b2", "+491").events)
    browser = await house.as_("op")
    found = (await browser.get("/console/calls?q=%2B491")).text
    assert ("+491" in found, "+4930123456" in found) == (True, False)
    assert "No call fits" in words((await browser.get("/console/calls?q=nobody")).text)
    by = (await browser.get("/console/calls?sort=-from")).text
    assert by.index("+4930123456") > 0
    assert 'aria-sort="descending"' in by


async def test_an_open_table_is_told_what_comes_what_changes_and_what_goes(house):
    script = begun()
    browser = await house.as_("op")
    first = await browser.events("/console/calls/events?shows=x", "id: ")
    assert 'id="calls" hx-swap-oob="innerHTML"' in first
    name = re.search(r"shows=(\w+)", (await browser.get("/console/calls")).text)[1]
    key = key_of(LIVE)
    async with browser.client.stream("GET", f"/console/calls/events?shows={name}") as stream:
        until = reader(stream)
        await until("retry")
        await said(house, script)
        await house.office.store.write(0, script.events)
        assert "afterbegin:#calls" in await until(f'id="c-{key}"')
        await said(house, script, ("speech.started", {"item_id": "i1"}))
        assert 'hx-swap-oob="true"' in await until("caller speaks")
        await said(house, script, ("call.ended", {"by": "caller", "status": 200, "reason": "bye"}))
        assert f'id="c-{key}" hx-swap-oob="delete"' in await until("delete")


async def test_a_call_shows_its_course_and_what_was_not_heard_struck_through(house):
    script = begun().tell("agent.started", item_id="i1")
    script.tell("transcript", who="agent", item_id="i1", text="One two three four")
    script.tell("agent.finished", item_id="i1", heard_ms=500, interrupted=True)
    script.tell("barge_in", item_id="i1", heard_ms=500, dropped_ms=500, stop_ms=38)
    script.tell("function_call", function="f1", name="refund", arguments=EVIL)
    script.tell("tool.state", function="f1", request_id="r1", state="pending", tool="refund")
    await house.office.store.write(0, script.events)
    text = (await (await house.as_("anna")).get(f"/console/calls/{LIVE}")).text
    assert re.search(r"One two three<del[^>]*> four</del>", text)
    for shown in (
        "interrupted",
        "silent after 38 ms",
        "Function refund",
        "waits for a person",
        "Decide",
        EVIL,
    ):
        assert shown in words(text), shown
    assert EVIL not in text
    assert 'href="/console/approvals/r1"' in text


async def test_an_open_page_of_a_call_gets_words_on_their_way_levels_and_the_end(house):
    script = begun()
    await house.office.store.write(0, script.events)
    browser = await house.as_("op")
    shows = re.search(r"events\?shows=(\d+)", (await browser.get(f"/console/calls/{LIVE}")).text)[1]
    async with browser.client.stream("GET", f"/console/calls/{LIVE}/events?shows={shows}") as stream:
        until = reader(stream)
        await until("id: ")
        assert house.control.watched == [LIVE]
        data = {"words": [["caller", "i1", f"Where {EVIL}"]], "levels": {"caller": 55, "agent": 0, "x": 1}}
        house.console.glimpsed(LIVE, data)
        text = await until("event: levels")
        assert "Where &lt;script&gt;" in text
        assert json.loads(re.search(r"data: (\{.*\})", text + await until("}"))[1]) == {
            "caller": 55,
            "agent": 0,
        }
        await said(house, script, ("transcript", {"who": "caller", "item_id": "i1", "text": "Where is it?"}))
        assert "Where is it?" in await until("Where is it?")
        await said(house, script, ("call.ended", {"by": "caller", "status": 200, "reason": "bye"}))
        assert f"/console/history/{LIVE}" in await until("event: bye")


async def test_a_call_that_waits_for_a_person_says_so_whatever_is_said_meanwhile(house):
    call = begun().tell("tool.state", function="f1", tool="refund", state="pending", request_id="r1")
    call.tell("agent.started", item_id="i1").tell("agent.finished", item_id="i1")
    await house.office.store.write(0, call.events)
    page = await (await house.as_("op")).get(f"/console/calls/{LIVE}")
    assert '<span class="now approval">' in page.text


async def test_a_glimpse_that_is_none_changes_nothing(house):
    await house.office.store.write(0, begun().events)
    browser = await house.as_("op")
    await browser.get(f"/console/calls/{LIVE}")
    for data in ({"words": 3}, {"words": [[1]], "levels": {"caller": "loud"}}, {"levels": []}, {}):
        house.console.glimpsed(LIVE, data)
    house.console.glimpsed("other", {"levels": {"caller": 1}})
    assert (await browser.get(f"/console/calls/{LIVE}")).status_code == 200


async def test_a_call_that_is_over_says_so_and_where_its_history_is_and_offers_nothing(house):
    script = begun().tell("call.ended", by="agent", status=200, reason="done")
    await house.office.store.write(0, script.events)
    answer = await (await house.as_("op")).get(f"/console/calls/{LIVE}")
    assert "This call is over: agent, done." in words(answer.text)
    assert f'href="/console/history/{LIVE}"' in answer.text
    assert "hang_up" not in answer.text
    assert "sse-connect" not in answer.text


@pytest.mark.parametrize(
    ("form", "fields", "order"),
    [
        ("whisper", {"text": "Offer ten."}, ("whisper", {"text": "Offer ten."})),
        ("transfer", {"target": "sales"}, ("transfer", {"target": "sales"})),
        ("hand_off", {"agent": "billing"}, ("hand_off", {"agent": "billing"})),
        ("recording", {"action": "pause"}, ("recording", {"action": "pause"})),
        ("hang_up", {"reason": ""}, ("hang_up", {})),
    ],
)
async def test_a_form_orders_what_the_api_would_and_says_what_became_of_it(house, form, fields, order):
    await house.office.store.write(0, begun().tell("recording", path="x").events)
    browser, page = await house.as_("op"), f"/console/calls/{LIVE}"
    answer = await browser.post(f"{page}/{form}", page=page, **fields)
    assert answer.status_code == 200, answer.text
    assert house.control.orders == [(LIVE, *order, "op")]
    house.control.refuses = f"no such target {EVIL}"
    answer = await browser.post(f"{page}/{form}", page=page, headers={"hx-request": "true"}, **fields)
    assert answer.status_code == 409
    assert f"Not done: no such target {EVIL}" in words(answer.text)
    assert EVIL not in answer.text
    assert "<html" not in answer.text


async def test_who_may_not_act_has_no_forms_and_is_refused(house):
    await house.office.store.write(0, begun().events)
    for name in ("view", "anna"):
        browser, page = await house.as_(name), f"/console/calls/{LIVE}"
        shown = (await browser.get(page)).text
        assert f'action="{page}' not in shown
        assert (await browser.post(f"{page}/hang_up", page=page)).status_code == 403
    browser = await house.as_("op")
    assert (await browser.post(f"{page}/hang_up", csrf="0" * 64)).status_code == 403
    assert house.control.orders == []


async def test_a_call_that_nobody_knows_has_no_page(house):
    browser = await house.as_("op")
    for path in ("nope", "a%2Fb", "%00", "x" * 200):
        assert (await browser.get(f"/console/calls/{path}")).status_code == 404
        assert (await browser.get(f"/console/calls/{path}/events")).status_code == 404


async def test_what_can_be_done_stands_on_the_page_and_hanging_up_is_asked_twice(house):
    script = begun().tell("recording", path="x").tell("supervisor.took_over", leg="boss")
    await house.office.store.write(0, script.events)
    text = (await (await house.as_("op")).get(f"/console/calls/{LIVE}")).text
    assert "<option>sales</option>" in text
    assert "<option>billing</option>" in text
    for shown in (
        "Pause recording",
        "Give back to the agent",
        "boss has taken this call over",
        "Yes, hang up now",
    ):
        assert shown in words(text), shown
    assert re.search(r"<details[^>]*><summary>Hang up</summary>", text)


async def test_a_call_of_a_node_whose_audio_does_not_come_here_says_why_and_leads_there(tmp_path):
    control = Control()
    control.elsewhere = Elsewhere("https://b.example", "its workers are on loopback")
    deps = AudioDeps(None, limits=SeatLimits(program=("false",)))
    async with consoles.running(tmp_path, more={"live": control.parts(), "audio": deps}) as house:
        await house.office.store.write(0, begun().events)
        browser = await house.as_("chief")
        await house.office.users.put(User("chief", frozenset({"admin"}), frozenset()))
        text = (await browser.get(f"/console/calls/{LIVE}")).text
        assert 'data-part="speaker"' not in text
        assert "You cannot listen to this call here: its workers are on loopback." in words(text)
        assert f'href="https://b.example/console/calls/{LIVE}"' in text
        control.elsewhere = Elsewhere("https://b.example")
        text = (await browser.get(f"/console/calls/{LIVE}")).text
        assert 'data-part="speaker"' in text
