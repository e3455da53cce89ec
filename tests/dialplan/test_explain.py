"""Why a call goes where it goes."""

from bridge.dialplan.explain import explain
from bridge.dialplan.plan import CallFacts, Condition, HangUpStep, Plan, Route

END = (HangUpStep(None, "x"),)
PLAN = Plan(
    (
        Route("a", (Condition("to", ("1", "2*")),), END, "p.yaml", 3),
        Route("b", (Condition("header:x-a", ("yes",)),), END, "p.yaml", 6),
        Route("c", (Condition("from", ("5",)),), END, "p.yaml", 9),
        Route("d", (), END, "p.yaml", 12),
    ),
    (),
)


def test_each_route_before_the_winner_says_what_it_missed():
    assert [str(verdict) for verdict in explain(PLAN, CallFacts("3", "5"))] == [
        'a (p.yaml:3): to is "3", needed 1 or 2*',
        "b (p.yaml:6): header x-a is missing, needed yes",
        "c (p.yaml:9): fits (from 5)",
    ]


def test_without_a_winner_every_route_has_a_misfit():
    plan = Plan(PLAN.routes[:1], ())
    assert all(verdict.misfit for verdict in explain(plan, CallFacts("3")))
