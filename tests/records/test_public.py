"""What of a record who may see."""

from bridge.records.cdr import fold
from bridge.records.public import NUMBERS, PERSONAL, hidden, masked, whole
from tests.fakes.events import conversation


def test_without_the_right_a_record_has_no_name_no_number_and_no_words_of_others():
    record = fold(conversation())
    seen = hidden(record)
    assert {seen[name] for name in PERSONAL} == {None}
    assert [seen[name] for name in NUMBERS] == ["***ce", "***"]
    assert seen["route"] == "reception"
    assert whole(record)["from_display"] == "Alice"


def test_a_number_that_is_not_there_is_not_made_up():
    assert (masked(None), masked(""), masked("sip:+4930123456@trunk")) == (None, None, "***56")
