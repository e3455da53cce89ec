import math

import numpy as np
import pytest

from bridge.media.frame import (
    BYTES_PER_MS,
    FRAME_BYTES,
    FRAME_SAMPLES,
    SILENCE,
    SILENCE_DBFS,
    WIDE_RATE_HZ,
    bytes_per_ms,
    duration_ms,
    rms_dbfs,
)


def test_a_frame_is_20_ms_of_the_phone_side():
    assert (FRAME_SAMPLES, FRAME_BYTES, BYTES_PER_MS) == (160, 320, 16)
    assert bytes(320) == SILENCE
    assert duration_ms(SILENCE) == 20.0


def test_duration_follows_the_rate():
    assert duration_ms(bytes(960), 24000) == 20.0
    assert duration_ms(b"") == 0.0


@pytest.mark.parametrize(("amplitude", "dbfs"), [(32768, -3.01), (3276.8, -23.01)])
def test_a_sine_stands_3_db_below_the_square_wave_of_its_peak(amplitude, dbfs):
    sine = amplitude * np.sin(2 * math.pi * np.arange(8000) / 8)
    pcm = np.clip(sine.round(), -32768, 32767).astype("<i2").tobytes()

    assert rms_dbfs(pcm) == pytest.approx(dbfs, abs=0.02)


def test_silence_and_nothing_have_a_level_too():
    assert rms_dbfs(SILENCE) == SILENCE_DBFS
    assert rms_dbfs(b"") == SILENCE_DBFS


def test_a_millisecond_is_as_many_bytes_as_its_rate_says():
    assert (bytes_per_ms(8000), bytes_per_ms(WIDE_RATE_HZ), bytes_per_ms(24000)) == (16, 32, 48)
