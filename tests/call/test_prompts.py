import wave

import pytest

from bridge.call.prompts import read_prompt
from bridge.errors import MediaError


def written(path, rate_hz=8000, frames=b"\1\0" * 80, channels=1, width=2):
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate_hz)
        writer.writeframes(frames)
    return path


def test_a_prompt_is_its_samples(tmp_path):
    assert read_prompt(written(tmp_path / "a.wav")) == b"\1\0" * 80


def test_a_missing_prompt_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"gone\.wav"):
        read_prompt(tmp_path / "gone.wav")


@pytest.mark.parametrize(("rate_hz", "channels", "width"), [(16000, 1, 2), (8000, 2, 2), (8000, 1, 1)])
def test_a_prompt_of_another_form_is_refused(tmp_path, rate_hz, channels, width):
    with pytest.raises(MediaError, match="8 kHz"):
        read_prompt(written(tmp_path / "a.wav", rate_hz, channels=channels, width=width))


def test_a_file_that_is_no_wav_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"not a wav")
    with pytest.raises(MediaError, match=r"a\.wav"):
        read_prompt(path)
