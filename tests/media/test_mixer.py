"""Who hears whom in a conference."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.media.mixer import LINE_FRAMES, Mixer, mix
from tests.fakes.line import frame

LOUD = frame(30000)


def conference(*parties, muted=()):
    mixer = Mixer()
    for party in parties:
        mixer.join(party, muted=party in muted)
    return mixer


def test_a_sum_is_limited_to_sixteen_bits():
    assert mix(LOUD, LOUD) == frame(32767)
    assert mix(frame(-30000), frame(-30000)) == frame(-32768)
    assert mix(frame(5), frame(-7)) == frame(-2)


def test_each_party_hears_the_others_and_not_itself():
    mixer = conference("a", "b", "c")
    for party, value in (("a", 1), ("b", 20), ("c", 300)):
        mixer.say(party, frame(value))
    assert [mixer.hear(party) for party in "abc"] == [frame(320), frame(301), frame(21)]
    assert mixer.hear("a") is None


def test_a_muted_party_hears_and_is_not_heard():
    mixer = conference("caller", "supervisor", muted={"supervisor"})
    mixer.say("caller", frame(5))
    mixer.say("supervisor", frame(7))
    assert (mixer.hear("supervisor"), mixer.hear("caller")) == (frame(5), None)


def test_a_party_may_be_hidden_from_some_and_joining_again_changes_that():
    mixer = conference("caller", "agent")
    mixer.join("supervisor", hidden_from=("caller",))
    mixer.say("supervisor", frame(7))
    assert (mixer.hear("agent"), mixer.hear("caller")) == (frame(7), None)
    mixer.join("supervisor")
    mixer.say("supervisor", frame(7))
    assert (mixer.hear("agent"), mixer.hear("caller")) == (frame(7), frame(7))
    mixer.leave("supervisor")
    assert mixer.parties == {"caller", "agent"}


def test_who_left_is_not_heard_and_what_the_others_had_not_heard_of_each_other_stays():
    mixer = conference("a", "b", "c")
    mixer.say("a", frame(1))
    mixer.say("c", frame(100))
    mixer.leave("c")
    assert mixer.hear("b") == frame(1)
    mixer.say("c", frame(100))
    assert mixer.hear("b") is None


def test_a_line_that_is_full_loses_its_oldest_frame():
    mixer = conference("a", "b")
    for value in range(LINE_FRAMES + 2):
        mixer.say("a", frame(value))
    heard = [mixer.hear("b") for _ in range(LINE_FRAMES + 1)]
    assert heard == [frame(value) for value in range(2, LINE_FRAMES + 2)] + [None]


@given(st.lists(st.tuples(st.sampled_from("sh"), st.sampled_from("abcd")), max_size=200))
def test_delay_is_bounded_whatever_is_said_and_heard(moves):
    mixer = conference("a", "b", "c")
    for move, party in moves:
        if move == "s":
            mixer.say(party, frame(1))
        else:
            heard = mixer.hear(party)
            assert heard is None or len(heard) == 320
    assert all(len(line) <= LINE_FRAMES for lines in mixer._lines.values() for line in lines.values())
