"""Times are in frames of 20 ms; speech is espeak's, noise is white (tests/fakes/lines.py)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.media import tones
from bridge.media.activity import Activity
from bridge.media.frame import FRAME_BYTES, SILENCE, duration_ms
from bridge.media.utterance import PRE_ROLL_MS, Said, Utterance, UtteranceRules
from tests.fakes.lines import frames, samples, silence, speech, with_noise

RULES = UtteranceRules(silence_ms=600, max_ms=6000, nothing_ms=3000)


def listened(line, rules=RULES):
    """[(ms, what)] and the utterance."""
    utterance = Utterance(rules)
    said = [(20 * (number + 1), utterance.push(frame)) for number, frame in enumerate(line)]
    return [one for one in said if one[1]], utterance


@pytest.mark.parametrize("snr_db", [40, 25, 15, 10])
@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "en-gb-x-rp"])
@pytest.mark.parametrize("text", ["yes", "no", "new orders please", "where is my order"])
def test_words_are_cut_out_of_the_line(text, voice, snr_db):
    word = speech(text, voice)
    begins, ends = 1000, 1000 + len(word) // 8
    line = with_noise(np.concatenate([silence(1000), word, silence(1500)]), -26 - snr_db)
    ((started_ms, first), (over_ms, last)), utterance = listened(frames(line))
    assert (first, last) == (Said.STARTED, Said.OVER)
    assert begins + 60 <= started_ms <= begins + 350
    assert abs(over_ms - ends - 600) <= 250
    # All of the word but a weak last consonant, and not much more.
    assert duration_ms(utterance.audio()) >= min(ends - begins, over_ms - 600 - begins)
    assert duration_ms(utterance.audio()) <= ends - begins + 2 * PRE_ROLL_MS + 100
    assert not utterance.cut


def test_the_audio_begins_before_the_first_sound():
    word = speech("opening hours")
    _, utterance = listened(frames(silence(800), word, silence(1000)))
    sound = samples(utterance.audio())
    first = int(np.flatnonzero(np.abs(sound) > 300)[0]) / 8
    assert PRE_ROLL_MS - 40 <= first <= PRE_ROLL_MS + 40


def test_pauses_inside_a_sentence_do_not_end_it():
    line = [*frames(silence(600), speech("i would like"), silence(450), speech("to order"), silence(900))]
    said, utterance = listened(line)
    assert [what for _, what in said] == [Said.STARTED, Said.OVER]
    assert duration_ms(utterance.audio()) > 1400


def test_who_says_nothing_is_noticed_in_time():
    said, utterance = listened(frames(with_noise(silence(5000), -50)))
    assert said == [(3000, Said.NOTHING)]
    assert utterance.audio() == b""


def test_the_time_to_speak_can_begin_anew_and_can_be_endless():
    utterance = Utterance(RULES)
    assert all(utterance.push(SILENCE) is None for _ in range(140))
    utterance.wait_from_now()
    assert [utterance.push(SILENCE) for _ in range(150)][-1] is Said.NOTHING
    said, _ = listened([SILENCE] * 1000, UtteranceRules(nothing_ms=None))
    assert said == []


def test_who_does_not_stop_is_cut():
    long = speech(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    )
    said, utterance = listened(frames(silence(400), long, long), UtteranceRules(max_ms=3000))
    assert [what for _, what in said] == [Said.STARTED, Said.OVER]
    assert utterance.cut
    assert 3000 <= duration_ms(utterance.audio()) <= 3000 + PRE_ROLL_MS


@pytest.mark.parametrize("noise_dbfs", [-70, -45])
def test_keys_and_other_tones_start_nothing(noise_dbfs):
    line = np.concatenate(
        [silence(500), samples(tones.dtmf("12#", 150, 80)), samples(tones.busy(1500)), silence(500)]
    )
    said, _ = listened(frames(with_noise(line, noise_dbfs)))
    assert said in ([(3000, Said.NOTHING)], [])


def test_a_click_and_a_knock_start_nothing():
    knock = with_noise(silence(60), -20) * np.hanning(480)
    said, _ = listened(frames(silence(500), knock, silence(500), 9000 * np.ones(40), silence(1000)))
    assert said == []


@pytest.mark.parametrize("shift_ms", range(0, 20, 3))
def test_a_key_after_the_words_is_not_waited_for(shift_ms):
    """Wherever the tone's edges fall in a frame."""
    key = samples(tones.dtmf("1", 200, 0))
    line = frames(silence(500), speech("sales"), silence(100 + shift_ms), key, silence(900))
    said, _ = listened(line)
    assert [what for _, what in said] == [Said.STARTED, Said.OVER]
    assert said[1][0] <= 500 + len(speech("sales")) // 8 + 700


def test_the_noise_floor_can_be_handed_on_to_the_next():
    activity = Activity()
    for frame in frames(with_noise(silence(3000), -34)):
        activity.push(frame)
    said = [Utterance(RULES, activity).push(frame) for frame in frames(with_noise(silence(1000), -34))]
    assert not any(said)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["silence", "word", "noise", "key"]), st.integers(1, 60)), max_size=25),
    st.integers(100, 2000), st.integers(200, 4000), st.one_of(st.none(), st.integers(100, 3000)),
)  # fmt: skip
def test_whatever_comes_the_bounds_hold(parts, silence_ms, max_ms, nothing_ms):
    pieces = {
        "silence": [SILENCE],
        "word": frames(speech("appointments")),
        "noise": frames(with_noise(silence(200), -30)),
        "key": frames(samples(tones.dtmf("7", 100, 0))),
    }
    line = [pieces[kind][at % len(pieces[kind])] for kind, count in parts for at in range(count)]
    said, utterance = listened(line, UtteranceRules(silence_ms, max_ms, nothing_ms))
    kinds = [what for _, what in said]
    assert kinds in ([], [Said.STARTED], [Said.NOTHING], [Said.STARTED, Said.OVER])
    assert bool(utterance.audio()) == (Said.STARTED in kinds)
    assert len(utterance.audio()) % FRAME_BYTES == 0
    assert duration_ms(utterance.audio()) <= max(max_ms, 160) + PRE_ROLL_MS + 20
    assert not kinds or kinds[-1] is Said.STARTED or utterance.push(line[0]) is None
