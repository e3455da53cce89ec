"""Voice activity and words, on real (synthetic) speech over G.711. Few and short: recognition takes real time."""

import functools
import re

import pytest

from bridge.errors import ScenarioError
from bridge.media import g711
from bridge.sim import scenario, voice
from bridge.sim.actions import Recognise, Sound
from bridge.sim.ears import Ears, Recogniser
from bridge.sim.protocol import ServerVad

VAD = ServerVad(type="server_vad")


@functools.cache
def recogniser():
    return Recogniser(scenario.load())


def spoken(text, voice_name="en-us"):
    pcm = voice.speak(text, voice=voice_name, rate_hz=8000)
    return g711.pcmu_encode(bytes(8000) + pcm + bytes(16_000))


def understood(text, voice_name="en-us", pending=None):
    return recogniser().words(Recognise(1, spoken(text, voice_name), "audio/pcmu", pending))


@pytest.mark.parametrize(
    ("text", "voice_name"),
    [
        ("what are your opening hours", "en-us"),
        ("i would like to book an appointment", "en"),
        ("i want a refund of twenty dollars", "en-us+m3"),
        ("where are you located", "en-us+f3"),
        ("goodbye", "en-us"),
    ],
)
def test_phrases_are_understood(text, voice_name):
    assert understood(text, voice_name) == text


def test_answers_are_understood_while_their_question_is_open():
    assert understood("on friday at half past two", pending="book") == "on friday at half past two"
    assert understood("on friday at half past two") == ""


@pytest.mark.parametrize(
    "text", ["the weather is really nice in london this week", "my dog ate the newspaper"]
)
def test_foreign_sentences_are_not_understood(text):
    assert understood(text) == ""


def test_silence_has_no_words():
    assert recogniser().words(Recognise(1, b"\xff" * 4000, "audio/pcmu", None)) == ""


def test_wide_band_audio_is_understood_too():
    pcm = voice.speak("when are you open")
    assert recogniser().words(Recognise(1, pcm, "audio/pcm", None)) == "when are you open"


def test_words_without_a_pronunciation_are_a_mistake_of_the_scenario(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text(
        "version: 1\nname: odd\ngreeting: hi\nfallback: [what]\nsilence: yes?\n"
        "intents: {one: {say: [xyzzy plugh], reply: ok}}\n"
    )
    with pytest.raises(ScenarioError, match=re.escape("plugh, xyzzy")):
        Recogniser(scenario.load(path))


@pytest.mark.parametrize("audio_format", ["audio/pcmu", "audio/pcma", "audio/pcm"])
def test_speech_starts_and_stops_are_noticed(audio_format):
    ears = Ears()
    ears.attend(VAD)
    rate = 24_000 if audio_format == "audio/pcm" else 8000
    pcm = bytes(rate) + voice.speak("when are you open", rate_hz=rate) + bytes(rate * 2)
    payload = {"audio/pcmu": g711.pcmu_encode, "audio/pcma": g711.pcma_encode}.get(audio_format, bytes)(pcm)
    step = len(payload) * rate // 50 // (len(pcm) // 2)
    step += step % 2
    events = [
        event
        for at in range(0, len(payload), step)
        for event in ears.push(payload[at : at + step], audio_format)
    ]
    assert events[0].sound is Sound.SPEECH_STARTED
    assert 400 <= events[0].at_ms <= 800
    assert events[-1].sound is Sound.SPEECH_STOPPED


def test_ears_at_rest_hear_nothing():
    ears = Ears()
    assert ears.push(spoken("hello"), "audio/pcmu") == []
    ears.attend(VAD)
    ears.attend(None)
    assert ears.push(spoken("hello"), "audio/pcmu") == []


def test_the_recogniser_writes_nothing_to_standard_error_itself(capfd):
    """Its C library has lines of its own, "does not match the grammar": they would be in no form of ours."""
    quiet = Recogniser(scenario.load())
    assert quiet.words(Recognise(1, spoken("the weather is really nice"), "audio/pcmu", None)) == ""
    assert capfd.readouterr().err == ""
