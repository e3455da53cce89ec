from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.agent import Agent
from bridge.dialplan.book import Book
from bridge.dialplan.facts import CallFacts, Condition
from bridge.dialplan.hours import DAYS, Hours
from bridge.dialplan.plan import Plan, Route
from bridge.dialplan.rehearse import NOWHERE, rehearsal
from bridge.dialplan.steps import HangUpStep

END = HangUpStep(None, "")

OFFICE = Hours("office", "Europe/Berlin", dict.fromkeys(DAYS[:5], ((540, 1080),)), ("2026-12-25",))
NIGHT = Hours("night", "America/New_York", dict.fromkeys(DAYS, ((0, 360), (1200, 1440))))
PLAN = Plan(
    (),
    (Agent("a", "x", provider="main", model="big"),),
    {"desk": "sip:desk@pbx.example.com"},
    (OFFICE, NIGHT),
)
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001


@given(INSTANTS, INSTANTS)
def test_the_hours_are_those_of_one_instant_whenever_it_is_played(at, played):
    assert rehearsal(PLAN, at).open_at(played) == PLAN.open_at(at)


@given(INSTANTS)
def test_without_an_instant_the_hours_are_the_real_ones(played):
    assert rehearsal(PLAN, None).open_at(played + timedelta(0)) == PLAN.open_at(played)


def test_the_call_comes_over_the_trunk_that_is_named():
    routes = (Route("carrier", (Condition("trunk", ("carrier",)),), (END,)), Route("last", (), (END,)))
    plan = replace(PLAN, routes=routes)
    assert rehearsal(plan, None, "carrier").route(CallFacts("1")).name == "carrier"
    assert [one.name for one in rehearsal(plan, None, "pbx").routes] == ["last"]
    assert rehearsal(plan, None).route(CallFacts("1")).name == "last"


def test_nobody_outside_is_called_and_no_provider_is_asked():
    played = rehearsal(PLAN, None)
    assert played.transfers == {"desk": f"sip:desk@{NOWHERE}"}
    assert (played.agent("a").provider, played.agent("a").model) == (None, None)
    assert Plan.from_json(played.to_json()) == played


CLOCK = st.sampled_from(
    [
        Condition("hours", ("office",)),
        Condition("outside", ("office", "night")),
        Condition("dates", ("2026-12-24", "2026-06-01..2026-09-01")),
        Condition("to", ("1",)),
        Condition("from", ("2",)),
    ]
)
NESTED = st.recursive(
    st.lists(CLOCK, min_size=1, max_size=3, unique_by=lambda one: one.field).map(tuple),
    lambda inner: inner.map(lambda conditions: (Condition("not", (), inner=conditions),)),
    max_leaves=3,
)


@given(st.lists(NESTED, max_size=4), INSTANTS, INSTANTS, st.sampled_from("12"), st.sampled_from("12"))
def test_a_call_is_routed_as_it_would_be_then(asked, at, played, to, from_):
    routes = tuple(Route(f"r{number}", conditions, (END,)) for number, conditions in enumerate(asked))
    plan = replace(PLAN, routes=(*routes, Route("last", (), (END,))), book=Book(timezone="Europe/Berlin"))
    stopped = rehearsal(plan, at)
    then = plan.complete(CallFacts(to, from_), at)
    assert stopped.route(stopped.complete(CallFacts(to, from_), played)).name == plan.route(then).name
