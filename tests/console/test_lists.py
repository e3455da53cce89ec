"""What lists share: links, and files that are bounded in number, in rows and in time."""

from datetime import datetime

import pytest

from bridge.console.lists import DAY_S, Files, ListLimits, lately, link
from bridge.console.web import PageError
from bridge.errors import StoreError

FEW = ListLimits(file_page=2, file=5, file_s=0.0, files=1)


def endless(asked):
    async def read(after, most):
        asked.append(most)
        return "x\n" * most, most, (after or 0) + most

    return read


async def body_of(answer):
    return "".join([piece async for piece in answer.body_iterator])


async def test_a_file_has_as_many_rows_as_it_may_have():
    asked = []
    answer = Files(ListLimits(file_page=2, file=5)).answer("calls", "csv", endless(asked), "head\n")
    assert (await body_of(answer), asked) == ("head\n" + "x\n" * 5, [2, 2, 1])
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"


async def test_a_file_that_takes_too_long_breaks_off_and_makes_room_for_the_next():
    files = Files(FEW)
    answer = files.answer("calls", "jsonl", endless([]))
    with pytest.raises(StoreError, match="longer than 0 s"):
        await body_of(answer)
    files.room()


async def test_while_as_many_are_made_as_may_be_there_is_no_room_for_another():
    files = Files(FEW)
    made = files.answer("calls", "jsonl", endless([])).body_iterator
    await anext(made)
    with pytest.raises(PageError, match="Too many exports"):
        files.room()
    await made.aclose()
    files.room()


def test_links_have_their_query_and_only_then_a_mark():
    assert link("/audit") == "/console/audit"
    assert link("/audit", by="a&b") == "/console/audit?by=a%26b"


def test_what_was_lately_begins_at_midnight_a_day_ago_and_a_week_ago():
    now = 1_795_000_000.0
    a_day_ago = datetime.fromtimestamp(now - DAY_S).astimezone()
    found = lately("/audit", now)
    assert [words for words, _ in found] == ["Today", "Last 24 hours", "Last 7 days"]
    assert found[1][1] == link("/audit", since=f"{a_day_ago:%Y-%m-%dT%H:%M}")
    assert found[0][1].endswith("T00%3A00")
