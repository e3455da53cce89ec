"""Levels that people look at: silence is nothing, full scale is all there is, what is louder shows more."""

import numpy as np
import pytest

from bridge.media.meter import MAX_FRAMES, Meter, level


def tone(peak):
    return (peak * np.sin(np.arange(160) * 0.3)).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("pcm", "least", "most"),
    [
        (b"", 0, 0),
        (bytes(320), 0, 0),
        (tone(20), 0, 0),
        (tone(1000), 30, 50),
        (tone(10_000), 70, 90),
        (tone(32_767), 92, 100),
    ],
)
def test_a_level_grows_with_decibels(pcm, least, most):
    assert least <= level(pcm) <= most


def test_each_look_measures_what_came_since_the_one_before():
    meter = Meter()
    meter.caller.append(tone(10_000))
    assert meter.levels()["caller"] > 50
    assert meter.levels() == {"caller": 0, "agent": 0}


def test_frames_that_nobody_looks_at_are_dropped():
    meter = Meter()
    meter.agent.extend([tone(1000)] * (3 * MAX_FRAMES))
    assert len(meter.agent) == MAX_FRAMES
