import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import MediaError
from bridge.media.frame import duration_ms, rms_dbfs
from bridge.media.music import Loop, music
from bridge.media.offline import write_wav


def samples(pcm):
    return np.frombuffer(pcm, "<i2").astype(float)


def test_the_default_is_half_a_minute_of_quiet_sound_that_never_clips():
    pcm = music(None)
    assert 20_000 <= duration_ms(pcm) <= 30_000
    assert -30 <= rms_dbfs(pcm) <= -26
    assert np.abs(samples(pcm)).max() < 16_000


def test_the_default_has_no_gap_and_no_seam():
    """Its loudest and quietest second lie close together, and the step over the seam is as small as any other."""
    sound = samples(music(None))
    levels = [rms_dbfs(sound[at : at + 8000].astype("<i2").tobytes()) for at in range(0, len(sound), 8000)]
    assert max(levels) - min(levels) < 6
    assert abs(sound[0] - sound[-1]) <= np.abs(np.diff(sound)).max()


def test_the_default_lies_where_a_telephone_hears():
    power = np.abs(np.fft.rfft(samples(music(None)))) ** 2
    hz = np.fft.rfftfreq(len(samples(music(None))), 1 / 8000)
    assert power[(hz > 180) & (hz < 2200)].sum() > 0.999 * power.sum()


def test_the_operators_own_file_is_read_at_any_rate(tmp_path):
    write_wav(tmp_path / "own.wav", b"\1\0" * 44_100, 44_100)
    assert duration_ms(music(str(tmp_path / "own.wav"))) == pytest.approx(1000, abs=1)


def test_a_file_that_cannot_be_music_says_why(tmp_path):
    write_wav(tmp_path / "empty.wav", b"")
    write_wav(tmp_path / "long.wav", bytes(2 * 8000 * 601))
    (tmp_path / "odd.wav").write_bytes(b"hello")
    for name, says in (
        ("empty", "no sound"),
        ("long", "10 minutes"),
        ("odd", "not a readable"),
        ("none", "No such"),
    ):
        with pytest.raises(MediaError, match=says):
            music(str(tmp_path / f"{name}.wav"))


@given(
    st.binary(min_size=2, max_size=40).filter(lambda pcm: len(pcm) % 2 == 0),
    st.lists(st.integers(0, 60), max_size=20),
)
def test_a_loop_gives_what_an_endless_tape_would(pcm, halves):
    loop = Loop(pcm)
    taken = b"".join(loop.take(2 * half) for half in halves)
    assert taken == (pcm * (len(taken) // len(pcm) + 1))[: len(taken)]


def test_a_loop_takes_whole_samples_only():
    for pcm in (b"", b"abc"):
        with pytest.raises(ValueError, match="16-bit"):
            Loop(pcm)
    with pytest.raises(ValueError, match="whole"):
        Loop(b"ab").take(1)
