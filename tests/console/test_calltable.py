"""The table of live calls: its order, and what is looked for in it."""

from dataclasses import replace

import pytest

from bridge.console.calltable import MAX_ROWS, arranged, row_of, shown_to, table_of
from bridge.records.cdr import CallRecord

RECORD = CallRecord(
    "aa11", "b1", 1000.0, worker="w0", direction="inbound", from_uri="+4930123456", to_uri="100", from_display="Ann",
    route="front", agent="billing", answered_at=1001.0, node="n1",
)  # fmt: skip
ROW = row_of(RECORD, ("agent.started", {}), {"b1"}, 0)


def test_a_row_says_what_happens_and_whether_the_worker_is_there():
    assert (ROW.doing, ROW.connected, ROW.answered) == ("agent", True, True)
    assert row_of(RECORD, ("", None), set(), 0).doing == "listening"
    assert row_of(replace(RECORD, answered_at=None), ("", None), set(), 0).doing == "ringing"


def test_what_waits_for_approval_is_said_before_all_else():
    assert row_of(RECORD, ("agent.started", {}), {"b1"}, 2).doing == "approval"


def test_who_may_not_see_numbers_sees_their_last_digits_and_no_name():
    assert shown_to(ROW, personal=True) == ("+4930123456", "Ann", "100")
    assert shown_to(ROW, personal=False) == ("***56", "", "***")


ROWS = [ROW, replace(ROW, call_id="bb22", caller="+491", since=2000.0, doing="caller", pending=1)]


@pytest.mark.parametrize(
    ("sort", "words", "found"),
    [
        ("", "", ["bb22", "aa11"]),
        ("since", "", ["bb22", "aa11"]),
        ("-since", "", ["aa11", "bb22"]),
        ("from", "", ["bb22", "aa11"]),
        ("-from", "", ["aa11", "bb22"]),
        ("doing", "", ["bb22", "aa11"]),
        ("nonsense", "", ["bb22", "aa11"]),
        ("", "4930 ANN", ["aa11"]),
        ("", "nobody", []),
    ],
)
def test_order_and_search(sort, words, found):
    assert [row.call_id for row in arranged(ROWS, sort, words, personal=True)] == found


def test_who_may_not_see_a_number_neither_finds_nor_sorts_by_it():
    assert arranged(ROWS, "", "4930", personal=False) == []
    assert [row.call_id for row in arranged(ROWS, "from", "", personal=False)] == ["bb22", "aa11"]


def test_the_same_rows_have_the_same_name_and_there_is_a_bound():
    assert table_of(ROWS).name == table_of(ROWS).name != table_of(ROWS[:1]).name
    many = table_of(replace(ROW, call_id=str(n)) for n in range(MAX_ROWS + 1))
    assert (len(many.rows), many.more) == (MAX_ROWS, True)
