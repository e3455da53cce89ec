"""What spoken words mean in a slot."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim.slots import DIGITS, Digits, Number, Words


def fits(slot, said):
    return re.fullmatch(slot.pattern(), said + " ") is not None


def test_words_prefer_the_longer_phrase():
    slot = Words({"ten": "10:00", "ten thirty": "10:30"})
    assert fits(slot, "ten thirty")
    assert slot.value("ten thirty") == "10:30"
    assert slot.grammar() == "ten | ten thirty"


@given(st.lists(st.sampled_from(sorted(DIGITS)), min_size=4, max_size=6))
def test_a_run_of_digits_is_a_string_of_them(words):
    slot, said = Digits(4, 6), " ".join(words)
    assert fits(slot, said)
    assert slot.value(said) == "".join(DIGITS[word] for word in words)


def test_digits_may_be_written_and_have_a_length():
    assert fits(Digits(4, 6), "4712")
    assert Digits(4, 6).value("4712") == "4712"
    assert not fits(Digits(4, 6), "one two three")
    assert not fits(Digits(4, 6), "47")
    assert Digits(1, 2).grammar().count("zero") == 2
    assert Digits(1, 1).grammar().count("zero") == 1


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("five", 5),
        ("twelve", 12),
        ("forty five", 45),
        ("a hundred", 100),
        ("one hundred and twenty five", 125),
        ("nine hundred ninety nine", 999),
        ("20", 20),
    ],
)
def test_numbers_as_people_say_them(said, value):
    assert fits(Number(), said)
    assert Number().value(said) == value


def test_other_words_are_no_number():
    assert not fits(Number(), "tuesday")
    assert not fits(Number(), "1000")
    assert "hundred" in Number().grammar()
