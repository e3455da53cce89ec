"""The way of a call through the steps. Steps of a kind that the code does not know yet must walk too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from bridge.dialplan.schema_steps import LAST_VERBS
from bridge.dialplan.steps import (
    AgentStep,
    CollectStep,
    GoStep,
    HangUpStep,
    MenuStep,
    RingStep,
    SayStep,
    SwitchStep,
    TransferStep,
)
from bridge.dialplan.walk import MAX_STEPS, Assumed, walk

SAY = SayStep("closed", "en", "p")
END = HangUpStep(503, "")
TRANSFER = TransferStep("desk", (SAY, END))


@dataclass(frozen=True, slots=True)
class Ask:
    """A step that branches by what the caller does; the real ones look like this."""

    TAG: ClassVar = "ask"
    prompts: tuple
    options: Mapping[str, tuple]
    timeout: tuple = ()


ASK = Ask((SAY,), {"1": (TRANSFER,), "2": (RingStep(5),)}, timeout=(END,))


def go(*steps, given=(), **outcomes):
    words = {name: [one] if isinstance(one, str) else one for name, one in outcomes.items()}
    return walk(steps, Assumed(words, given), LAST_VERBS)


def tags(path):
    return [step.TAG for step in path.steps]


def test_steps_run_in_order_until_one_ends_the_call():
    path = go(RingStep(1), SAY, END, SAY)
    assert tags(path) == ["ring", "say", "hang_up"]
    assert (path.end, path.status, path.wrong) == ("hang_up", 503, "")


def test_a_step_goes_well_unless_it_is_assumed_to_fail():
    assert tags(go(TRANSFER)) == ["transfer"]
    assert tags(go(TRANSFER, transfer="failed")) == ["transfer", "say", "hang_up"]
    assert tags(go(TRANSFER, transfer="ok")) == ["transfer"]


def test_a_failed_step_without_a_way_on_ends_the_call():
    assert tags(go(AgentStep("a"), SAY, agent="failed")) == ["agent"]


def test_outcomes_may_differ_from_one_time_to_the_next():
    twice = TransferStep("desk", (TransferStep("home", (END,)),))
    assert tags(go(twice, transfer=["failed", "ok"])) == ["transfer", "transfer"]
    assert tags(go(twice, transfer=["failed"])) == ["transfer", "transfer", "hang_up"]


def test_what_the_caller_gives_chooses_the_branch():
    assert tags(go(ASK, given=["1"])) == ["ask", "transfer"]
    assert tags(go(ASK, END, given=["2"])) == ["ask", "ring", "hang_up"]
    assert tags(go(ASK, given=["timeout"])) == ["ask", "hang_up"]
    assert tags(go(ASK, ask="timeout")) == ["ask", "hang_up"]


def test_a_branch_that_is_not_there_is_told():
    path = go(ASK, given=["9"])
    assert path.wrong == "ask has no 9, it has options.1, options.2, timeout"
    assert go(SAY, say="busy").wrong == "say has no busy, it has no steps inside"


def test_a_step_that_asks_needs_an_answer():
    assert go(ASK).wrong == "ask asks the caller: give one of 1, 2 in keys, or an outcome of ask"


def test_answers_that_nobody_asked_for_are_left_over():
    assert go(SAY, END, given=["1"]).unused == ("1",)


def test_the_agents_on_the_way_are_known():
    assert go(AgentStep("a", (AgentStep("b"),)), agent=["failed", "ok"]).agents == ("a", "b")


def test_no_steps_are_no_way():
    path = go()
    assert (path.steps, path.end, path.status, path.agents) == ((), "", None, ())


@pytest.mark.parametrize("number", [MAX_STEPS, MAX_STEPS * 2])
def test_a_walk_is_bounded(number):
    path = go(*[SAY] * number)
    assert len(path.steps) == MAX_STEPS
    assert "more than" in path.wrong


MENU = MenuStep(
    (SAY,), {"1": (TRANSFER,), "2": (RingStep(1),)}, {"1": ("sales", "Orders")}, "en", 5.0, 3, (END,)
)
COLLECT = CollectStep((SAY,), "order", 4, 4, "#", 5.0, 3, (END,))
SWITCH = SwitchStep("{{ var.order }}", {"gold": (TRANSFER,)}, (RingStep(1),))


def test_a_menu_takes_keys_and_words_and_goes_on_behind_it():
    assert tags(go(MENU, given=["1"])) == ["menu", "transfer"]
    assert tags(go(MENU, given=["orders"])) == ["menu", "transfer"]
    assert tags(go(MENU, END, given=["2"])) == ["menu", "ring", "hang_up"]
    assert tags(go(MENU, menu="failed")) == ["menu", "hang_up"]


def test_digits_are_taken_by_the_step_that_collects_them():
    path = go(COLLECT, MENU, given=["1234", "1"])
    assert (tags(path), path.unused) == (["collect", "menu", "transfer"], ())
    assert tags(go(COLLECT, SAY, collect="failed")) == ["collect", "hang_up"]
    assert "give the digits in keys" in go(COLLECT).wrong


def test_a_switch_goes_the_way_that_is_assumed():
    assert tags(go(SWITCH, switch="gold")) == ["switch", "transfer"]
    assert tags(go(SWITCH, END, switch="failed")) == ["switch", "ring", "hang_up"]
    assert "say in outcomes which way it goes: gold" in go(SWITCH, given=["gold"]).wrong


def test_a_flow_is_gone_to_and_not_come_back_from():
    flows = {"bye": (SAY, END), "round": (SAY, GoStep("round"))}
    path = walk((GoStep("bye"), RingStep(1)), Assumed({}), LAST_VERBS, flows)
    assert tags(path) == ["go", "say", "hang_up"]
    assert "more than 100 jumps" in walk((GoStep("round"),), Assumed({}), LAST_VERBS, flows).wrong
