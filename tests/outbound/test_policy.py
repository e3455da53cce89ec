from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bridge.dialplan.hours import Hours
from bridge.dialplan.outbound import Outbound
from bridge.outbound.number import Number
from bridge.outbound.policy import Counts, Rules, never, not_now, refusal

OUT = Outbound(
    ("+49", "+1"), "sip:{number}@trunk", "+4930", (), kinds=("fixed_line",), per_day=10, per_number_per_day=2,
    per_minute=5, concurrent=3,
)  # fmt: skip
NUMBER = Number("+493012345678", "fixed_line", ("Europe/Berlin",))
WEEK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ((9 * 60, 17 * 60),))
OFFICE = Hours("office", "Europe/Berlin", WEEK)
FRIDAY_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def rules(dnc=frozenset(), **changes):
    return Rules(replace(OUT, **changes), (OFFICE,), dnc)


def why(number=NUMBER, counts=Counts(), at=FRIDAY_NOON, dnc=frozenset(), **changes):  # noqa: B008
    found = refusal(number, rules(dnc, **changes), counts, at)
    return (found.reason, found.until, found.all) if found else None


def test_a_number_that_breaks_no_rule_may_be_dialled():
    assert why() is None


def test_without_rules_nothing_may():
    assert refusal(NUMBER, None, Counts(), FRIDAY_NOON).until == "never"
    assert not_now(NUMBER, None, Counts(), FRIDAY_NOON) is not None


@pytest.mark.parametrize("kind", ["premium_rate", "unknown", "mobile", "invalid"])
def test_a_kind_that_is_not_named_is_refused(kind):
    assert why(replace(NUMBER, kind=kind))[1] == "never"


def test_who_is_on_the_list_is_not_called():
    assert why(dnc={NUMBER.e164}) == (f"{NUMBER.e164} is on the do-not-call list", "never", False)


def test_a_list_that_cannot_be_trusted_holds_every_call():
    assert why(dnc=None)[1:] == ("later", True)


@pytest.mark.parametrize(
    ("counts", "words", "until", "everybody"),
    [
        (Counts(day=10), "a day", "later", True),
        (Counts(number=2), "one number", "later", False),
        (Counts(minute=5), "a minute", "soon", True),
        (Counts(running=3), "at a time", "soon", True),
    ],
)
def test_a_full_cap_means_not_now(counts, words, until, everybody):
    reason, *rest = why(counts=counts)
    assert words in reason
    assert rest == [until, everybody]


def test_one_below_every_cap_is_fine():
    assert why(counts=Counts(9, 1, 4, 2)) is None


def test_outside_of_the_hours_everybody_waits():
    night = FRIDAY_NOON.replace(hour=20)
    assert why(hours="office") is None
    assert why(hours="office", at=night) == ("outside of the hours office", "later", True)


def test_the_callee_s_clock_counts_when_the_plan_says_so():
    boston = Number("+16175550123", "fixed_line", ("America/New_York",))
    morning = FRIDAY_NOON.replace(hour=9)  # 10:00 in Berlin, 04:00 in Boston
    assert why(hours="office", hours_of="callee", at=morning) is None
    assert "America/New_York" in why(boston, hours="office", hours_of="callee", at=morning)[0]


def test_a_number_that_may_be_in_many_zones_needs_a_decent_hour_in_all_of_them():
    somewhere = Number("+18005550123", "fixed_line", ("America/New_York", "Pacific/Honolulu"))
    at = FRIDAY_NOON.replace(hour=15)  # 10:00 in New York, 05:00 in Honolulu
    assert "Honolulu" in why(somewhere, hours="office", hours_of="callee", at=at)[0]


def test_nobody_is_called_at_an_unknown_hour_or_by_hours_that_are_not_there():
    nowhere = replace(NUMBER, zones=())
    assert "what time" in why(nowhere, hours="office", hours_of="callee")[0]
    assert "no opening hours" in why(hours="night")[0]


def test_lasting_reasons_come_before_those_of_the_moment():
    assert never(NUMBER, rules()) is None
    assert why(counts=Counts(day=99), dnc={NUMBER.e164})[1] == "never"
