"""Two plans compared. The dataclasses say what there is to compare, so new fields must show up by themselves."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.agent import Agent
from bridge.dialplan.diff import asks_for_headers, compare, rerouted
from bridge.dialplan.facts import CallFacts, Condition
from bridge.dialplan.hours import Hours
from bridge.dialplan.plan import Plan, Route
from bridge.dialplan.steps import AgentStep, HangUpStep, PlayStep, RejectStep, SayStep

END = HangUpStep(None, "")
A = Route("a", (Condition("to", ("1",)),), (SayStep("Hello.", "en", "p1"), END), "p.yaml", 3)
B = Route("b", (Condition("to", ("2",)),), (RejectStep(486, "Busy Here"),))
C = Route("c", (), (AgentStep("desk", (END,)),))
DESK = Agent("desk", "Be brief.\nBe friendly, and never promise what nobody has said you may.", voice="marin")
PLAN = Plan((A, B, C), (DESK,))


def told(old, new):
    return [(one.sign, one.what, *one.lines) for one in compare(old, new)]


def test_a_plan_is_no_different_from_itself_wherever_it_is_written():
    moved = replace(PLAN, routes=(replace(A, file="q.yaml", line=9), B, C))
    assert told(PLAN, PLAN) == told(PLAN, moved) == []


def test_routes_that_come_and_go_are_told_whole():
    assert told(replace(PLAN, routes=(A, C)), PLAN) == [
        ("+", "route b, after a", "when to 2", "- reject: 486, Busy Here")
    ]
    assert told(PLAN, replace(PLAN, routes=(A, C))) == [
        ("-", "route b", "when to 2", "- reject: 486, Busy Here")
    ]


def test_a_changed_route_is_told_word_for_word():
    new = replace(A, conditions=(Condition("to", ("1", "3")),), steps=(SayStep("Hi.", "en", "p2"), END))
    assert told(PLAN, replace(PLAN, routes=(new, B, C))) == [
        ("~", "route a", "- when to 1", "+ when to 1 or 3", "- - say: Hello.", "+ - say: Hi.", "  - hang_up")
    ]


def test_a_moved_route_is_told_once():
    assert told(PLAN, replace(PLAN, routes=(C, A, B))) == [(">", "route c moved: now first of all")]
    assert told(PLAN, replace(PLAN, routes=(B, A, C)))[0][0] == ">"
    assert len(told(PLAN, replace(PLAN, routes=(B, A, C)))) == 1


def test_the_content_of_a_played_file_is_a_change():
    old = replace(PLAN, routes=(replace(A, steps=(PlayStep("/x/w.wav", "1"), END)),))
    new = replace(PLAN, routes=(replace(A, steps=(PlayStep("/y/w.wav", "2"), END)),))
    assert told(old, new) == [("~", "route a", "the content of a file that it plays, or a long list")]


def test_an_agents_settings_are_told_by_name_and_its_instructions_by_line():
    new = replace(
        DESK, voice="cedar", speed=1.2, tools=("refund",), instructions=DESK.instructions + "\nSay please."
    )
    assert told(PLAN, replace(PLAN, agents=(new,))) == [
        (
            "~",
            "agent desk",
            "instructions:",
            "    Be friendly, and never promise what nobody has said you may.",
            "  + Say please.",
            "voice: marin -> cedar",
            "speed: not set -> 1.2",
            "tools: +refund",
        )
    ]


def test_hours_targets_and_all_else_are_compared_by_their_fields():
    hours = Hours("office", "Europe/Berlin", {"mon": ((540, 1080),)}, ("2026-12-25",))
    old = replace(PLAN, hours=(hours,), transfers={"desk": "sip:d@x"})
    later = replace(hours, week={"mon": ((600, 1080),), "tue": ((540, 1080),)}, closed_on=())
    new = replace(PLAN, hours=(later,), transfers={"desk": "sip:d@y", "home": "sip:h@x"})
    assert told(old, new) == [
        ("~", "transfer target desk", "sip:d@x -> sip:d@y"),
        ("+", "transfer target home", "sip:h@x"),
        ("~", "hours office", "week.mon: 540, 1080 -> 600, 1080", "week.tue: not set -> 540, 1080",
         "closed_on: -2026-12-25"),
    ]  # fmt: skip


def test_calls_that_another_route_would_take_are_found():
    new = replace(PLAN, routes=(B, C))
    calls = [CallFacts("1"), CallFacts("2"), CallFacts("3")]
    (found,) = rerouted(PLAN, new, [(one, one) for one in calls])
    assert (found.facts.to_number, found.before, found.after) == ("1", "a", "c")
    (lost,) = rerouted(PLAN, replace(PLAN, routes=(A, B)), [(calls[2], calls[2])])
    assert lost.after == "no route (404)"


def test_plans_that_look_at_headers_say_so():
    assert not asks_for_headers(PLAN)
    assert asks_for_headers(
        replace(PLAN, routes=(replace(A, conditions=(Condition("header:x-a", ("b",)),)), C))
    )


ROUTES = st.lists(
    st.sampled_from([A, B, C, replace(A, name="d"), replace(B, name="e")]), unique_by=lambda one: one.name
)


@given(ROUTES, ROUTES)
def test_whatever_is_different_is_told_and_nothing_else(old, new):
    one, other = Plan(tuple(old), (DESK,)), Plan(tuple(new), (DESK,))
    assert bool(told(one, other)) is (one.version != other.version)


@pytest.mark.parametrize("steps", [(END,), (SayStep("Hello.", "de", "p9"), END)])
def test_every_change_of_steps_is_told(steps):
    assert told(PLAN, replace(PLAN, routes=(replace(A, steps=steps), B, C)))
