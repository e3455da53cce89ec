"""The compiled plan: routing, identity, and the way over the link."""

import json
from collections.abc import Mapping

import pytest

from bridge.dialplan.plan import (
    Agent,
    AgentStep,
    CallFacts,
    Condition,
    HangUpStep,
    Plan,
    PlayStep,
    RejectStep,
    Route,
    SayStep,
)
from bridge.errors import DialplanError, LinkError

SAY = SayStep("Sorry", "en", "ab")
END = HangUpStep(503, "x")


def route(name, *conditions, steps=(END,), **more):
    return Route(name, conditions, steps, **more)


PLAN = Plan(
    routes=(
        route("vip", Condition("to", ("100",)), Condition("header:x-class", ("gold", "silver"))),
        route("desk", Condition("to", ("1*",)), steps=(AgentStep("a", (SAY, AgentStep("b", (SAY, END)))),)),
        route("rest", Condition("from", ("/^00/",)), steps=(RejectStep(603, "Decline"),)),
    ),
    agents=(
        Agent("a", "hi", turn_detection={"type": "server_vad"}, max_output_tokens="inf"),
        Agent("b", "ho"),
    ),
)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (CallFacts("100", headers={"x-class": "Silver"}), "vip"),
        (CallFacts("100", headers={"x-class": "tin"}), "desk"),
        (CallFacts("100"), "desk"),
        (CallFacts("2", "0049"), "rest"),
        (CallFacts("2", "0049", headers={"x-class": "gold"}), "rest"),
    ],
)
def test_the_first_fitting_route_wins(facts, name):
    assert PLAN.route(facts).name == name


def test_a_candidate_that_does_not_fit_is_passed_over():
    plan = Plan((route("odd", Condition("to", ("/5$/",))), route("any")), ())
    assert plan.route(CallFacts("4")).name == "any"


def test_no_route_is_not_found():
    with pytest.raises(DialplanError, match="no route") as caught:
        PLAN.route(CallFacts("2"))
    assert caught.value.sip_status == 404


def test_a_missing_header_fits_no_pattern():
    assert not Condition("header:x-a", ("*",)).fits(CallFacts("1"))
    assert Condition("header:x-a", ("*",)).fits(CallFacts("1", headers={"x-a": ""}))


def test_a_route_names_the_condition_that_fails():
    vip = PLAN.routes[0]
    assert vip.misfit(CallFacts("100")) == vip.conditions[1]
    assert vip.misfit(CallFacts("100", headers={"x-class": "gold"})) is None


def test_agents_are_found_by_name():
    assert PLAN.agent("b").instructions == "ho"


def test_steps_include_the_fallbacks_in_file_order():
    kinds = [step.TAG for step in PLAN.steps()]
    assert kinds == ["hang_up", "agent", "say", "agent", "say", "hang_up", "reject"]


def test_it_comes_back_as_it_was_sent():
    again = Plan.from_json(PLAN.to_json())
    assert (again, again.version) == (PLAN, PLAN.version)
    assert isinstance(again.agent("a").turn_detection, Mapping)


def test_the_version_is_the_content_and_not_its_place():
    moved = Plan((route("r", steps=(PlayStep("/a", "1"),), file="x", line=3),), ())
    same = Plan((route("r", steps=(PlayStep("/b", "1"),), file="y", line=4),), ())
    other = Plan((route("r", steps=(PlayStep("/b", "2"),), file="y", line=4),), ())
    assert moved.version == same.version != other.version
    assert len(moved.version) == 12


def test_changed_content_is_refused():
    data = json.loads(PLAN.to_json())
    data["routes"][0]["name"] = "other"
    with pytest.raises(LinkError, match="was sent as"):
        Plan.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1, "routes": [], "agents": []}'])
def test_text_that_is_no_plan_is_refused(text):
    with pytest.raises(LinkError):
        Plan.from_json(text)


def test_five_thousand_routes_are_looked_up_by_index():
    """Not by trying each: only the routes whose literals fit are candidates."""
    many = Plan(tuple(route(f"r{i}", Condition("to", (f"+49{i:05d}",))) for i in range(5000)), ())
    found = many.route(CallFacts("+4904999"))
    assert found.name == "r4999"
    assert list(many._index.candidates(CallFacts("+4904999").value)) == [4999]
