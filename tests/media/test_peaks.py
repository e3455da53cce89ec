"""How loud a recording is, for a picture of it."""

import numpy as np
import pytest

from bridge.errors import MediaError
from bridge.media.peaks import FULL, peaks
from bridge.media.recorder import wav_header


def write(path, caller, agent, header=None):
    stereo = np.empty((len(caller), 2), dtype="<i2")
    stereo[:, 0], stereo[:, 1] = caller, agent
    data = stereo.tobytes()
    path.write_bytes((wav_header(len(data)) if header is None else header) + data)
    return path


def test_each_value_is_the_loudest_of_its_part_on_its_own_side(tmp_path):
    caller, agent = np.zeros(8000), np.zeros(8000)
    caller[100], agent[7999] = 32767, -32768
    found = peaks(write(tmp_path / "a.wav", caller, agent), 4)
    assert found.seconds == 1.0
    assert (found.caller, found.agent) == ((FULL, 0, 0, 0), (0, 0, 0, FULL))


def test_loudness_is_in_decibels(tmp_path):
    found = peaks(write(tmp_path / "a.wav", np.full(800, 3277), np.full(800, 33)), 1)
    assert (found.caller, found.agent) == ((63,), (0,))


def test_a_file_of_many_pieces_is_the_same_as_one(tmp_path):
    samples = (np.random.default_rng(7).standard_normal(600_000) * 5000).clip(-32768, 32767)
    found = peaks(write(tmp_path / "a.wav", samples, samples[::-1]), 1000)
    edges = np.arange(600_000) * 1000 // 600_000
    wanted = [np.abs(samples.astype("<i2").astype(int))[edges == place].max() for place in (0, 437, 999)]
    levels = [round((20 * np.log10(value / 32768) + 54) * 100 / 54) for value in wanted]
    assert [found.caller[place] for place in (0, 437, 999)] == levels
    assert len(found.caller) == len(found.agent) == 1000


def test_a_short_file_has_no_more_values_than_samples(tmp_path):
    assert peaks(write(tmp_path / "a.wav", np.ones(3), np.ones(3)), 4000).caller == (0, 0, 0)


def test_a_file_that_was_cut_by_a_crash_is_read_as_far_as_its_header_promises(tmp_path):
    path = write(tmp_path / "a.wav", np.ones(8000), np.ones(8000), wav_header(4 * 4000))
    assert peaks(path, 10).seconds == 0.5


def test_a_header_that_promises_too_much_harms_nothing(tmp_path):
    path = write(tmp_path / "a.wav", np.full(100, 9000), np.ones(100), wav_header(4 * 8000))
    found = peaks(path, 80)
    assert found.caller[0] > 0
    assert found.caller[40] == 0


@pytest.mark.parametrize("content", [b"", b"RIFF", b"x" * 100, wav_header(0)])
def test_what_is_no_recording_is_told(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(MediaError):
        peaks(tmp_path / "a.wav", 10)
    with pytest.raises(MediaError):
        peaks(tmp_path / "none.wav", 10)
