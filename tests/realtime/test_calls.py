"""Demands: reference 1.7 and 1.10: all outputs first, then one response, and not before response.done."""

from bridge.realtime.calls import MAX_OPEN, MAX_SEEN, CallBook


def test_a_reply_is_due_when_the_response_is_over_and_all_calls_are_answered():
    book = CallBook()
    book.opened("r", "a", ended=False)
    book.opened("r", "b", ended=False)
    assert not book.answered("a", respond=True)
    assert not book.response_ended("r")
    assert book.answered("b", respond=True)


def test_answers_before_response_done_wait_for_it():
    book = CallBook()
    book.opened("r", "a", ended=False)
    assert not book.answered("a", respond=True)
    assert book.response_ended("r")


def test_no_reply_is_due_when_no_answer_wants_one():
    book = CallBook()
    book.opened("r", "a", ended=True)
    book.opened("r", "b", ended=True)
    assert not book.answered("a", respond=False)
    assert not book.answered("b", respond=False)


def test_a_slow_call_of_an_older_response_holds_back_nobody():
    book = CallBook()
    book.opened("old", "slow", ended=True)
    book.opened("new", "quick", ended=True)
    assert book.answered("quick", respond=True)
    assert book.is_open("slow")


def test_unknown_calls_and_responses_change_nothing():
    book = CallBook()
    assert not book.answered("x", respond=True)
    assert not book.response_ended("r")
    assert not book.is_open("x")


def test_a_call_told_twice_is_opened_once():
    book = CallBook()
    book.opened("r", "a", ended=True)
    book.opened("other", "a", ended=True)
    assert book.answered("a", respond=True)
    assert not book.response_ended("other")


def test_the_same_key_is_new_only_once_and_memory_is_bounded():
    book = CallBook()
    assert book.first_sight("a")
    assert not book.first_sight("a")
    for index in range(MAX_SEEN):
        book.first_sight(str(index))
    assert book.first_sight("a")


def test_no_more_calls_than_the_bound_are_waited_for():
    book = CallBook()
    for index in range(MAX_OPEN + 1):
        book.opened("r", str(index), ended=True)
    assert not book.is_open(str(MAX_OPEN))
