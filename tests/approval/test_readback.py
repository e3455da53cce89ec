"""The question with the arguments in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.approval.readback import fill, places


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (40, "40"), (40.0, "40"), (40.5, "40.50"), (0.1 + 0.2, "0.30000000000000004"), (0.125, "0.125"), (-3, "-3"),
        (1234567.0, "1234567"), (True, "yes"), (False, "no"), ("A-12/3", "A-12/3"), ("O'Neil", "O'Neil"),
        ("two\nlines\x00", "two lines"), ("{order}", "order"), ("\u202eabc", "abc"),
    ],
)  # fmt: skip
def test_a_value_is_said_exactly(value, said):
    assert fill("Is it {x}?", {"x": value, "order": "secret"}) == f"Is it {said}?"


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, "", "  ", "<>", "a" * 121])
def test_what_cannot_be_said_whole_is_not_asked(value):
    with pytest.raises(ValueError, match="x is"):
        fill("Is it {x}?", {"x": value})


def test_a_missing_argument_is_not_asked():
    with pytest.raises(ValueError, match="x is missing"):
        fill("Is it {x}?", {})


def test_places_are_the_arguments_in_order_once():
    assert places("{b} {a} {b}") == ("b", "a")


@pytest.mark.parametrize("question", ["{", "}", "{}", "{amount:.2f}", "{1}", "{{amount}}"])
def test_other_braces_are_mistakes(question):
    with pytest.raises(ValueError, match="brace"):
        places(question)


@given(st.text(max_size=100))
def test_no_text_brings_lines_or_braces_into_the_question(text):
    try:
        asked = fill("{x}", {"x": text})
    except ValueError:
        return
    assert asked.isprintable()
    assert not set('{}<>"`') & set(asked)
