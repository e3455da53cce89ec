"""How much of a line was heard: by the share of its audio, up to the end of a word."""

import pytest

from bridge.records.heard import heard_chars

TEXT = "I have refunded forty dollars"


@pytest.mark.parametrize(
    ("heard_ms", "dropped_ms", "heard"),
    [
        (0, 1000, ""),
        (1000, 0, TEXT),
        (1, 100_000, ""),
        (500, 500, "I have refunded"),
        (200, 800, "I have"),
        (990, 10, TEXT),
        (0, 0, ""),
    ],
)
def test_what_was_heard_ends_with_the_word_that_was_being_said(heard_ms, dropped_ms, heard):
    assert TEXT[: heard_chars(TEXT, heard_ms, dropped_ms)] == heard


def test_a_word_without_an_end_is_heard_whole():
    assert heard_chars("abcdefgh", 1, 1) == 8
