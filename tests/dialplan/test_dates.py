"""Days as people name them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.dates import days, easter_sunday, mistake


@pytest.mark.parametrize(
    ("year", "month", "day"), [(2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2027, 3, 28), (2038, 4, 25)]
)
def test_easter_is_when_the_church_has_it(year, month, day):
    assert easter_sunday(year) == date(year, month, day)


@pytest.mark.parametrize(
    ("pattern", "day", "within"),
    [
        ("2026-12-24", "2026-12-24", True),
        ("2026-12-24", "2027-12-24", False),
        ("12-24", "2027-12-24", True),
        ("12-24", "2027-12-25", False),
        ("2026-12-27..2026-12-31", "2026-12-27", True),
        ("2026-12-27..2026-12-31", "2026-12-31", True),
        ("2026-12-27..2026-12-31", "2027-01-01", False),
        ("12-24..01-06", "2027-01-06", True),
        ("12-24..01-06", "2026-12-24", True),
        ("12-24..01-06", "2026-12-23", False),
        ("06-01..08-31", "2026-07-15", True),
        ("06-01..08-31", "2026-09-01", False),
        ("easter", "2026-04-05", True),
        ("easter+1", "2026-04-06", True),
        ("easter-2", "2026-04-03", True),
        ("easter+1", "2026-04-07", False),
        ("02-29", "2028-02-29", True),
    ],
)
def test_a_day_is_in_a_pattern_or_not(pattern, day, within):
    assert mistake(pattern) == ""
    assert (date.fromisoformat(day) in days((pattern,))) is within


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24.12.2026",
        "2026-02-30",
        "13-01",
        "2026-12-31..2026-12-24",
        "easter+",
        "2026-12-24..12-31",
        "xmas",
    ],
)
def test_what_is_no_day_is_told(text):
    assert " | " in mistake(text)


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)), st.integers(0, 400))
def test_a_range_holds_its_days_and_no_other(first, length):
    last = first + timedelta(days=length)
    found = days((f"{first}..{last}",))
    assert first in found
    assert last in found
    assert first - timedelta(days=1) not in found
    assert last + timedelta(days=1) not in found
