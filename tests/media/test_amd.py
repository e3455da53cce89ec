"""Measured here over 720 greetings of people and 432 of machines (espeak-ng, 4 voices, 3 speeds, three noise levels):
no person is taken for a machine, no machine for a person. Synthetic speech: a real line will be worse."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.media.amd import FLOOR_DBFS, Amd, MessageMoment, ToneEar, Verdict, level_dbfs
from bridge.media.tones import beep, tone
from tests.media import greetings

SOME = 9
"""Every so-manyth of the set is tried here; all of it takes a quarter of a minute."""


def judged(pcm, seconds=3.0):
    """(verdict, ms it took)."""
    amd = Amd(seconds)
    for start in range(0, len(pcm) - 319, 320):
        verdict = amd.hear(pcm[start : start + 320])
        if verdict is not None:
            assert amd.why
            return verdict, start // 16 + 20
    return amd.give_up(), len(pcm) // 16


def rates(texts):
    found = Counter()
    for number, (_, pcm) in enumerate(greetings.every(texts)):
        if number % SOME == 0:
            verdict, ms = judged(pcm)
            found[verdict] += 1
            assert ms <= 3000
    return found


def test_people_are_not_taken_for_machines():
    found = rates(greetings.PEOPLE)
    assert found.total() == 80
    assert found[Verdict.MACHINE] == 0
    assert found[Verdict.HUMAN] >= 0.9 * found.total()


def test_machines_are_not_taken_for_people():
    found = rates(greetings.MACHINES)
    assert found.total() == 48
    assert found[Verdict.MACHINE] >= 0.97 * found.total()


def test_a_phone_that_screens_its_calls_is_a_machine():
    """Almost a third of the answered calls of others (livekit/agents issue 6125); `on_machine: agent` talks to it."""
    found = rates(greetings.SCREENING)
    assert found[Verdict.MACHINE] == found.total() == 16


@pytest.mark.parametrize("gain", [0.12, 0.3, 1.0])
def test_quiet_and_loud_lines_are_heard_alike(gain):
    person = greetings.greeting("Hello?", "en-us", 165, 300, -60.0, gain)
    machine = greetings.greeting(greetings.MACHINES[0], "en-us", 165, 300, -60.0, gain)
    assert judged(person)[0] is Verdict.HUMAN
    assert judged(machine)[0] is Verdict.MACHINE


def test_a_person_who_says_hello_is_known_three_quarters_of_a_second_later():
    pcm = greetings.greeting("Hello?", "en-us", 165, 0, None)
    assert judged(pcm)[1] < 1500


@pytest.mark.parametrize(
    "sound", [greetings.special_information(), bytes(8000) + greetings.a_beep(), greetings.music()]
)
def test_tones_and_music_are_machines(sound):
    assert judged(greetings.line(sound, -60.0))[0] is Verdict.MACHINE


@pytest.mark.parametrize("noise_dbfs", [None, -50.0, -40.0, -30.0])
def test_a_line_without_a_voice_is_silence(noise_dbfs):
    assert judged(greetings.line(bytes(16 * 4000), noise_dbfs)) == (Verdict.SILENCE, 3000)


def test_a_click_is_no_greeting():
    click = bytes(3200) + b"\xff\x7f" * 160 + bytes(64000)
    assert judged(click)[0] is Verdict.SILENCE


def test_who_still_talks_at_the_end_is_undecided():
    pcm = greetings.greeting(greetings.MACHINES[0], "en-us", 165, 1500, None)
    assert judged(pcm, 3.0)[0] is Verdict.UNDECIDED


@pytest.mark.parametrize("hz", [425.0, 700.0, 1000.0, 1400.0, 1950.0])
def test_a_beep_is_heard_after_a_tenth_of_a_second(hz):
    ear = ToneEar()
    pcm = greetings.line(bytes(1600) + beep(300, hz, -15.0) + bytes(3200), -50.0)
    lengths = [ear.hear(pcm[n : n + 320]) for n in range(0, len(pcm), 320)]
    assert 240 <= max(lengths) <= 320
    assert lengths[-1] == 0


@pytest.mark.parametrize("hz", [(350,), (2300,), (697, 1209), (440, 480)])
def test_other_tones_are_no_beep(hz):
    ear = ToneEar()
    pcm = tone(hz, 400)
    assert max(ear.hear(pcm[n : n + 320]) for n in range(0, len(pcm), 320)) < 100


def test_speech_has_no_beeps_in_it():
    for text in greetings.MACHINES:
        ear, pcm = ToneEar(), greetings.greeting(text, "en-us+f3", 165, 0, None)
        assert max(ear.hear(pcm[n : n + 320]) for n in range(0, len(pcm) - 319, 320)) < 100


def moment(pcm):
    ear = MessageMoment()
    for start in range(0, len(pcm) - 319, 320):
        if why := ear.hear(pcm[start : start + 320]):
            return why, start // 16 + 20
    return "", len(pcm) // 16


def test_a_message_is_left_right_after_the_beep():
    said = greetings.greeting(greetings.MACHINES[0], "en-us", 165, 0, None)[: -16 * greetings.TAIL_MS]
    why, ms = moment(said + bytes(8000) + beep(400) + bytes(32000))
    assert why == "beep"
    assert 0 <= ms - (len(said) // 16 + 500 + 400) <= 60


def test_a_machine_without_a_beep_gets_its_message_after_a_long_silence():
    assert moment(bytes(16 * 3000)) == ("silence", 2500)


def test_levels_are_those_of_full_scale():
    assert level_dbfs(b"\xff\x7f" * 160) == pytest.approx(0, abs=0.01)
    assert level_dbfs(tone((1000,), 200, 3.0)[1600:1920]) == pytest.approx(-3.1, abs=0.3)
    assert level_dbfs(bytes(320)) == FLOOR_DBFS
    assert level_dbfs(b"") == FLOOR_DBFS


PIECES = st.tuples(
    st.integers(0, 40), st.sampled_from([bytes(320), b"\xff\x7f" * 160, tone((1000,), 20), b"\1\x90" * 160])
)


@settings(max_examples=40, deadline=None)
@given(st.lists(PIECES, max_size=12))
def test_any_sound_gets_a_verdict_in_time(pieces):
    pcm = b"".join(count * frame for count, frame in pieces) + bytes(64000)
    assert judged(pcm)[1] <= 3000


@pytest.mark.parametrize(("seconds", "verdict"), [(3.0, Verdict.MACHINE), (4.5, Verdict.HUMAN)])
def test_the_long_greeting_of_an_office_needs_a_longer_ear(seconds, verdict):
    """Known weakness: within 3 s it is as long as a machine's."""
    said = greetings.greeting("Good morning, Miller and Sons, Anna speaking.", "en-us", 165, 200, None)
    assert judged(said, seconds)[0] is verdict
    assert (
        judged(greetings.greeting(greetings.MACHINES[0], "en-us", 165, 200, None), seconds)[0]
        is Verdict.MACHINE
    )
