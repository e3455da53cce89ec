import asyncio
import base64
import threading
import time
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.control_plan import espeak
from bridge.control_speech import MAX_TEXT_CHARS, MAX_WAITING, Speech, SpeechCache, sayable
from bridge.errors import LinkError, MediaError
from bridge.media.offline import read_wav

MENU = {"1": ["sales"], "2": ["support"]}


class Ears:
    """Stands for Hearing; `heard` is what it was given."""

    def __init__(self):
        self.heard = []

    async def hear(self, audio, options):
        self.heard.append((audio, options))
        return {"option": "1", "heard": "sales"}

    async def __aexit__(self, *_error):
        pass


class Voice:
    """Speaks a constant; `said` is what it was asked."""

    def __init__(self):
        self.said = []

    def __call__(self, prompt):
        self.said.append((prompt.text, prompt.language))
        return b"\1\0" * 800


def speech(tmp_path, speak=espeak, ears=None, **more):
    return Speech(SpeechCache(tmp_path / "speech"), speak, ears or Ears(), **more)


def audio(size=1600):
    return base64.b64encode(b"\xff" * size).decode()


async def test_a_text_becomes_a_private_wav_that_a_worker_can_play(tmp_path):
    async with speech(tmp_path) as desk:
        path = (await desk.answer("speech.say", {"text": "You are number 3.", "language": "en-us"}))["path"]
    assert Path(path).is_absolute()
    assert Path(path).stat().st_mode & 0o027 == 0  # noqa: ASYNC240  # a test
    assert (tmp_path / "speech").stat().st_mode & 0o777 == 0o700
    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert 0.5 < file.getnframes() / 8000 < 3


async def test_the_same_text_is_spoken_once_and_another_language_is_another_text(tmp_path):
    voice = Voice()
    async with speech(tmp_path, voice) as desk:
        paths = [
            (await desk.answer("speech.say", {"text": text, "language": language}))["path"]
            for text, language in (("hello", "en"), ("hello ", "en"), ("hello", "de"))
        ]
    assert paths[0] == paths[1] != paths[2]
    assert voice.said == [("hello", "en"), ("hello", "de")]
    again = Voice()
    async with speech(tmp_path, again) as desk:
        assert (await desk.answer("speech.say", {"text": "hello", "language": "en"}))["path"] == paths[0]
    assert again.said == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "nothing to say"),
        ({"text": 7}, "nothing to say"),
        ({"text": "\x00\n \u200b"}, "nothing to say"),
        ({"text": "hello", "language": "../../etc"}, "language"),
        ({"text": "hello", "language": 7}, "language"),
    ],
)
async def test_what_cannot_be_said_is_refused_for_good(tmp_path, data, says):
    async with speech(tmp_path, Voice()) as desk:
        with pytest.raises(LinkError, match=says) as caught:
            await desk.answer("speech.say", data)
    assert caught.value.fatal


async def test_a_voice_that_fails_is_a_link_error(tmp_path):
    def broken(_prompt):
        raise MediaError("espeak-ng cannot start")

    async with speech(tmp_path, broken) as desk:
        with pytest.raises(LinkError, match="cannot start"):
            await desk.answer("speech.say", {"text": "hello"})


async def test_a_voice_that_hangs_ends_at_the_deadline_and_only_so_many_wait(tmp_path):
    go = threading.Event()

    def slow(_prompt):
        go.wait(10)
        return b"\0\0"

    async with speech(tmp_path, slow, say_s=0.3) as desk:
        asked = [desk.answer("speech.say", {"text": str(number)}) for number in range(MAX_WAITING + 1)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        go.set()
    words = [str(answer) for answer in answers]
    assert all(isinstance(answer, LinkError) and not answer.fatal for answer in answers)
    assert words.count("speaking took too long") == MAX_WAITING
    assert words.count("too many texts wait to be spoken") == 1


@given(st.text(max_size=3000))
def test_any_text_is_made_sayable(text):
    said = sayable(text)
    assert len(said) <= MAX_TEXT_CHARS
    assert said == sayable(said)
    assert said.isprintable()


def test_a_long_text_is_cut_after_a_word():
    assert sayable("word " * 1000) == ("word " * 400).strip()
    assert len(sayable("w" * 5000)) == MAX_TEXT_CHARS


async def test_what_was_heard_comes_back_as_the_option(tmp_path):
    ears = Ears()
    async with speech(tmp_path, ears=ears) as desk:
        answer = await desk.answer("speech.hear", {"audio": audio(), "language": "en-GB", "options": MENU})
        assert answer == {"option": "1", "heard": "sales"}
        nothing = await desk.answer("speech.hear", {"audio": "", "language": "en", "options": MENU})
        assert nothing == {"option": "", "heard": ""}
    assert ears.heard == [(b"\xff" * 1600, MENU)]


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        ({"language": "de"}, "only English"),
        ({"audio": "%%%"}, "base64"),
        ({"audio": audio(80_001 + 8)}, "10 s"),
        ({"audio": None}, "10 s"),
        ({"options": {}}, "options"),
        ({"options": {"1": "sales"}}, "phrases"),
        ({"options": {"1": []}}, "phrases"),
        ({"options": {"1": ["x" * 101]}}, "phrases"),
        ({"options": {str(number): ["x"] for number in range(41)}}, "options"),
    ],
)
async def test_a_question_of_the_wrong_shape_is_refused_for_good(tmp_path, odd, says):
    good = {"audio": audio(), "language": "en", "options": MENU}
    async with speech(tmp_path) as desk:
        with pytest.raises(LinkError, match=says) as caught:
            await desk.answer("speech.hear", good | odd)
    assert caught.value.fatal


async def test_another_request_is_not_known(tmp_path):
    async with speech(tmp_path) as desk:
        with pytest.raises(LinkError, match="knows no request"):
            await desk.answer("speech.sing", {})


def test_the_cache_lets_the_longest_unused_go_first(tmp_path):
    cache = SpeechCache(tmp_path, max_files=3, max_bytes=1000, keep_s=10)
    for number in range(3):
        cache.put(f"{number}.wav", b"x" * 100, 100.0 + number)
    assert cache.find("0.wav", 110.0)
    cache.put("3.wav", b"x" * 100, 120.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.wav", "2.wav", "3.wav"]
    cache.put("4.wav", b"x" * 900, 140.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.wav", "4.wav"]
    assert cache.find("0.wav", 141.0) is None


def test_a_young_file_is_never_removed(tmp_path):
    cache = SpeechCache(tmp_path, max_files=2, max_bytes=1000, keep_s=600)
    cache.put("a.wav", b"x", 0.0)
    cache.put("b.wav", b"x", 500.0)
    cache.find("a.wav", 550.0)
    with pytest.raises(LinkError, match="too much") as caught:
        cache.put("c.wav", b"x", 1099.0)
    assert not caught.value.fatal
    cache.put("c.wav", b"x", 1100.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "c.wav"]


def test_a_new_control_knows_the_old_files_and_clears_halves(tmp_path):
    SpeechCache(tmp_path).put("a.wav", b"x", time.time() - 50)
    SpeechCache(tmp_path).put("b.wav", b"x", time.time())
    (tmp_path / ".c.wav.part").write_bytes(b"half")
    cache = SpeechCache(tmp_path, max_files=2, keep_s=10)
    cache.put("d.wav", b"x", time.time())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.wav", "d.wav"]


def test_a_file_that_somebody_removed_is_spoken_anew(tmp_path):
    cache = SpeechCache(tmp_path)
    cache.put("a.wav", b"x", 0.0).unlink()
    assert cache.find("a.wav", 1.0) is None


def test_a_disk_that_refuses_says_where(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkError, match="cannot be written"):
        SpeechCache(tmp_path / "file" / "speech").put("a.wav", b"x", 0.0)


async def test_what_is_spoken_can_be_read_back(tmp_path):
    async with speech(tmp_path, Voice()) as desk:
        path = (await desk.answer("speech.say", {"text": "hello"}))["path"]
    assert read_wav(Path(path)) == b"\1\0" * 800
