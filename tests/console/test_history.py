"""The history as people ask for it: searching, paging, files; what a viewer gets."""

import csv
import io
import json
import re

import pytest

from bridge.console.lists import ListLimits
from bridge.errors import StoreError
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes.console import words
from tests.fakes.events import Script

T0 = 1_795_000_000.0
EVIL = "=cmd|' /C calc'!A0<script>alert(1)</script>"


FEW = ListLimits(page=2, file_page=2)


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path, more={"lists": FEW}) as found:
        yield found


async def keep(house, call_id, at, **started):
    script = Script(call_id=call_id, boot=f"b-{call_id}", at=at)
    facts = {
        "direction": "inbound",
        "from": "+4930123456",
        "to": "+4930999",
        "route": "desk",
        "agent": "front",
    }
    script.tell("call.started", **(facts | started)).tell("call.answered", 1, codec="PCMU", ptime_ms=20)
    script.tell("transcript", 1, who="caller", item_id="i1", text="Where is my parcel?")
    script.tell("call.ended", 60, by="caller", status=200, reason="BYE")
    await house.office.store.write(0, script.events)


async def viewer(house):
    await house.office.users.put(User("vera", frozenset({"viewer"}), frozenset()))
    return await house.as_("vera")


def ids(text):
    return re.findall(r'href="/console/history/(\w+)"', text)


async def test_calls_are_listed_newest_first_with_who_how_long_and_how_it_ended(house):
    await keep(house, "old", T0)
    await keep(house, "new", T0 + 1, from_display=EVIL)
    page = await (await house.as_("chief")).get("/console/history")
    assert ids(page.text) == ["new", "old"]
    assert "<script>alert" not in page.text
    shown = words(page.text)
    for one in ("+4930123456", "→ +4930999", "desk", "front", "1:01", "other side hung up", EVIL):
        assert one in shown, one


async def test_a_search_shows_what_fits_and_stays_in_the_form_and_in_the_links(house):
    await keep(house, "one", T0, **{"from": "+4911"})
    await keep(house, "two", T0 + 1)
    browser = await house.as_("chief")
    page = (await browser.get("/console/history?number=49+11&outcome=answered")).text
    assert ids(page) == ["one"]
    assert 'value="49 11"' in page
    assert "/console/history/export.csv?number=49+11&amp;outcome=answered" in page
    assert ids((await browser.get("/console/history?words=PARCEL&number=456")).text) == ["two"]
    assert "No call fits." in words((await browser.get("/console/history?route=none")).text)


async def test_what_is_not_understood_is_said_and_the_rest_is_searched(house):
    await keep(house, "one", T0)
    page = (await (await house.as_("chief")).get("/console/history?since=tomorrow&route=desk")).text
    assert "Not understood, and left out: From." in words(page)
    assert ids(page) == ["one"]


async def test_pages_follow_one_another(house):
    for number in range(5):
        await keep(house, f"c{number}", T0 + number)
    browser, seen, path = await house.as_("chief"), [], "/console/history?route=desk"
    while path:
        page = (await browser.get(path)).text
        seen += ids(page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == ["c4", "c3", "c2", "c1", "c0"]


async def test_a_viewer_sees_masked_numbers_and_cannot_search_for_them(house):
    await keep(house, "one", T0, from_display="Alice")
    browser = await viewer(house)
    page = (await browser.get("/console/history?number=nothing&words=nothing&reason=nothing")).text
    assert ids(page) == ["one"]
    assert "***56" in page
    for kept_back in ("+4930123456", "Alice", "BYE", 'name="number"', 'name="words"'):
        assert kept_back not in page, kept_back
    text = (await browser.get("/console/history/export.csv")).text
    assert "***56" in text
    assert "Alice" not in text
    assert "end_reason" not in text


async def test_what_was_found_is_a_file_that_a_spreadsheet_can_open_without_harm(house):
    for number in range(5):
        await keep(house, f"c{number}", T0 + number, from_display=EVIL)
    await keep(house, "other", T0 + 9, route="other")
    browser = await house.as_("chief")
    answer = await browser.get("/console/history/export.csv?route=desk")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="calls-[\d-]+\.csv"', answer.headers["content-disposition"])
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["call_id"] for row in rows] == ["c4", "c3", "c2", "c1", "c0"]
    assert rows[0]["from_display"] == f"'{EVIL}"
    answer = await browser.get("/console/history/export.jsonl?route=desk")
    assert [json.loads(line)["call_id"] for line in answer.text.splitlines()] == [
        "c4",
        "c3",
        "c2",
        "c1",
        "c0",
    ]


async def test_an_export_is_audited_before_its_first_line_without_what_was_typed(house):
    await keep(house, "c1", T0)
    browser = await house.as_("chief")
    await browser.get("/console/history/export.csv?number=4930&route=desk&outcome=answered&trouble=1&since=5")
    await (await viewer(house)).get("/console/history/export.jsonl?number=4930")
    await browser.get("/console/history/export.csv?since=yesterday")
    told = [(one["type"], one["actor"], one["facts"]) for one in await house.office.gates.audit()]
    looked_for = {"number": True, "route": True, "outcome": "answered", "trouble": True, "since": 5.0}
    assert told == [
        (
            "calls_exported",
            "chief",
            {"kind": "csv", "filter": looked_for, "personal": True, "via": "console"},
        ),
        ("calls_exported", "vera", {"kind": "jsonl", "filter": {}, "personal": False, "via": "console"}),
    ]


async def test_without_the_audit_nothing_is_exported(house, monkeypatch):
    await keep(house, "c1", T0)

    async def full(*_args):
        raise StoreError("no room")

    monkeypatch.setattr(house.office.gates, "note", full)
    answer = await (await house.as_("chief")).get("/console/history/export.csv")
    assert answer.status_code == 503
    assert "+4930123456" not in answer.text


async def test_an_export_is_bounded_in_rows_and_in_number(tmp_path):
    async with consoles.running(tmp_path, more={"lists": ListLimits(file=2)}) as house:
        for number in range(3):
            await keep(house, f"c{number}", T0 + number)
        text = (await (await house.as_("chief")).get("/console/history/export.jsonl")).text
        assert text.count("\n") == 2
    async with consoles.running(tmp_path, more={"lists": ListLimits(files=0)}) as house:
        answer = await (await house.as_("chief")).get("/console/history/export.csv")
        assert (answer.status_code, "Too many exports" in answer.text) == (503, True)


async def test_nobody_sees_the_history_without_signing_in(house):
    for path in ("", "/export.csv", "/export.jsonl"):
        assert (await house.browser().get(f"/console/history{path}")).status_code == 303


async def test_a_filter_that_is_not_understood_makes_no_file_of_all_calls(house):
    await keep(house, "c1", T0)
    browser = await house.as_("chief")
    answer = await browser.get("/console/history/export.csv?since=yesterday")
    assert answer.status_code == 400
    assert "+4930123456" not in answer.text
    assert "No file was made" in words(answer.text)
