from dataclasses import replace

import pytest

from bridge.control_retries import (
    DISABLE_S,
    DISABLE_TRIES,
    GIVE_UP_S,
    STEPS_S,
    Outcome,
    after,
    fared,
    health,
    pause,
    settled,
)
from bridge.store.eventstore import Position
from bridge.store.webhookstore import Delivery, Endpoint

DELIVERY = Delivery(1, "crm", "c", 7, "call.ended", "c1", "pending", 0, 0.0, 1000.0, 1000.0)
ENDPOINT = Endpoint("crm", "k", Position())
BAD, GOOD = Outcome(500, "the webhook answered 500"), Outcome(200)


@pytest.mark.parametrize(("tries", "step"), [(0, 5.0), (1, 5.0), (2, 15.0), (7, 7200.0), (99, 7200.0)])
def test_waits_grow_and_are_spread(tries, step):
    assert after(tries, 0.5) == pytest.approx(step)
    assert after(tries, 0.0) == pytest.approx(step * 0.8)
    assert after(tries, 1.0) == pytest.approx(step * 1.2)


def test_an_endpoint_that_fails_is_left_alone_for_longer_and_longer():
    assert [round(pause(failures, 0.5)) for failures in (0, 1, 2, 3, 6, 500)] == [0, 2, 4, 8, 60, 60]


def test_what_was_taken_is_delivered():
    one, _ = settled(DELIVERY, GOOD, 1001.0, 0.5)
    assert (one.state, one.tries, one.status, one.error) == ("delivered", 1, 200, "")


def test_what_was_not_is_tried_again_for_a_day_and_then_parked():
    now, delivery = 1000.0, DELIVERY
    while delivery.state == "pending":
        delivery, wait_s = settled(delivery, BAD, now, 0.5)
        now += wait_s
    assert delivery.state == "parked"
    assert GIVE_UP_S - STEPS_S[-1] <= now - 1000.0 - wait_s <= GIVE_UP_S
    assert 10 < delivery.tries < 30
    assert delivery.error == "the webhook answered 500"


def test_the_receiver_may_ask_for_more_time():
    _, wait_s = settled(DELIVERY, Outcome(429, "no", 120.0), 1001.0, 0.5)
    assert wait_s == 120.0


def test_an_endpoint_is_disabled_after_long_failure_and_not_before():
    one = fared(ENDPOINT, BAD, 1000.0)
    assert (health(one), one.failing_since, one.failures) == ("failing", 1000.0, 1)
    one = fared(one, BAD, 1000.0 + DISABLE_S - 1)
    assert health(one) == "failing"
    few, many = (replace(one, failures=DISABLE_TRIES - left) for left in (2, 1))
    assert health(fared(few, BAD, 1000.0 + DISABLE_S)) == "failing", (
        "the clock was set, or the bridge was off"
    )
    assert health(fared(many, BAD, 1000.0 + DISABLE_S)) == "disabled"
    well = fared(one, GOOD, 2000.0)
    assert (health(well), well.failures, well.error, well.delivered_at) == ("well", 0, "", 2000.0)


def test_gone_means_gone():
    assert health(fared(ENDPOINT, Outcome(410, "gone"), 1000.0)) == "disabled"


def test_a_test_of_a_disabled_endpoint_that_works_does_not_enable_it():
    off = replace(ENDPOINT, disabled_at=5.0, failing_since=1.0)
    assert health(fared(off, GOOD, 9.0)) == "disabled"
