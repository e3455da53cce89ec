from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.outbound import Outbound
from bridge.outbound import sheet as sheets
from bridge.outbound.policy import Rules

OUT = Outbound(("+49",), "sip:{number}@t", "+4930", (), kinds=("fixed_line", "mobile"), region="DE")
RULES = Rules(OUT, (), frozenset({"+493099999999"}))


def read(text):
    return sheets.read(text.encode() if isinstance(text, str) else text, RULES)


def test_rows_have_a_number_and_variables():
    found = read("number,name,due\n+49 30 12345678,Ann,Friday\n\n030 87654321,Bob,\n")
    assert [(row.line, row.number, row.variables) for row in found.rows] == [
        (2, "+49 30 12345678", {"name": "Ann", "due": "Friday"}),
        (4, "030 87654321", {"name": "Bob", "due": ""}),
    ]
    assert found.bad == []


def test_what_a_german_spreadsheet_writes_is_read():
    found = read('\ufeffname;number\r\n"Müller; Anna";+493012345678\r\n')
    assert (found.rows[0].variables, found.bad) == ({"name": "Müller; Anna"}, [])


def test_every_bad_line_is_told_with_its_number_and_the_good_ones_are_there():
    found = read(
        "number,name\n+493012345678,a\nx,b\n030 12345678,c\n+493099999999,d\n+33123456789,e\n+4930,f\n"
        "+493011111111\n,h\n"
        '"+493022222222","two\nlines"\n+49900123456,k\n'
    )
    assert [row.line for row in found.rows] == [2, 10]
    assert [line for line, _ in found.bad] == [3, 4, 5, 6, 7, 8, 9, 12]
    words = dict(found.bad)
    assert words[4] == "+493012345678 is in line 2 already"
    assert words[5] == "+493099999999 is on the do-not-call list"
    assert words[8] == "1 columns instead of 2"
    assert "never dialled" in words[12]


def test_a_header_that_is_no_header_is_the_only_mistake():
    for text in ("", "phone,name\n+4930,a\n", "number,number\n", "number,first name\n", "number,\n"):
        assert [line for line, _ in read(text).bad] == [1]
        assert not read(text).rows


def test_files_that_are_no_csv_are_told():
    assert read(b"number\n+4930\xff\n").bad == [(2, "not UTF-8: save the file as CSV UTF-8")]
    assert read('number\n"+4930\n').bad[0][1].startswith("not CSV")
    assert "longer than" in sheets.read(b"x" * (sheets.MAX_BYTES + 1), RULES).bad[0][1]


def test_without_rules_no_line_is_good():
    assert not sheets.read(b"number\n+493012345678\n", None).rows


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_mistakes(content):
    sheets.read(content, RULES)
    sheets.read(b"number,a\n" + content, RULES)
