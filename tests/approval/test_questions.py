from bridge.approval import questions
from bridge.approval.questions import MAX_CHARS, MAX_QUESTIONS, OPEN_S, asking, clean, put, unfit

ASKED = {**asking(1, "Which order?", "anna", 10.0), "state": "asked"}


def test_a_question_is_one_line_of_what_can_be_said():
    assert clean(" Which\r\norder\x00 is\u202e it? ") == "Which order is it?"


def test_one_at_a_time_and_not_too_many_and_not_too_long():
    open_ = asking(1, "Which order?", "anna", 10.0)
    assert unfit([], "Which order?", 11.0) is None
    assert unfit([ASKED], "Which order?", 11.0) is None
    assert unfit([open_], "And why?", 11.0).code == "one_at_a_time"
    assert unfit([open_], "And why?", 10.0 + OPEN_S) is None, "nobody answers for a control that died"
    assert unfit([ASKED] * MAX_QUESTIONS, "And why?", 11.0).code == "too_many"
    assert unfit([], "x" * (MAX_CHARS + 1), 11.0).code == "too_long"
    assert unfit([], "?!", 11.0).code == "no_question"


def test_what_came_of_it_is_kept_once():
    open_ = asking(2, "Why?", "bert", 20.0)
    (first, second) = put([ASKED, open_], 2, questions.NOT_ASKED, "the call is over")
    assert first == ASKED
    assert (second["state"], second["why"], second["text"]) == ("not_asked", "the call is over", "Why?")
    assert put([first, second], 2, questions.ASKED, "") == (first, second)
