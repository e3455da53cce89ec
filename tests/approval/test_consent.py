"""What counts as a caller's yes, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.approval.consent import ANSWER_S, MAX_TRIES, Again, Consent, GaveUp, No, Yes, read

CLEAR_YES = [
    "Yes.", "yes", "Yes!", "Yeah.", "Yep", "Yes, please.", "Yes please do.", "Yes, I do.", "Yes, that's right.",
    "Yes, that\u2019s correct.", "Yes, that is right.", "Yes, go ahead.", "Uh, yes.", "Yes, sir.", "I confirm.",
    "I do confirm.", "Confirmed.", "That is correct.", "Correct.", "Please go ahead.", "Go ahead, please.",
    "Okay, go ahead.", "Yeah, sure.", "Sure, yes.", "Of course, yes.", "Yes, thank you.", "Yes yes.", "I agree.",
    "Absolutely.", "All right, do it.", "Yes, I am sure.",
]  # fmt: skip
CLEAR_NO = [
    "No.", "no", "No!", "Nope.", "Nah.", "No, thanks.", "No, thank you.", "No way.", "Never mind.", "Don't do it.",
    "Please don\u2019t.", "Do not do that.", "Stop!", "That's wrong.", "That is not correct.", "Absolutely not.",
    "Of course not.", "No, I want fifty instead.", "No, not that one", "I refuse.", "Forget it.", "I don't agree.",
    "No \u043d\u0435\u0442",
]  # fmt: skip
HARDEST = [
    "Sure, but what does that do?",
    "Yes, but only if it is free.",
    "Yes?",
    "Yes, what is it",
    "Yeah, right.",
    "Yeah, no.",
    "Yes and no.",
    "Yes or no",
    "Yes, wait.",
    "Yes, hold on a second.",
    "Yes, forty-five dollars.",
    "Yes, 45.",
    "Yes, I understand.",
    "Yes, I can hear you.",
    "I would say yes.",
    "I said yes to my wife.",
    "Should I say yes",
    "Not yes.",
    "Yes, cancel it.",
    "Yes, if you think so.",
    "Go ahead, I'm listening.",
    "No problem.",
    "Why not.",
    "I guess so.",
]
NOT_CLEAR = [
    "", "   ", "...", "Okay.", "Sure.", "Mhm.", "Uh-huh.", "Um.", "Hello?", "Thank you.", "Please.", "Yesterday.",
    "Yes...", "Yes \u2026", "Yes,", "Yes, -", "Yes, maybe.", "Yes, probably.", "Yes, later.", "Yes, the other one.",
    "Yes, to the first one", "Yes, speaking.", "\u0434\u0430", "s\u00ed", "Yes \u043d\u0435\u0442", "Yes \U0001f44e",
    "\uff59\uff45\uff53", "Yes; no", "No, yes.",
    "yes_", "yes 1", "One.", "y e s", "Yes man.", "Yes-man", "I do not know", "Not yet.", "Say yes.", "Press one.",
    "I'm not sure.", "Correct me if I'm wrong.", "That is right wrong.", "Do it later.", "Don't know.", "Cancel.",
    "yes yes yes yes yes yes yes yes yes yes yes",
]  # fmt: skip


@pytest.mark.parametrize("phrase", CLEAR_YES)
def test_a_clear_yes_is_a_yes(phrase):
    assert read(phrase) == Yes("voice")


@pytest.mark.parametrize("phrase", CLEAR_NO)
def test_a_clear_no_is_a_no(phrase):
    assert isinstance(read(phrase), No)


@pytest.mark.parametrize("phrase", HARDEST)
def test_the_hardest_phrases_are_no_yes(phrase):
    assert not isinstance(read(phrase), Yes)


@pytest.mark.parametrize("phrase", NOT_CLEAR)
def test_what_is_not_clear_is_asked_again(phrase):
    assert isinstance(read(phrase), Again)


@pytest.mark.parametrize("yes", CLEAR_YES)
@pytest.mark.parametrize(
    "doubt", ["but", "if", "wait", "not", "what", "when", "unless", "forty", "hmm", "no", "?", "9", "\u044f"]
)
def test_one_word_of_doubt_before_or_behind_spoils_every_yes(yes, doubt):
    bare = yes.rstrip(".!")
    assert not isinstance(read(f"{bare} {doubt}"), Yes)
    assert not isinstance(read(f"{doubt} {bare}"), Yes)


@pytest.mark.timeout(20)  # backtracking would take minutes
@pytest.mark.parametrize(
    "phrase", ["no thank you ", "yes please do it ", "please don't ", "that's not right ", "' "]
)
def test_a_very_long_answer_is_read_quickly_and_is_no_yes(phrase):
    assert not isinstance(read(phrase * 5000), Yes)
    assert not isinstance(read(phrase * 5000 + "x"), Yes)


@given(st.text(max_size=60))
def test_whatever_is_heard_has_an_answer(text):
    assert isinstance(read(text), Yes | No | Again)


@given(st.text(alphabet="yesno butiwa',.?!1", max_size=30))
def test_a_yes_has_no_question_mark_digit_or_no_in_it(text):
    if isinstance(read(text), Yes):
        assert not set("?1") & set(text)
        assert "no" not in text.replace(",", " ").replace(".", " ").split()


def played(by=("key", "voice"), key="1", at=0.0):
    consent = Consent(by, key)
    consent.question_started()
    consent.question_finished(at)
    return consent


def test_yes_after_the_question_confirms_once():
    consent = played()
    assert consent.heard("yes") == Yes("voice")
    assert consent.heard("yes") is None
    assert consent.pressed("1") is None
    consent.question_started()
    consent.question_finished(1.0)
    assert consent.heard("yes") is None


def test_nothing_counts_before_the_question_is_asked():
    consent = Consent(("key", "voice"), "1")
    assert [consent.heard("yes"), consent.heard("no"), consent.pressed("1"), consent.tick(1e9)] == [None] * 4
    consent.question_finished(0.0)
    assert consent.heard("yes") is None


def test_while_the_question_is_played_only_a_no_counts():
    consent = Consent(("key", "voice"), "1")
    consent.question_started()
    assert [consent.heard("yes"), consent.heard("what?"), consent.pressed("1")] == [None] * 3
    assert isinstance(consent.heard("no"), No)


def test_a_yes_that_was_begun_before_the_question_ended_does_not_count():
    consent = played(at=10.0)
    assert consent.heard("yes", began_s=9.9) is None
    assert consent.heard("yes", began_s=10.1) == Yes("voice")


def test_an_unclear_answer_needs_the_question_again():
    consent = played()
    assert isinstance(consent.heard("sure"), Again)
    assert consent.heard("yes") is None
    consent.question_started()
    assert consent.heard("yes") is None
    consent.question_finished(5.0)
    assert consent.heard("yes") == Yes("voice")


def test_the_key_confirms_and_every_other_key_refuses():
    assert played().pressed("1") == Yes("key")
    assert played(key="#").pressed("#") == Yes("key")
    assert played().pressed("2") == No("the caller pressed 2")


def test_only_the_asked_ways_count():
    assert played(by=("key",)).heard("yes") is None
    assert isinstance(played(by=("key",)).heard("no"), No)
    assert played(by=("voice",)).pressed("1") is None


def test_silence_is_asked_about_and_then_given_up():
    consent = Consent(("voice",), "1")
    now = 0.0
    verdicts = []
    for _ in range(MAX_TRIES):
        consent.question_started()
        assert consent.due_s is None
        consent.question_finished(now)
        assert consent.due_s == now + ANSWER_S
        assert consent.tick(now + ANSWER_S - 0.1) is None
        now += ANSWER_S
        verdicts.append(consent.tick(now))
    assert [type(verdict) for verdict in verdicts] == [Again] * (MAX_TRIES - 1) + [GaveUp]
    assert verdicts[-1].why == "no clear answer: silence"


EVENTS = st.lists(st.sampled_from(["started", "finished", "yes", "no", "hm", "1", "2", "tick"]), max_size=30)


@given(EVENTS)
def test_in_any_order_yes_comes_once_at_most_and_only_after_the_whole_question(events):
    consent, phase, answers = Consent(("key", "voice"), "1"), "", []
    for now, event in enumerate(events):
        verdict = None
        match event:
            case "started":
                consent.question_started()
                phase = "started"
            case "finished":
                consent.question_finished(float(now))
                phase = "finished" if phase else ""
            case "tick":
                verdict = consent.tick(float(now))
            case "1" | "2":
                verdict = consent.pressed(event)
            case _:
                verdict = consent.heard(event)
        if isinstance(verdict, Yes):
            assert phase == "finished"
        if verdict is not None:
            phase = ""
            answers.append(verdict)
    assert sum(not isinstance(one, Again) for one in answers) <= 1
    assert all(isinstance(one, Again) for one in answers[:-1])
