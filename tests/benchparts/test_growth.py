"""Growth and noise, made by hand: a leak must be found, and noise must not be one."""

import numpy as np
import pytest

from tests.bench.growth import grows, joined, minutes, slope


def series(hours, per_h, noise, seed, alike=0.0):
    """A sample every 10 s; `alike`: how much one sample keeps of the one before."""
    rng = np.random.default_rng(seed)
    drift, samples = 0.0, []
    for at in range(0, round(hours * 3600), 10):
        drift = alike * drift + rng.normal(0, noise)
        samples.append((float(at), 100 + per_h * at / 3600 + drift))
    return samples


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_a_leak_of_two_megabytes_an_hour_is_found_in_half_an_hour(seed, alike):
    found = slope(minutes(series(0.5, 2.0, 0.05, seed, alike)))
    assert found.per_h == pytest.approx(2.0, abs=0.5)
    assert grows(found, 1.0)


def test_noise_is_rarely_taken_for_growth():
    """Whose samples are alike, too."""
    found = [slope(minutes(series(0.5, 0.0, 1.0, seed, 0.9))) for seed in range(60)]
    assert sum(grows(one, 0.0) for one in found) <= 3
    assert not any(grows(one, 10.0) for one in found)


def test_a_process_that_settles_is_not_growing():
    """It took its memory in the first minutes; what is judged begins after them."""
    samples = [(float(at), 100 - 20 * np.exp(-at / 120)) for at in range(600, 2400, 10)]
    assert not grows(slope(minutes(samples)), 1.0)


def test_pieces_together_are_surer_than_each():
    pieces = [slope(minutes(series(0.3, 1.0, 0.3, seed))) for seed in range(6)]
    together = joined(pieces, 0.1)
    assert together.error < min(one.error for one in pieces) + 0.1
    assert together.per_h == pytest.approx(1.0, abs=0.5)
    assert joined([], 0.1) is None


def test_few_points_say_nothing():
    assert slope([(0.0, 1.0), (60.0, 2.0)]) is None


def test_a_minute_is_its_median():
    assert minutes([(0, 1.0), (10, 2.0), (50, 90.0), (61, 5.0)]) == [(30.0, 2.0), (90.0, 5.0)]
