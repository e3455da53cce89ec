"""What a plan makes of a call: its numbers in one form, names, lists, day, part of the day; and what conditions do."""

import time
from datetime import datetime

import pytest

from bridge.dialplan import load as loading
from bridge.dialplan.book import Book, DayParts
from bridge.dialplan.explain import explain
from bridge.dialplan.facts import share
from bridge.dialplan.plan import CallFacts, Condition, Plan

PLAN = """\
version: 1
country: DE
timezone: Europe/Berlin
numbers: {"030 1234567": front-office, "+49301234568": {name: sales, description: Sales in Berlin}}
lists: {vip: ["0170 1234567", "+4989*"], spam: ["+4917*"]}
day_parts: {morning: "06:00-12:00", night: "22:00-06:00"}
holidays: {de: ["12-25", easter+1]}
hours:
  office:
    timezone: Europe/Berlin
    week: {mon: ["09:00-18:00"], fri: ["09:00-18:00"]}
    holidays: [de, "2026-11-20"]
    special: {"2026-12-24": ["09:00-12:00"], "2026-12-28": []}
routes:
- {name: few, when: {number: front-office, from: "@vip", capacity: {max_calls: 2}}, do: [{hang_up: {}}]}
- {name: canary, when: {to: "030 1234567", percent: 10}, do: [{hang_up: {}}]}
- {name: mixed, when: {to: "+49301234568", from: ["@vip", "100"]}, do: [{hang_up: {}}]}
- {name: trunk, when: {trunk: [carrier, pbx]}, do: [{hang_up: {}}]}
- {name: xmas, when: {dates: ["12-24..12-26"]}, do: [{hang_up: {}}]}
- {name: night, when: {day_part: [night]}, do: [{hang_up: {}}]}
- {name: strangers, when: {not: {from: "@vip", hours: office}, to: "0049 89*"}, do: [{hang_up: {}}]}
- {name: rest, do: [{hang_up: {}}]}
trunks: {carrier: {addresses: 198.51.100.1}, pbx: {addresses: 198.51.100.2}}
"""
NOON = "2026-11-23T12:30+01:00"


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "p.yaml"
    path.write_text(PLAN)
    return loading.load(path)


def facts_of(plan, to="1", from_="", at=NOON, **more):
    return plan.complete(CallFacts(to, from_, **more), datetime.fromisoformat(at))


def routed(plan, *args, **more):
    return plan.route(facts_of(plan, *args, **more)).name


def test_a_number_is_kept_as_it_came_and_in_one_form(plan):
    facts = facts_of(plan, "0049301234567", "01701234567")
    assert (facts.to_number, facts.to_raw) == ("+49301234567", "0049301234567")
    assert (facts.from_number, facts.from_raw) == ("+491701234567", "01701234567")
    assert (facts.number, facts.from_lists) == ("front-office", {"vip", "spam"})
    assert (facts.day, facts.day_part) == ("2026-11-23", "")


def test_a_plan_with_a_book_crosses_the_link_as_it_was(plan):
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("to", ["+49301234567", "0301234567", "tel:+49-30-1234567"])
def test_a_called_number_is_matched_by_its_name_in_every_form(plan, to):
    assert routed(plan, to, "+498912345") == "few"


def test_room_is_for_so_many_calls_and_no_more(plan):
    assert routed(plan, "0301234567", "+498912345", live={"few": 1, "rest": 9}) == "few"
    assert routed(plan, "0301234567", "+498912345", live={"few": 2}) != "few"


def test_a_caller_is_always_on_the_same_side_of_a_share(plan):
    callers = [f"+4930{number:07d}" for number in range(2000)]
    inside = {caller for caller in callers if routed(plan, "0301234567", caller) == "canary"}
    assert 120 < len(inside) < 280
    assert inside == {caller for caller in callers if share("canary", caller) < 1000}


def test_another_route_has_other_callers_in_its_share():
    callers = [f"+4930{number}" for number in range(1000)]
    assert [share("a", one) < 5000 for one in callers] != [share("b", one) < 5000 for one in callers]


def test_a_list_may_stand_among_patterns(plan):
    assert routed(plan, "0301234568", "01701234567") == "mixed"
    assert routed(plan, "0301234568", "100") == "mixed"
    assert routed(plan, "0301234568", "101") == "rest"


@pytest.mark.parametrize(
    ("at", "route"),
    [
        ("2026-12-24T23:30+00:00", "xmas"),
        ("2026-12-26T22:59+00:00", "xmas"),
        ("2026-12-26T23:01+00:00", "night"),
        ("2026-12-23T12:00+00:00", "rest"),
        ("2026-12-23T22:00+01:00", "night"),
        ("2026-12-23T05:59+01:00", "night"),
        ("2026-12-23T06:00+01:00", "rest"),
    ],
)
def test_days_and_parts_of_the_day_are_those_of_the_plans_time_zone(plan, at, route):
    assert routed(plan, at=at) == route


def test_a_trunk_is_matched_by_its_name(plan):
    assert routed(plan, trunk="pbx") == "trunk"
    assert routed(plan, trunk="other") == "rest"


def test_not_means_that_the_conditions_do_not_all_fit(plan):
    assert routed(plan, "08912345", "+4940123456") == "strangers"
    assert routed(plan, "08912345", "+498912345", at=NOON) == "rest"
    assert routed(plan, "08912345", "+498912345", at="2026-11-22T12:30+01:00") == "strangers"


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-20T10:00+01:00", False),
        ("2026-11-27T10:00+01:00", True),
        ("2026-12-25T10:00+01:00", False),
        ("2026-04-06T10:00+02:00", False),
        ("2026-12-24T10:00+01:00", True),
        ("2026-12-24T12:00+01:00", False),
        ("2026-12-28T10:00+01:00", False),
    ],
)
def test_special_days_go_before_calendars_and_those_before_the_week(plan, at, is_open):
    assert bool(plan.open_at(datetime.fromisoformat(at))) is is_open


def test_it_is_said_why_a_route_does_not_fit(plan):
    facts = facts_of(plan, "0049301234567", "01701234567", live={"few": 2})
    told = [str(verdict).partition(": ")[2] for verdict in explain(plan, facts)]
    assert told[0] == "2 on it now, room for 2"
    assert told[1].startswith("this caller falls on ")
    assert told[2] == 'to is "+49301234567" (sent as "0049301234567"), needed +49301234568'
    assert told[3] == "trunk is missing, needed carrier or pbx"
    assert told[4] == "it is mon 2026-11-23, needed 12-24..12-26"
    assert told[5] == "it is no part of the day, needed night"
    assert told[-1] == "fits"


def test_it_is_said_what_a_route_asks_for_that_fits(plan):
    last = list(explain(plan, facts_of(plan, "0301234567", "+498912345")))[-1]
    assert str(last).endswith(": fits (from on the list vip; called number front-office; room for 2)")
    last = list(explain(plan, facts_of(plan, "08912345", "+4940123456")))[-1]
    assert str(last).endswith(": fits (to +4989*; not (from on the list vip; hours office))")


def test_ten_thousand_numbers_on_a_list_are_looked_up_at_once():
    numbers = tuple(f"+49301{number:06d}" for number in range(10_000))
    plan = Plan((), (), book=Book(lists={"vip": numbers, "south": ("+4989*",)}))
    before = time.process_time()
    for number in numbers[:1000]:
        assert plan.book.lists_of(number) == {"vip"}
    assert time.process_time() - before < 0.1
    assert plan.book.lists_of("+4989123") == {"south"}


def test_a_part_of_the_day_may_go_over_midnight():
    parts = DayParts("Europe/Berlin", {"evening": (1080, 1320), "night": (1320, 360)})
    assert [
        parts.at(datetime.fromisoformat(f"2026-11-23T{time_}+01:00")) for time_ in ("21:59", "22:00", "05:59")
    ] == [
        "evening",
        "night",
        "night",
    ]
    assert parts.at(datetime.fromisoformat("2026-11-23T12:00+01:00")) == ""


def test_a_share_of_everything_is_everybody():
    assert Condition("percent", ("100",), of="r").fits(CallFacts("1", "2"))
    assert not Condition("percent", ("0.01",), of="r").fits(CallFacts("1", "2"))


def test_unused_names_and_patterns_that_never_fit_are_warned_of(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        'version: 1\ncountry: DE\nnumbers: {"0301234": a}\nlists: {b: ["1"]}\nholidays: {c: ["12-25"]}\n'
        'routes:\n- {name: r, when: {to: "/^0049/"}, do: [{hang_up: {}}]}\n- {name: z, do: [{hang_up: {}}]}\n'
    )
    told = [(one.key, one.message) for one in loading.inspect(path).warnings]
    assert [key for key, _ in told] == ["routes[0].when.to", "numbers.0301234", "lists.b", "holidays.c"]
    assert "none begins with 0" in told[0][1]
