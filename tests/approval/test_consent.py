import pytest

from bridge.approval.consent import ANSWER_S, MAX_TRIES, Again, Consent, GaveUp, No, Yes, read

YES = [
    "Yes.",
    "yes please",
    "Yeah.",
    "Yes, go ahead.",
    "I confirm.",
    "Yes, that's right.",
    "Okay, yes.",
    "Correct.",
    "Um, yes.",
]
NO = [
    "No.",
    "No thanks",
    "Yes... no, stop.",
    "Please don't.",
    "Not now.",
    "Cancel that",
    "That is wrong",
    "I do not agree",
]
UNCLEAR = [
    "Sure, but what does that do?",
    "Yes?",
    "Yes but only twenty dollars",
    "Yes if it is free",
    "Okay.",
    "Sure.",
    "Maybe.",
    "Wait, yes, hold on",
    "What was that",
    "Yes forty dollars to my other card",
    "Yesterday",
    "",
    "...",
    "Go ahead and tell me more about it first",
    "Yes I heard you the first time",
    "I think so",
    "Right.",
    "Yes unless it costs something",
    "How about yes",
    "My friend said yes",
]


@pytest.mark.parametrize("words", YES)
def test_a_plain_yes_is_a_yes(words):
    assert isinstance(read(words), Yes)


@pytest.mark.parametrize("words", NO)
def test_a_no_anywhere_is_a_no(words):
    assert isinstance(read(words), No)


@pytest.mark.parametrize("words", UNCLEAR)
def test_anything_else_is_asked_again(words):
    assert isinstance(read(words), Again)


def asked(by=("key", "voice")):
    consent = Consent(by, "1")
    consent.question_started()
    consent.question_finished(0.0)
    return consent


def test_a_yes_before_the_question_was_heard_does_not_count():
    consent = Consent(("key", "voice"), "1")
    assert consent.heard("yes") is None
    assert consent.pressed("1") is None
    consent.question_started()
    assert consent.heard("yes") is None
    consent.question_finished(0.0)
    assert consent.heard("yes") == Yes("voice")


def test_a_no_counts_at_any_time():
    assert isinstance(Consent(("voice",), "1").heard("no"), No)


def test_a_key_means_what_the_question_said():
    assert asked().pressed("1") == Yes("key")
    assert isinstance(asked().pressed("2"), No)


def test_what_was_not_offered_does_not_count():
    assert asked(("key",)).heard("yes") is None
    assert asked(("voice",)).pressed("1") is None


def test_silence_is_asked_again_and_then_given_up():
    consent = asked()
    assert consent.tick(ANSWER_S - 1) is None
    for _ in range(MAX_TRIES - 1):
        assert isinstance(consent.tick(consent.due_s), Again)
        assert consent.due_s is None
        assert consent.heard("yes") is None
        consent.question_finished(0.0)
    assert isinstance(consent.tick(consent.due_s), GaveUp)
