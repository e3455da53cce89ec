"""The phrase syntax."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim import phrase


def matches(text, words):
    return re.fullmatch(phrase.parse(text).pattern(), words + " ") is not None


def test_words_options_and_choices():
    text = "[i want to] (book | make) an appointment"
    assert matches(text, "book an appointment")
    assert matches(text, "i want to make an appointment")
    assert not matches(text, "i want to an appointment")


def test_the_same_phrase_as_a_grammar():
    assert phrase.parse("[on] (a | b c) <day>").grammar() == "[ on ] ( a | b c ) <slot_day>"


def test_a_slot_is_a_named_group_to_be_filled_in():
    assert phrase.parse("on <day>").pattern() == "on (?P<day>\0day\0)"


def test_slots_are_listed():
    parsed = phrase.parse("[at <time>] (on <day> | now)")
    assert list(phrase.slots_of(parsed)) == ["time", "day"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one ]", "no opening partner"),
        ("a | b", "no opening partner"),
        ("( a", "')' is missing"),
        ("[ a )", "']' is missing"),
        ("a ( )", "empty"),
        ("", "empty"),
        ("what?", "'?' is not"),
        ("What", "'What' is not"),
    ],
)
def test_mistakes_are_told(text, said):
    with pytest.raises(phrase.PhraseError, match=re.escape(said)):
        phrase.parse(text)


def test_normalising_leaves_words():
    assert phrase.normalise("  What's  your ADDRESS, please? ") == "what's your address please"


@given(st.text(alphabet="ab[]()|<>_ ", max_size=20))
def test_any_text_is_a_phrase_or_a_phrase_error(text):
    try:
        parsed = phrase.parse(text)
    except phrase.PhraseError:
        return
    assert phrase.parse(parsed.grammar().replace("slot_", "")).grammar() == parsed.grammar()
