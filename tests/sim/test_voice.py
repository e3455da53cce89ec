"""The mouth."""

import asyncio

import numpy as np
import pytest

from bridge.errors import MediaError
from bridge.sim import voice


def test_a_sentence_becomes_sound_of_its_length_at_the_asked_rate():
    narrow, wide = voice.speak("One two three.", rate_hz=8000), voice.speak("One two three.")
    assert 0.8 < len(narrow) / 16_000 < 2.5
    assert len(wide) == pytest.approx(3 * len(narrow), rel=0.03)
    assert np.abs(np.frombuffer(wide, "<i2")).max() > 3000


def test_words_a_minute_shorten_it():
    assert len(voice.speak("One two three.", wpm=260)) < len(voice.speak("One two three.", wpm=130))


def test_text_without_words_is_silence():
    assert np.abs(np.frombuffer(voice.speak(""), "<i2")).max() < 10


def test_a_sentence_ends_in_silence():
    assert np.abs(np.frombuffer(voice.speak("One two three."), "<i2")[-480:]).max() < 100


def test_an_unknown_voice_is_told():
    with pytest.raises(MediaError, match="klingon9"):
        voice.speak("hello", voice="klingon9")


async def test_threads_take_turns():
    alone = {text: voice.speak(text) for text in ("First sentence.", "Second one.")}
    texts = list(alone) * 4
    spoken = await asyncio.gather(*(asyncio.to_thread(voice.speak, text) for text in texts))
    assert all(abs(len(sound) - len(alone[text])) < 4800 for text, sound in zip(texts, spoken, strict=True))
