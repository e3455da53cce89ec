"""Files for other programs: whole, and harmless in a spreadsheet."""

import csv
import io
import json
from dataclasses import replace

import pytest

from bridge.records.cdr import CallRecord, fold
from bridge.records.export import COLUMNS, as_document, columns, head, lines, safe_cell
from bridge.records.public import NUMBERS, PERSONAL, whole
from tests.fakes.events import conversation

RECORD = CallRecord("c1", "b1", 1000.5, from_uri="+4930123456", from_display='=HYPERLINK("x";"y")', errors=2)


def rows(records, *, personal):
    text = head("csv", personal=personal) + lines(records, "csv", personal=personal)
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_field_of_a_record_but_two_of_the_worker_is_a_column():
    assert set(whole(RECORD)) - set(COLUMNS) == {"boot", "answered_mono", "ptime_ms", "session_id"}
    assert set(NUMBERS) <= set(COLUMNS)


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_what_a_spreadsheet_would_run_is_text(sign):
    assert safe_cell(f"{sign}1+2") == f"'{sign}1+2"


def test_numbers_and_harmless_texts_stay_as_they_are():
    assert [safe_cell(value) for value in (-1.5, 3, None, "a=b", "")] == [-1.5, 3, None, "a=b", ""]


def test_a_csv_file_has_a_row_a_call_with_formulas_put_out_of_action():
    (row,) = rows([RECORD], personal=True)
    assert (row["call_id"], row["started_at"], row["errors"]) == ("c1", "1000.5", "2")
    assert (row["from_uri"], row["from_display"]) == ("'+4930123456", '\'=HYPERLINK("x";"y")')


def test_a_line_end_in_a_cell_stays_in_its_cell():
    (row,) = rows([replace(RECORD, end_detail='a\r\nb,"c"')], personal=True)
    assert row["end_detail"] == 'a\r\nb,"c"'


def test_json_lines_are_one_object_a_call_with_texts_as_they_are():
    first, second = lines([RECORD, fold(conversation())], "jsonl", personal=True).splitlines()
    assert json.loads(first)["from_display"] == RECORD.from_display
    assert json.loads(second)["state"] == "ended"
    assert head("jsonl", personal=True) == ""


def test_who_may_not_see_persons_gets_neither_their_columns_nor_their_numbers():
    assert not set(columns(personal=False)) & set(PERSONAL)
    (row,) = rows([RECORD], personal=False)
    assert row["from_uri"] == "***56"
    assert "HYPERLINK" not in lines([RECORD], "jsonl", personal=False)


def test_one_call_is_a_document():
    body = json.loads(as_document(RECORD, {"events": []}, personal=False))
    assert (body["record"]["from_uri"], body["events"]) == ("***56", [])
