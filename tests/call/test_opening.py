from bridge.call.history import History
from bridge.call.opening import handed_over, resumed


def history_of(*lines):
    history = History()
    for who, text in lines:
        history.add(who, text)
    return history


def test_a_resumed_session_is_told_what_was_said_and_excuses_itself():
    opening = resumed(history_of(("caller", "My order?")))
    assert 'Caller: "My order?"' in opening.facts
    assert "interrupted" in opening.order


def test_a_hand_over_names_the_colleague_and_quotes_the_note():
    opening = handed_over(history_of(("agent", "I connect you")), "front", "wrong bill")
    assert '"front"' in opening.facts
    assert 'You: "I connect you"' in opening.facts
    assert '"wrong bill"' in opening.facts


def test_a_hand_over_without_words_or_note_says_so():
    opening = handed_over(History(), "front", "")
    assert "(nothing yet)" in opening.facts
    assert "note" not in opening.facts
