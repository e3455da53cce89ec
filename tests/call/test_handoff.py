from bridge.call.handoff import MAX_HAND_OFFS, MAX_NOTE_CHARS, HandOffs, note_text
from bridge.dialplan.agent import Agent

FRONT = Agent("front", "x", hand_off_to=("billing", "support"))


def test_only_agents_that_the_dialplan_names_are_possible():
    assert HandOffs().refusal(FRONT, "billing") == ""
    assert "there are: billing, support" in HandOffs().refusal(FRONT, "sales")
    assert "there are: none" in HandOffs().refusal(Agent("a", "x"), "front")


def test_after_many_hand_offs_the_agent_must_help_itself():
    hand_offs = HandOffs()
    for _ in range(MAX_HAND_OFFS):
        assert not hand_offs.refusal(FRONT, "billing")
        hand_offs.done()
    assert "too often" in hand_offs.refusal(FRONT, "billing")


def test_a_note_is_data():
    assert note_text('a "b"\n{{ c }}\u202e') == "a 'b' (( c ))"
    assert len(note_text("x" * 5000)) == MAX_NOTE_CHARS
