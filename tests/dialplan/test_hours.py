from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.hours import Hours
from bridge.dialplan.load import load
from bridge.dialplan.plan import CallFacts, Plan
from bridge.errors import DialplanError

WEEK = {"mon": ((540, 720), (780, 1080)), "sat": ((540, 840),), "sun": ((0, 1440),)}
OFFICE = Hours("office", "Europe/Berlin", WEEK, ("2026-12-28",))


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("instant", "is_open"),
    [
        ("2026-11-23T09:00+01:00", True),
        ("2026-11-23T08:59:59+01:00", False),
        ("2026-11-23T11:59:59+01:00", True),
        ("2026-11-23T12:00+01:00", False),
        ("2026-11-23T17:59+01:00", True),
        ("2026-11-23T18:00+01:00", False),
        ("2026-11-24T10:00+01:00", False),
        ("2026-11-23T08:30+00:00", True),
        ("2026-11-23T03:30-05:00", True),
        ("2026-07-06T07:30+00:00", True),
        ("2026-12-28T10:00+01:00", False),
        ("2026-11-29T00:00+01:00", True),
        ("2026-11-29T23:59+01:00", True),
    ],
)
def test_it_is_open_within_its_windows_by_its_own_clock_but_for_holidays(instant, is_open):
    assert OFFICE.open_at(at(instant)) is is_open


def test_it_opens_next_after_closed_days():
    assert OFFICE.next_open(at("2026-11-23T12:30+01:00")) == at("2026-11-23T13:00+01:00")
    assert OFFICE.next_open(at("2026-12-27T12:00+01:00")) == at("2027-01-02T09:00+01:00")
    assert Hours("never", "Europe/Berlin", {}).next_open(at("2026-11-23T12:30+01:00")) is None


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC)))  # noqa: DTZ001
def test_when_it_opens_it_is_open_and_a_minute_before_it_was_not_or_had_been(instant):
    opens = OFFICE.next_open(instant)
    assert opens > instant
    assert OFFICE.open_at(opens)


PLAN = """
version: 1
agents: {a: {instructions: x, greeting: hi}}
hours:
  office: {timezone: Europe/Berlin, week: {mon: ["09:00-18:00"]}, holidays: ["2026-12-28"]}
  night: {timezone: Europe/Berlin, week: {mon: ["22:00-24:00"], tue: ["00:00-06:00"]}}
routes:
- {name: day, when: {hours: office}, do: [{agent: a, or_else: [{hang_up: {}}]}]}
- {name: night, when: {hours: [night], to: "100"}, do: [{say: Good night.}, {hang_up: {}}]}
- {name: closed, when: {outside: [office, night]}, do: [{say: We are closed.}, {hang_up: {}}]}
- {name: rest, do: [{reject: {status: 480}}]}
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    return load(tmp_path / "plan.yaml")


@pytest.mark.parametrize(
    ("instant", "to", "route"),
    [
        ("2026-11-23T10:00+01:00", "100", "day"),
        ("2026-11-23T23:00+01:00", "100", "night"),
        ("2026-11-24T05:59+01:00", "100", "night"),
        ("2026-11-23T23:00+01:00", "200", "rest"),
        ("2026-11-23T20:00+01:00", "100", "closed"),
        ("2026-12-28T10:00+01:00", "100", "closed"),
    ],
)
def test_a_call_is_routed_by_the_time_it_came(plan, instant, to, route):
    facts = CallFacts(to, open_hours=plan.open_at(at(instant)))
    assert plan.route(facts).name == route
    sent = Plan.from_json(plan.to_json())
    assert sent == plan
    assert sent.route(CallFacts(to, open_hours=sent.open_at(at(instant)))).name == route


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("09:00-18:00", "18:00-09:00", "ends before it begins (over midnight: 22:00-24:00"),
        ("09:00-18:00", "9-18", "hours.office.week.mon[0]"),
        ("09:00-18:00", "09:00-25:00", "hours.office.week.mon[0]"),
        ('["09:00-18:00"]', '["09:00-12:00", "11:00-18:00"]', "09:00-12:00 and 11:00-18:00 overlap"),
        ('{mon: ["09:00-18:00"]}', "{mon: []}", "it is never open"),
        ("mon: [", "monday: [", "did you mean mon?"),
        ("timezone: Europe/Berlin", "timezone: Europe/Berln", "did you mean Europe/Berlin?"),
        ("2026-12-28", "2026-02-30", "there is no 2026-02-30"),
        ("hours: office", "hours: ofice", "there are no opening hours ofice (did you mean office?)"),
        ("outside: [office, night]", "outside: []", "at least 1"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, old, new, words):
    text = PLAN.replace(old.replace('\\"', '"'), new.replace('\\"', '"'), 1)
    assert text != PLAN
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(DialplanError) as caught:
        load(tmp_path / "plan.yaml")
    assert words in str(caught.value)
    assert "plan.yaml:" in str(caught.value)


def test_the_same_hours_in_two_files_are_a_mistake(tmp_path):
    (tmp_path / "a.yaml").write_text(PLAN)
    (tmp_path / "b.yaml").write_text(
        "version: 1\nhours: {office: {timezone: UTC, week: {mon: ['09:00-10:00']}}}\n"
        "transfers: {sales: 'sip:1@pbx'}\n".replace("\\\n", "\n")
    )
    (tmp_path / "c.yaml").write_text("version: 1\ntransfers: {sales: 'sip:2@pbx'}\n".replace("\\\n", "\n"))
    with pytest.raises(DialplanError) as caught:
        load(tmp_path)
    assert "these hours are also in" in str(caught.value)
    assert "this target is also in" in str(caught.value)
