import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.dialog import Command, LegDialog, LegState
from bridge.sip.events import (
    Confirmed,
    Dtmf,
    DtmfMethod,
    HangUpBy,
    Held,
    HungUp,
    MediaStopped,
    Resumed,
    Ringing,
)

HUNG_UP = HungUp(HangUpBy.CALLER, 200, "")
DIGIT = Dtmf("1", DtmfMethod.INFO)
EVENTS = [Ringing(180), Confirmed(), Held(), Resumed(), DIGIT, MediaStopped(), HUNG_UP]


def incoming(*commands):
    dialog = LegDialog(incoming=True)
    for command in commands:
        assert dialog.may(command)
    return dialog


def talking():
    dialog = incoming(Command.ANSWER)
    assert dialog.receive(Confirmed())
    return dialog


def test_an_incoming_leg_rings_is_answered_and_confirmed():
    dialog = incoming(Command.RING, Command.RING, Command.ANSWER)
    assert dialog.state is LegState.ANSWERED
    assert dialog.receive(Confirmed())
    assert dialog.state is LegState.CONFIRMED


def test_an_outgoing_leg_rings_at_the_peer_and_is_confirmed():
    dialog = LegDialog(incoming=False)
    assert dialog.receive(Ringing(180))
    assert dialog.receive(Confirmed())
    assert dialog.state is LegState.CONFIRMED


def test_a_leg_is_answered_once():
    assert not talking().may(Command.ANSWER)
    assert not incoming(Command.ANSWER).may(Command.ANSWER)


def test_after_a_cancel_no_command_is_legal():
    dialog = incoming(Command.RING)
    dialog.receive(HUNG_UP)
    assert not any(dialog.may(command) for command in Command)


def test_a_leg_is_hung_up_once():
    dialog = talking()
    assert dialog.may(Command.HANG_UP)
    assert not dialog.may(Command.HANG_UP)


def test_only_an_unanswered_leg_can_be_refused():
    assert incoming(Command.REFUSE).state is LegState.ENDED
    assert incoming(Command.RING, Command.REFUSE).state is LegState.ENDED
    assert not talking().may(Command.REFUSE)


def test_digits_go_out_only_on_a_confirmed_leg_that_is_not_held():
    assert not incoming().may(Command.SEND_DTMF)
    dialog = talking()
    assert dialog.may(Command.SEND_DTMF)
    dialog.receive(Held())
    assert not dialog.may(Command.SEND_DTMF)


def test_hold_and_resume_alternate():
    dialog = talking()
    assert dialog.receive(Held())
    assert not dialog.receive(Held())
    assert dialog.receive(Resumed())
    assert not dialog.receive(Resumed())


def test_events_that_are_none_of_the_dialogs_business_change_nothing():
    dialog = talking()
    assert not dialog.receive(DIGIT)
    assert not dialog.receive(MediaStopped())
    assert dialog.state is LegState.CONFIRMED


@pytest.mark.parametrize(
    ("state", "answered"),
    [(state, state in {LegState.ANSWERED, LegState.CONFIRMED, LegState.HELD}) for state in LegState],
)
def test_media_may_flow_from_the_answer_to_the_end(state, answered):
    dialog = LegDialog(incoming=True)
    dialog.state = state
    assert dialog.answered is answered


@given(
    st.booleans(), st.lists(st.one_of(st.sampled_from(list(Command)), st.sampled_from(EVENTS)), max_size=30)
)
def test_ended_is_final_and_a_hang_up_is_possible_until_then(is_incoming, steps):
    dialog = LegDialog(incoming=is_incoming)
    ended = False
    for step in steps:
        before = dialog.state
        changed = dialog.may(step) if isinstance(step, Command) else dialog.receive(step)
        assert changed or dialog.state is before
        assert not (ended and dialog.state is not LegState.ENDED)
        ended = dialog.state is LegState.ENDED
    assert LegDialog.may(dialog, Command.HANG_UP) is not ended
