"""Midnight, also on the days on which the clocks are changed."""

import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bridge.localday import midnight

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = [(0, 0), (1, 59), (3, 1), (12, 0), (23, 59)]


@pytest.fixture
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("day", ["2026-11-29", "2027-03-28", "2027-10-31", "2028-02-29"])
@pytest.mark.parametrize(("hour", "minute"), MOMENTS)
def test_a_day_begins_at_midnight_whenever_it_is_asked(in_berlin, day, hour, minute):
    began = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    assert midnight(began.replace(hour=hour, minute=minute).timestamp()) == began.timestamp()


def test_the_moment_before_is_still_the_day_before(in_berlin):
    began = datetime(2027, 3, 28, tzinfo=BERLIN)
    assert midnight(began.timestamp() - 0.001) == (began - timedelta(days=1)).timestamp()
