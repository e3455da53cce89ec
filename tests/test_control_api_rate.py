import pytest

from bridge.control_api_rate import Buckets


def test_a_token_may_ask_so_much_at_once_and_then_so_many_a_second():
    buckets = Buckets(per_s=2, burst=3)
    assert [buckets.take("a", 100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert buckets.take("a", 100.0) == pytest.approx(0.5)
    assert buckets.take("a", 100.25) == pytest.approx(0.25)
    assert buckets.take("a", 100.5) == 0.0
    assert buckets.take("a", 100.5) > 0


def test_one_token_does_not_spend_anothers():
    buckets = Buckets(per_s=1, burst=1)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.0) > 0


def test_what_is_kept_is_bounded_and_a_clock_that_stands_still_gives_nothing():
    buckets = Buckets(per_s=1, burst=2, most=2)
    for name in "abc":
        buckets.take(name, 0.0)
    assert len(buckets._left) == 2
    assert buckets.take("c", -5.0) == 0.0
    assert buckets.take("c", -5.0) > 0
