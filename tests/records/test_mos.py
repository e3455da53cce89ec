import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.records.mos import estimate, loss_percent, mos


def test_a_clean_call_is_as_good_as_g711_gets():
    """R 93.2 is MOS 4.41 (G.107 Annex B)."""
    assert mos(93.2) == pytest.approx(4.41, abs=0.005)
    assert estimate(loss_pct=0, jitter_ms=0, rtt_ms=0) == pytest.approx(4.40, abs=0.01)


@pytest.mark.parametrize(
    ("rating", "expected"), [(-5, 1.0), (0, 1.0), (50, 2.58), (80, 4.02), (100, 4.5), (120, 4.5)]
)
def test_mos_follows_annex_b(rating, expected):
    assert mos(rating) == pytest.approx(expected, abs=0.01)


def test_delay_above_177_ms_costs_more_per_millisecond():
    def cost(from_ms, to_ms):
        return estimate(loss_pct=0, jitter_ms=0, rtt_ms=from_ms) - estimate(
            loss_pct=0, jitter_ms=0, rtt_ms=to_ms
        )

    assert cost(500, 700) > 3 * cost(100, 300)


@given(st.floats(0, 100), st.floats(0, 500), st.floats(0, 2000))
def test_worse_networks_never_sound_better(loss, jitter, rtt):
    here = estimate(loss_pct=loss, jitter_ms=jitter, rtt_ms=rtt)
    assert 1.0 <= here <= 4.5
    assert estimate(loss_pct=min(loss + 5, 100), jitter_ms=jitter + 5, rtt_ms=rtt + 5) <= here


@pytest.mark.parametrize(
    ("received", "lost", "percent"), [(0, 0, 0), (95, 5, 5.0), (0, 4, 100.0), (100, -2, 0.0)]
)
def test_loss_is_the_share_of_the_expected(received, lost, percent):
    assert loss_percent(received, lost) == percent
