from hypothesis import given
from hypothesis import strategies as st

from bridge.call.history import MAX_CHARS, MAX_LINE_CHARS, MAX_LINES, History


def test_lines_are_quoted_with_their_speaker_oldest_first():
    history = History()
    history.add("caller", "I need\n a room")
    history.add("agent", "For which day?")
    assert history.text() == 'Caller: "I need a room"\nYou: "For which day?"'


def test_words_of_nobody_leave_no_line():
    history = History()
    history.add("caller", "  \n ")
    assert not history
    assert history.text() == ""


@given(st.lists(st.tuples(st.sampled_from(["caller", "agent"]), st.text(max_size=3000)), max_size=80))
def test_it_stays_bounded_and_keeps_the_newest(lines):
    history = History()
    for who, text in lines:
        history.add(who, text)
    text = history.text()
    assert len(text) <= MAX_CHARS
    assert text.count("\n") < MAX_LINES
    newest = [" ".join(words.split()) for _, words in lines if words.split()]
    if newest:
        assert newest[-1][:MAX_LINE_CHARS] in text


def test_a_very_long_answer_is_cut_not_lost():
    history = History()
    history.add("agent", "word " * 5000)
    assert 900 < len(history.text()) < MAX_CHARS


def test_the_oldest_lines_go_first():
    history = History()
    for number in range(100):
        history.add("agent", f"line {number} " + "x" * 200)
    text = history.text()
    assert "line 99 " in text
    assert "line 60 " not in text
