import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.call.turn import (
    AgentAudio,
    AgentSilent,
    CallerPressed,
    CallerSpoke,
    ClearPlayout,
    Cut,
    DeleteItem,
    DropLateAudio,
    Floor,
    ReportBargeIn,
    TruncateItem,
    Turn,
)
from bridge.media.frame import BYTES_PER_MS
from bridge.media.playout import Playout

NOTHING_CUT = Cut(None, 0, 0, ())


def speaking(**options):
    turn = Turn(**options)
    turn.receive(AgentAudio(), 0.0)
    return turn


@pytest.mark.parametrize("interruption", [CallerSpoke(), CallerPressed()])
def test_the_caller_takes_the_floor_by_voice_or_by_key(interruption):
    turn = speaking()
    assert turn.receive(interruption, 1.0) == [DropLateAudio(), ClearPlayout()]
    assert turn.floor is Floor.YIELDING


def test_the_model_is_told_what_was_heard_and_what_was_not():
    turn = speaking()
    turn.receive(CallerSpoke(), 1.0)
    actions = turn.receive(Cut("a", 260, 900, ("b", "c")), 1.004)
    assert actions[:3] == [TruncateItem("a", 260), DeleteItem("b"), DeleteItem("c")]
    report = actions[3]
    assert isinstance(report, ReportBargeIn)
    assert (report.item_id, report.heard_ms, report.dropped_ms) == ("a", 260, 900)
    assert report.stop_s == pytest.approx(0.004)
    assert turn.floor is Floor.LISTENING


def test_an_item_nobody_heard_is_deleted_not_truncated():
    turn = speaking()
    turn.receive(CallerSpoke(), 1.0)
    assert turn.receive(Cut(None, 0, 500, ("a",)), 1.0)[0] == DeleteItem("a")


def test_a_cut_that_cut_nothing_is_no_barge_in():
    turn = speaking()
    turn.receive(CallerSpoke(), 1.0)
    assert turn.receive(NOTHING_CUT, 1.0) == []
    assert turn.floor is Floor.LISTENING


def test_audio_on_its_way_to_a_caller_who_speaks_already_is_dropped():
    assert Turn().receive(CallerSpoke(), 0.0) == [DropLateAudio()]


def test_a_second_word_of_the_caller_cuts_nothing_twice():
    turn = speaking()
    turn.receive(CallerSpoke(), 1.0)
    assert turn.receive(CallerSpoke(), 1.1) == []
    assert turn.receive(CallerPressed(), 1.2) == []


def test_when_all_was_heard_the_floor_is_free():
    turn = speaking()
    assert turn.receive(AgentSilent(), 1.0) == []
    assert turn.floor is Floor.LISTENING
    assert turn.receive(AgentSilent(), 1.1) == []


@pytest.mark.parametrize("interruption", [CallerSpoke(), CallerPressed()])
def test_without_barge_in_the_agent_finishes(interruption):
    turn = speaking(barge_in=False)
    assert turn.receive(interruption, 1.0) == []
    assert turn.floor is Floor.SPEAKING
    turn.receive(AgentSilent(), 2.0)
    assert turn.receive(interruption, 2.0) == []


def test_a_cut_nobody_asked_for_is_ignored():
    assert Turn().receive(Cut("a", 10, 10, ()), 0.0) == []


EVENTS = [AgentAudio(), AgentSilent(), CallerSpoke(), CallerPressed(), NOTHING_CUT, Cut("a", 20, 40, ("b",))]


@given(st.booleans(), st.lists(st.sampled_from(EVENTS), max_size=60))
def test_every_order_to_clear_is_answered_before_the_next(barge_in, events):
    turn = Turn(barge_in=barge_in)
    open_cuts = 0
    for number, event in enumerate(events):
        if isinstance(event, Cut) and turn.floor is Floor.YIELDING:
            open_cuts -= 1
        actions = turn.receive(event, float(number))
        open_cuts += actions.count(ClearPlayout())
        assert open_cuts in {0, 1}
        assert (open_cuts == 1) is (turn.floor is Floor.YIELDING)
        assert barge_in or not actions


class FloorAndPlayout(RuleBasedStateMachine):
    """Turn and Playout together, driven as the conversation drives them, with the model's items beside."""

    def __init__(self):
        super().__init__()
        self.playout = Playout(max_ms=5000)
        self.now = 0.0
        self.received = {}
        self.truncated = {}
        self.deleted = set()
        self.current = 0
        self.cuts_since_speech = 0
        self.live = False

    @initialize(barge_in=st.booleans())
    def begin(self, barge_in):
        self.barge_in = barge_in
        self.turn = Turn(barge_in=barge_in)

    def take(self, event):
        waiting = [event]
        while waiting:
            for action in self.turn.receive(waiting.pop(0), self.now):
                match action:
                    case ClearPlayout():
                        self.cuts_since_speech += 1
                        cleared = self.playout.clear()
                        waiting.append(
                            Cut(cleared.item_id, cleared.heard_ms, cleared.dropped_ms, cleared.unheard)
                        )
                    case DropLateAudio():
                        self.live = False
                    case TruncateItem(item_id, heard_ms):
                        assert item_id not in self.truncated
                        assert item_id not in self.deleted
                        self.truncated[item_id] = heard_ms
                    case DeleteItem(item_id):
                        assert item_id not in self.deleted
                        self.deleted.add(item_id)

    @rule()
    def new_response(self):
        self.current += 1
        self.live = True

    @precondition(lambda self: self.live)
    @rule(ms=st.integers(1, 300))
    def delta(self, ms):
        item_id = f"item_{self.current}"
        refused = self.playout.push(item_id, b"\x01\x00" * (8 * ms))
        self.received[item_id] = self.received.get(item_id, 0) + ms - refused // BYTES_PER_MS
        self.take(AgentAudio())

    @precondition(lambda self: self.live)
    @rule()
    def audio_done(self):
        self.playout.finish(f"item_{self.current}")
        self.live = False

    @rule(frames=st.integers(1, 20))
    def time_passes(self, frames):
        for _ in range(frames):
            self.now += 0.02
            self.playout.pull()
        for event in self.playout.events():
            if hasattr(event, "heard_ms") and not self.playout.queued_ms and self.playout.playing is None:
                self.take(AgentSilent())

    @rule(pressed=st.booleans())
    def caller_interrupts(self, pressed):
        self.cuts_since_speech = 0
        self.take(CallerPressed() if pressed else CallerSpoke())
        assert self.cuts_since_speech <= 1
        if self.barge_in:
            assert self.playout.queued_ms == 0
            assert self.playout.playing is None

    @invariant()
    def nothing_is_truncated_beyond_what_was_received(self):
        assert all(heard <= self.received[item_id] for item_id, heard in self.truncated.items())

    @invariant()
    def nobody_is_left_yielding(self):
        assert self.turn.floor is not Floor.YIELDING if hasattr(self, "turn") else True


FloorAndPlayout.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestFloorAndPlayout = FloorAndPlayout.TestCase
