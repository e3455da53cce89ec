import json

import pytest

from bridge.approval.consent import ANSWER_S
from bridge.call.inquiry import DECIDED, GONE, NO_CALL, NOT_SAID, ONE_AT_A_TIME, START_S, Inquired
from bridge.call.toolcalls import (
    AFTER_STRAY_S,
    CALLER_GONE,
    HOLD_AFTER_S,
    HOLD_EVERY_S,
    MAX_OPEN,
    MAX_QUESTION_TRIES,
    PENDING_LINE,
    QUESTION_PLAYS_S,
    QUESTION_START_S,
    RUNNING_LINE,
    STILL_LINE,
    Ask,
    Confirmed,
    Inform,
    Output,
    PutQuestion,
    SayLine,
    ToolCalls,
)

QUESTION = "You want a refund of 40 dollars. Is that right?"
CONFIRMING = {
    "state": "confirming",
    "request_id": "r1",
    "question": QUESTION,
    "key": "1",
    "by": ["key", "voice"],
}
PENDING = {"state": "pending", "request_id": "r1"}
DONE = {"state": "succeeded", "request_id": "r1", "output": '{"status":"refunded"}'}


def called(*ids):
    calls = ToolCalls()
    for function_call_id in ids or ("f1",):
        assert calls.called(Ask(function_call_id, "refund", "{}"), 0.0) == [
            Ask(function_call_id, "refund", "{}")
        ]
    return calls


def asked():
    calls = called()
    actions = calls.update("f1", CONFIRMING, 1.0)
    assert actions[-1] == SayLine(QUESTION, alone=True)
    assert isinstance(actions[0], Inform)
    return calls


def heard_question(calls, now=5.0):
    calls.agent_said("item_q", QUESTION.upper() + "!", now)
    assert calls.played("item_q", now, whole=True) == []
    return calls


def test_another_caller_cannot_confirm_what_the_one_before_wanted():
    calls = heard_question(asked())
    told, no = calls.caller_changed()
    assert "Another person" in told.text
    assert no == Confirmed("r1", yes=False, how="another caller is on the line")
    assert not calls.confirming
    assert calls.pressed("1", 6.0) == []


def test_another_caller_is_not_even_asked_to_confirm_it():
    calls = called()
    assert len(calls.caller_changed()) == 1
    assert calls.update("f1", CONFIRMING, 1.0) == [
        Confirmed("r1", yes=False, how="another caller is on the line")
    ]
    calls.called(Ask("f2", "refund", "{}"), 2.0)
    assert calls.update("f2", CONFIRMING | {"request_id": "r2"}, 3.0)[-1] == SayLine(QUESTION, alone=True)


def test_a_call_is_asked_once_and_answered_once():
    calls = called()
    assert calls.called(Ask("f1", "refund", "{}"), 0.1) == []
    assert calls.update("f1", DONE, 1.0) == [Output("f1", "refund", DONE["output"], done=True)]
    assert calls.update("f1", DONE, 1.1) == []
    assert calls.open_names == ()
    assert calls.due_s is None


def test_parallel_calls_get_their_own_outputs_in_any_order():
    calls = called("f1", "f2")
    assert calls.update("f2", {**DONE, "output": '"two"'}, 1.0) == [
        Output("f2", "refund", '"two"', done=True)
    ]
    assert calls.update("f1", {**DONE, "output": '"one"'}, 1.0) == [
        Output("f1", "refund", '"one"', done=True)
    ]


def test_too_many_calls_are_refused_at_once():
    calls = called(*(f"f{number}" for number in range(MAX_OPEN)))
    (refused,) = calls.called(Ask("more", "refund", "{}"), 0.0)
    assert json.loads(refused.text)["status"] == "failed"


def test_while_control_is_away_nothing_was_done():
    (output,) = called().unreachable("f1", 1.0, unsure=False)
    assert "not say" in output.text


def test_a_function_that_runs_has_its_own_hold_line_and_a_quick_one_none():
    calls = called()
    assert calls.due_s == HOLD_AFTER_S
    assert calls.update("f1", {"state": "executing", "line": "I am looking."}, 1.0) == []
    assert calls.poll(1.0 + HOLD_AFTER_S - 0.1) == []
    assert calls.poll(1.0 + HOLD_AFTER_S) == [SayLine("I am looking.")]
    assert calls.due_s == 1.0 + HOLD_AFTER_S + HOLD_EVERY_S


def test_a_call_control_says_nothing_about_has_a_hold_line():
    assert called().poll(HOLD_AFTER_S) == [SayLine(RUNNING_LINE)]


def test_the_model_and_the_caller_are_told_at_once_that_a_person_is_asked():
    calls = called()
    inform, line = calls.update("f1", PENDING, 1.0)
    assert "NOT been done" in inform.text
    assert line == SayLine(PENDING_LINE)
    assert calls.update("f1", PENDING, 2.0) == []
    assert calls.poll(1.0 + HOLD_EVERY_S) == [SayLine(STILL_LINE)]


def test_a_yes_after_the_question_goes_to_control():
    calls = heard_question(asked())
    assert calls.confirming
    assert calls.heard("Yes, please.", 1e9, 6.0) == [Confirmed("r1", True, "voice")]
    assert not calls.confirming
    assert calls.heard("No", 1e9, 6.0) == []


def test_a_yes_that_began_before_the_end_of_the_question_does_not_count():
    calls = heard_question(asked(), 5.0)
    assert calls.heard("yes", 4.9, 6.0) == []
    assert calls.heard("yes", 5.1, 6.0) == [Confirmed("r1", True, "voice")]


def test_a_key_goes_to_control_too():
    assert heard_question(asked()).pressed("1", 6.0) == [Confirmed("r1", True, "key")]
    assert heard_question(asked()).pressed("9", 6.0) == [Confirmed("r1", False, "the caller pressed 9")]


def test_nothing_counts_before_the_question_was_heard_to_its_end():
    calls = asked()
    assert calls.heard("yes", 1e9, 6.0) == calls.pressed("1", 6.0) == []
    calls.agent_said("other", "Something else.", 2.0)
    calls.played("other", 2.5, whole=True)
    assert calls.heard("yes", 1e9, 6.0) == []
    calls.agent_said("item_q", QUESTION, 3.0)
    assert calls.heard("yes", 1e9, 6.0) == []


def test_a_question_whose_transcript_comes_late_counts_from_then():
    calls = asked()
    calls.played("item_q", 4.0, whole=True)
    assert calls.heard("yes", 1e9, 6.0) == []
    calls.agent_said("item_q", QUESTION, 4.5)
    assert calls.heard("yes", 1e9, 6.0) == [Confirmed("r1", True, "voice")]


def test_a_question_that_was_interrupted_is_asked_again():
    calls = asked()
    calls.agent_said("item_q", QUESTION, 2.0)
    assert calls.played("item_q", 3.0, whole=False) == [SayLine(QUESTION, alone=True)]
    assert calls.heard("yes", 1e9, 6.0) == []


def test_an_unclear_answer_is_asked_again_and_silence_ends_in_no():
    calls = heard_question(asked())
    assert calls.heard("Sure, but what does that do?", 1e9, 6.0) == [SayLine(QUESTION, alone=True)]
    heard_question(calls, 20.0)
    assert calls.due_s is not None
    assert calls.poll(20.0 + ANSWER_S) == [SayLine(QUESTION, alone=True)]
    heard_question(calls, 60.0)
    (given_up,) = calls.poll(60.0 + ANSWER_S)
    assert (given_up.yes, given_up.request_id) == (False, "r1")


def test_a_second_question_is_not_asked_over_the_first():
    calls = asked()
    calls.called(Ask("f2", "refund", "{}"), 2.0)
    (refused,) = calls.update("f2", {**CONFIRMING, "request_id": "r2"}, 2.0)
    assert (refused.request_id, refused.yes) == ("r2", False)
    assert heard_question(calls).heard("yes", 1e9, 6.0) == [Confirmed("r1", True, "voice")]


def test_an_end_of_the_request_ends_the_question():
    calls = asked()
    calls.update("f1", DONE, 2.0)
    assert not calls.confirming
    assert calls.played("item_q", 3.0, whole=True) == calls.agent_said("item_q", QUESTION, 3.0) == []


def test_hold_lines_do_not_talk_over_a_question():
    calls = asked()
    assert calls.poll(HOLD_AFTER_S) == []


def test_a_question_that_is_not_said_is_said_again_and_given_up_in_the_end():
    calls = asked()
    now = 1.0
    for _ in range(MAX_QUESTION_TRIES - 1):
        assert SayLine(QUESTION, alone=True) not in calls.poll(now + QUESTION_START_S - 0.1)
        now += QUESTION_START_S
        assert SayLine(QUESTION, alone=True) in calls.poll(now)
    (given_up,) = [action for action in calls.poll(now + QUESTION_START_S) if isinstance(action, Confirmed)]
    assert (given_up.yes, given_up.how) == (False, "the question could not be asked")
    assert not calls.confirming


def test_something_else_said_instead_of_the_question_is_noticed_sooner():
    calls = asked()
    calls.agent_said("item_x", "Shall I do it?", 2.0)
    calls.played("item_x", 4.0, whole=True)
    assert SayLine(QUESTION, alone=True) in calls.poll(4.0 + AFTER_STRAY_S)


def test_a_question_whose_end_is_never_played_is_asked_again():
    calls = asked()
    calls.agent_said("item_q", QUESTION, 2.0)
    assert SayLine(QUESTION, alone=True) not in calls.poll(1.0 + QUESTION_START_S)
    assert SayLine(QUESTION, alone=True) in calls.poll(1.0 + QUESTION_START_S + QUESTION_PLAYS_S)


def test_another_session_asks_an_open_question_again_and_is_told_what_waits():
    calls = asked()
    heard_question(calls)
    assert calls.session_began(7.0) == [SayLine(QUESTION, alone=True)]
    assert calls.heard("yes", 1e9, 8.0) == []
    waiting = called("f1")
    waiting.update("f1", PENDING, 1.0)
    (told,) = waiting.session_began(2.0)
    assert "NOT been done" in told.text
    assert called().session_began(1.0) == []


@pytest.mark.parametrize(
    ("said", "same"),
    [
        ("You want a refund of $40. Is that right? Please say yes or press one.", True),
        ("You want a refund of 40.00 dollars. Is that right? Please say yes, or press one.", True),
        ("So, you want a refund of 40 dollars. Is that right? Please say yes, or press one.", True),
        ("You want a refund of 400 dollars. Is that right? Please say yes, or press one.", False),
        ("You want a refund of $400. Is that right? Please say yes, or press one.", False),
        ("You do not want a refund of 40 dollars. Is that right? Please say yes, or press one.", False),
        ("Shall I do it now?", False),
        ("40", False),
    ],
)
def test_a_question_is_known_by_its_numbers_and_words(said, same):
    calls = called()
    asked = {
        **CONFIRMING,
        "question": "You want a refund of 40 dollars. Is that right? Please say yes, or press one.",
    }
    calls.update("f1", asked, 1.0)
    calls.agent_said("q", said, 2.0)
    calls.played("q", 3.0, whole=True)
    assert bool(calls.pressed("1", 4.0)) is same


def test_a_call_whose_fate_nobody_knows_says_neither():
    (output,) = called().unreachable("f1", 1.0, unsure=True)
    assert "neither" in output.text
    assert not output.done


WANTED = "Which order is it, please?"


def inquired():
    calls = called()
    calls.update("f1", PENDING, 1.0)
    assert calls.inquire("f1", WANTED, 2.0) == [PutQuestion("refund", WANTED)]
    return calls


def test_an_approver_s_question_is_put_and_no_hold_line_speaks_into_the_answer():
    calls = inquired()
    assert calls.due_s == 2.0 + START_S
    calls.agent_said("q", WANTED, 20.0)
    assert calls.played("q", 24.0, whole=True) == [Inquired("f1")]
    assert calls.due_s == 24.0 + HOLD_EVERY_S
    assert calls.inquire("f1", "And when?", 30.0) == [PutQuestion("refund", "And when?")]


def test_one_question_at_a_time_whoever_asks():
    assert inquired().inquire("f1", "And when?", 3.0) == [Inquired("f1", ONE_AT_A_TIME)]
    assert asked().inquire("f1", WANTED, 3.0) == [Inquired("f1", ONE_AT_A_TIME)]
    assert called().inquire("f9", WANTED, 3.0) == [Inquired("f9", NO_CALL)]


def test_a_question_that_is_not_said_is_put_once_more_and_then_given_up():
    calls = inquired()
    assert PutQuestion("refund", WANTED) in calls.poll(2.0 + START_S)
    assert Inquired("f1", NOT_SAID) in calls.poll(2.0 + 2 * START_S)


def test_a_new_session_has_to_ask_again():
    calls = inquired()
    calls.agent_said("q", WANTED, 3.0)
    assert PutQuestion("refund", WANTED) in calls.session_began(4.0)
    assert calls.played("q", 5.0, whole=True) == []


def test_a_question_is_called_off_by_the_decision_by_another_caller_and_with_the_agent():
    assert inquired().update("f1", DONE, 3.0)[0] == Inquired("f1", DECIDED)
    calls = inquired()
    assert Inquired("f1", CALLER_GONE) in calls.caller_changed()
    assert calls.inquire("f1", WANTED, 4.0) == [Inquired("f1", CALLER_GONE)]
    calls = inquired()
    assert calls.agent_gone() == [Inquired("f1", GONE)]
    assert calls.agent_gone() == []


def test_a_question_that_is_being_said_is_said_to_its_end():
    calls = inquired()
    calls.agent_said("q", WANTED, 3.0)
    (output,) = calls.update("f1", DONE, 4.0)
    assert isinstance(output, Output)
    assert calls.played("q", 5.0, whole=False) == [Inquired("f1", interrupted=True)]
