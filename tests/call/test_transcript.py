from types import SimpleNamespace

from bridge.call.history import History
from bridge.call.journal import Journal
from bridge.call.transcript import Transcript


class Desk:
    def __init__(self):
        self.heard_, self.said = [], []

    def heard(self, item_id, text):
        self.heard_.append(text)

    def agent_said(self, item_id, text):
        self.said.append(text)


def setting():
    notes, history, desk = [], History(), Desk()
    journal = Journal("c1", lambda call_id, kind, data: notes.append(data))
    return Transcript(journal, history, desk), notes, history, desk


def word(text, *, final=True, muted=False):
    return SimpleNamespace(text=text, final=final, muted=muted, item_id="i1")


def test_final_words_of_the_caller_reach_record_history_and_tools():
    transcript, notes, history, desk = setting()
    transcript.caller(word("he", final=False))
    transcript.caller(word("hello"))
    assert [note["text"] for note in notes] == desk.heard_ == ["hello"]
    assert history.text() == 'Caller: "hello"'


def test_a_muted_answer_is_recorded_as_interrupted_and_was_not_said():
    transcript, notes, history, desk = setting()
    transcript.agent(word("late", muted=True))
    assert notes[0]["interrupted"] is True
    assert not desk.said
    assert history.text() == ""


def test_pieces_of_an_answer_that_never_ended_are_kept():
    transcript, notes, history, _ = setting()
    transcript.agent(word("one ", final=False))
    transcript.agent(word("two", final=False))
    transcript.keep_unfinished()
    transcript.keep_unfinished()
    assert [note["text"] for note in notes] == ["one two"]
    assert history.text() == 'You: "one two"'
