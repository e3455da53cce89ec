import wave

import numpy as np
import pytest

from bridge.errors import MediaError
from bridge.media import offline, tones


def write(path, data, channels=1, width=2, rate_hz=8000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(data)
    return path


def correlation(one, other):
    return np.corrcoef(np.frombuffer(one, "<i2"), np.frombuffer(other, "<i2"))[0, 1]


def test_resampling_there_and_back_keeps_the_sound():
    pcm = tones.beep(500)

    high = offline.resample(pcm, 8000, 22050)

    assert len(high) // 2 == pytest.approx(0.5 * 22050, abs=2)
    back = offline.resample(high, 22050, 8000)
    assert correlation(pcm, back[: len(pcm)].ljust(len(pcm), b"\0")) > 0.999


def test_the_same_rate_and_nothing_pass_untouched():
    assert offline.resample(b"\x01\x02", 8000, 8000) == b"\x01\x02"
    assert offline.resample(b"", 8000, 24000) == b""


def test_mixing_adds_clips_and_goes_on_with_the_longer_side():
    left = np.array([100, 30000, -30000], "<i2").tobytes()
    right = np.array([5, 30000, -30000, 7], "<i2").tobytes()

    assert np.frombuffer(offline.mix(left, right), "<i2").tolist() == [105, 32767, -32768, 7]


def test_a_wav_file_comes_back_as_it_was_written(tmp_path):
    offline.write_wav(tmp_path / "a.wav", tones.beep())

    assert offline.read_wav(tmp_path / "a.wav") == tones.beep()


def test_a_stereo_file_of_another_rate_becomes_mono_of_the_phone(tmp_path):
    mono = np.frombuffer(offline.resample(tones.beep(), 8000, 44100), "<i2")
    path = write(tmp_path / "s.wav", np.column_stack((mono, mono)).tobytes(), channels=2, rate_hz=44100)

    pcm = offline.read_wav(path)

    assert len(pcm) == pytest.approx(len(tones.beep()), abs=4)
    assert correlation(pcm[:3000], tones.beep()[:3000]) > 0.999


def test_bytes_and_thirds_of_a_frame_are_cut_off(tmp_path):
    path = write(tmp_path / "s.wav", b"\x01\x00\x03\x00", channels=2)
    path.write_bytes(path.read_bytes()[:40] + (7).to_bytes(4, "little") + b"\x01\x00\x03\x00\x05\x00\x09")

    assert offline.read_wav(path) == b"\x02\x00"


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no sound at all, but long enough to be read as one"])
def test_a_file_that_is_no_wav_is_named(tmp_path, data):
    path = tmp_path / "x.wav"
    path.write_bytes(data)

    with pytest.raises(MediaError, match=r"x\.wav: not a readable WAV"):
        offline.read_wav(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"gone\.wav"):
        offline.read_wav(tmp_path / "gone.wav")


def test_eight_bit_files_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(MediaError, match="save it as 16-bit PCM"):
        offline.read_wav(write(tmp_path / "8.wav", b"\x80" * 80, width=1))
