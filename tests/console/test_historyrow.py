"""A call as one line of the history."""

from dataclasses import replace

import pytest

from bridge.console.historyrow import clock, ending_of, row_of, shown
from bridge.console.texts import TEXTS
from bridge.records.cdr import CallRecord, fold
from bridge.records.ending import CAUSES
from tests.fakes.events import conversation

RECORD = CallRecord(
    "c1", "b1", 1000.0, from_uri="+4930123456", to_uri="100", answered_at=1001.0, ended_at=1010.0
)


def test_every_cause_of_an_end_has_words():
    assert {f"history.is.cause.{name}" for name in (*CAUSES, "running")} <= set(TEXTS)


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        ({"ended_at": None}, ("running", "live")),
        ({"ended_by": "caller", "end_status": 200}, ("caller", "good")),
        ({"ended_by": "bridge", "end_reason": "rtp_timeout"}, ("rtp_timeout", "bad")),
        ({"ended_by": "bridge", "end_reason": "max_duration"}, ("max_duration", "plain")),
        ({"ended_by": "caller", "answered_at": None, "end_status": 487}, ("caller_gave_up", "plain")),
        (
            {"direction": "outbound", "ended_by": "caller", "answered_at": None, "end_status": 486},
            ("busy", "plain"),
        ),
        ({}, ("unknown", "bad")),
    ],
)
def test_the_end_is_told_by_its_cause_and_coloured_by_its_class(changes, ending):
    assert ending_of(replace(RECORD, **changes)) == ending


def test_a_line_tells_what_is_noteworthy():
    row = row_of(fold(conversation()), 2, personal=True)
    assert [words for _, words in row.notes] == ["tool requests: 2", "barge-ins: 1", "recorded"]
    assert (row.display, row.ending) == ("Alice", "other side hung up")
    poor = row_of(replace(RECORD, mos=2.5, ended_by="caller"), 0, personal=True)
    assert poor.notes == (("bad", "trouble"), ("warm", "MOS 2.5"))


def test_without_the_right_there_are_masked_numbers_and_no_name():
    row = row_of(replace(RECORD, from_display="Alice"), 0, personal=False)
    assert (row.who, row.other, row.display) == ("***56", "***", "")
    assert shown(None, personal=True) == "unknown"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01"), (-3, "0:00")],
)
def test_lengths_read_as_on_a_phone(seconds, shown):
    assert clock(seconds) == shown
