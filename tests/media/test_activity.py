import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media import tones
from bridge.media.activity import Activity, Sound
from tests.fakes.lines import frames, samples, silence, speech, with_noise


def heard(*parts, skip=0):
    activity = Activity()
    return [activity.push(frame) for frame in frames(*parts)][skip:]


def share(sounds, *kinds):
    return sum(sound in kinds for sound in sounds) / len(sounds)


@pytest.mark.parametrize("noise_dbfs", [-75, -60, -50, -40, -36])
def test_line_noise_alone_is_no_speech(noise_dbfs):
    sounds = heard(with_noise(silence(10_000), noise_dbfs))
    assert share(sounds, Sound.SPEECH, Sound.VOICED) <= 0.01


def test_hum_of_the_mains_is_no_speech():
    hum = 2000 * np.sin(2 * np.pi * 50 * np.arange(40_000) / 8000)
    assert set(heard(with_noise(hum, -60), skip=5)) == {Sound.QUIET}


@pytest.mark.parametrize("snr_db", [30, 20, 15, 10])
@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "en-gb-x-rp"])
def test_speech_is_heard_over_noise(voice, snr_db):
    words = speech("i would like to speak to somebody about my last invoice", voice)
    sounds = heard(with_noise(np.concatenate([silence(1000), words]), -26 - snr_db), skip=50)
    assert share(sounds, Sound.SPEECH, Sound.VOICED) >= (0.6 if snr_db >= 15 else 0.45)


@pytest.mark.parametrize(
    "pcm",
    [
        tones.dtmf("0123456789*#", 100, 60),
        tones.beep(400),
        tones.ringback(3000, "us"),
        tones.busy(2000),
        tones.tone((1100,), 500),
        tones.tone((2100,), 500),
    ],
)
@pytest.mark.parametrize("noise_dbfs", [-75, -50])
def test_tones_are_no_speech(pcm, noise_dbfs):
    sounds = heard(with_noise(np.concatenate([silence(500), samples(pcm), silence(500)]), noise_dbfs))
    assert share(sounds, Sound.SPEECH, Sound.VOICED) <= 0.05


def test_a_tone_is_called_one():
    assert share(heard(samples(tones.dtmf("5", 1000, 0))), Sound.TONE) >= 0.95


def test_words_are_not_taken_for_tones():
    """Long vowels are nearly periodic: most of what is lost would be theirs."""
    words = [
        speech(text, voice)
        for text in ("who do you do", "no", "see me", "oh")
        for voice in ("en-us", "en-us+f3")
    ]
    assert share([sound for word in words for sound in heard(word)], Sound.TONE) <= 0.05


def test_the_floor_follows_a_line_that_gets_louder_and_quieter():
    activity = Activity()
    loud, quiet = with_noise(silence(4000), -35), with_noise(silence(4000), -60)
    late = [activity.push(frame) for frame in frames(quiet, loud, quiet)]
    assert share(late[300:400], Sound.QUIET) == 1
    assert activity.floor_dbfs == pytest.approx(-62, abs=3)


def test_packets_that_never_came_do_not_make_the_line_silent():
    activity = Activity()
    for frame in frames(with_noise(silence(2000), -45), silence(4000)):
        activity.push(frame)
    assert share([activity.push(frame) for frame in frames(with_noise(silence(2000), -45))], Sound.QUIET) == 1


def test_who_speaks_at_once_is_heard_at_once():
    assert share(heard(speech("hello"))[:8], Sound.SPEECH, Sound.VOICED) >= 0.7


@given(st.lists(st.binary(max_size=400), max_size=30))
def test_any_bytes_are_judged(pieces):
    activity = Activity()
    for piece in pieces:
        assert activity.push(piece) in Sound
        assert activity.floor_dbfs <= 0


def test_a_frame_costs_a_worker_next_to_nothing():
    activity, line = Activity(), frames(with_noise(silence(4000), -40))
    rounds = []
    for _ in range(5):
        begun = time.process_time()
        for frame in line:
            activity.push(frame)
        rounds.append((time.process_time() - begun) / len(line))
    assert min(rounds) < 150e-6  # some 25 µs on the machine it was written on
