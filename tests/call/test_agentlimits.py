"""An agent's limits: a warning, a goodbye, the end, each once."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.call.agentlimits import CALLER_SILENT, GOODBYE_BEFORE_S, GOODBYE_S, AgentLimits, Say
from bridge.call.limits import Ending
from bridge.dialplan.agent import Agent


def limits_of(**bounds):
    limits = AgentLimits()
    limits.begin(Agent("a", "x", **bounds), 0.0)
    return limits


def test_before_the_end_of_its_time_the_agent_warns_then_says_goodbye_then_the_call_ends():
    limits = limits_of(max_call_s=120)
    assert limits.check(89.0, silent=True) is None
    warning = limits.check(90.0, silent=True)
    assert isinstance(warning, Say)
    assert (warning.why, "30 seconds" in warning.order) == ("warning", True)
    assert limits.check(91.0, silent=True) is None
    assert limits.check(120 - GOODBYE_BEFORE_S, silent=True).why == "goodbye"
    assert limits.check(112.5, silent=True) is None
    limits.spoke()
    assert limits.check(113.0, silent=False) is None
    assert limits.check(114.0, silent=True) is None
    assert limits.check(115.0, silent=True).reason == "max_duration"


def test_a_short_limit_or_a_warning_of_0_s_is_not_warned_of():
    for bounds in ({"max_call_s": 50}, {"max_call_s": 500, "warn_s": 0}):
        limits = limits_of(**bounds)
        assert limits.check(bounds["max_call_s"] - 20.0, silent=True) is None


def test_money_that_is_used_up_ends_the_call_with_its_own_reason():
    limits = limits_of(max_cost_usd=0.05)
    limits.spent(Decimal("0.03"))
    limits.spent(None)
    assert limits.check(1.0, silent=True) is None
    limits.spent(Decimal("0.02"))
    assert limits.check(2.0, silent=True).why == "goodbye"
    limits.spoke()
    assert limits.check(2.5, silent=False) is None
    limits.check(4.0, silent=True)
    ending = limits.check(5.0, silent=True)
    assert (ending.status, ending.reason) == (200, "max_cost")
    assert "$0.0500 of $0.05" in ending.detail


def test_tokens_end_it_too():
    limits = limits_of(max_tokens=100)
    limits.spent(None, 100)
    assert limits.check(1.0, silent=True).why == "goodbye"
    assert limits.check(1.0 + GOODBYE_S, silent=True).reason == "max_tokens"


def test_an_agent_that_never_stops_its_goodbye_is_cut():
    limits = limits_of(max_tokens=1)
    limits.spent(None, 1)
    limits.check(0.0, silent=True)
    assert limits.check(GOODBYE_S - 0.1, silent=False) is None
    assert isinstance(limits.check(GOODBYE_S, silent=False), Ending)


def test_tool_calls_beyond_the_limit_and_during_the_goodbye_are_refused():
    limits = limits_of(max_tool_calls=2)
    assert [limits.tool_called() for _ in range(3)] == [True, True, False]
    ending = limits_of(max_tokens=1)
    ending.spent(None, 1)
    ending.check(0.0, silent=True)
    assert not ending.tool_called()


def test_what_one_agent_used_counts_for_the_next():
    limits = limits_of(max_cost_usd=1.0)
    limits.spent(Decimal("0.9"))
    limits.begin(Agent("b", "x", max_cost_usd=0.5), 0.0)
    assert limits.check(1.0, silent=True).why == "goodbye"


def test_without_limits_nothing_happens():
    limits = limits_of()
    limits.spent(Decimal(1000), 10**9)
    assert limits.check(10**6, silent=False) is None
    assert all(limits.tool_called() for _ in range(1000))


@pytest.mark.parametrize("silent", [True, False])
@given(steps=st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), max_size=60))
def test_it_ends_once_warns_once_and_never_before_a_goodbye(silent, steps):
    limits, now, said = limits_of(max_call_s=100, max_tokens=500), 0.0, []
    for pause_s, tokens in steps:
        now += pause_s
        limits.spent(None, tokens)
        action = limits.check(now, silent=silent)
        if isinstance(action, Ending):
            break
        said += [action.why] if action else []
    else:
        action = None
    assert said.count("warning") <= 1
    assert said.count("goodbye") <= 1
    assert action is None or said[-1] == "goodbye"


def test_a_caller_who_says_nothing_is_asked_once_and_then_hears_a_goodbye():
    limits = limits_of(idle_s=30)
    assert limits.check(5.0, silent=False) is None
    assert limits.check(10.0, silent=True) is None
    assert limits.check(39.9, silent=True) is None
    asked = limits.check(40.0, silent=True)
    assert isinstance(asked, Say)
    assert (asked.why, "30 seconds" in asked.order) == ("silence", True)
    assert limits.check(41.0, silent=False) is None
    assert limits.check(45.0, silent=True) is None
    assert limits.check(74.9, silent=True) is None
    assert limits.check(75.0, silent=True).why == "goodbye"
    assert limits.check(75.0 + GOODBYE_S, silent=False).reason == CALLER_SILENT


def test_a_word_of_the_caller_is_a_new_beginning_and_keeps_the_line_even_in_the_goodbye():
    limits = limits_of(idle_s=30)
    limits.check(0.0, silent=True)
    limits.caller_heard()
    assert limits.check(30.0, silent=True) is None
    assert limits.check(60.0, silent=True).why == "silence"
    limits.caller_heard()
    limits.check(70.0, silent=True)
    assert limits.check(100.0, silent=True).why == "silence"
    limits.check(101.0, silent=True)
    assert limits.check(131.0, silent=True).why == "goodbye"
    limits.caller_heard()
    assert limits.check(131.0 + GOODBYE_S, silent=True) is None
    assert limits.tool_called()


def test_who_waits_for_a_function_or_holds_us_is_not_asked():
    limits = limits_of(idle_s=30)
    for now in range(0, 300, 10):
        assert limits.check(float(now), silent=True, waits=True) is None


def test_a_word_of_the_caller_does_not_undo_the_end_of_their_time():
    limits = limits_of(max_tokens=1, idle_s=30)
    limits.spent(None, 1)
    assert limits.check(1.0, silent=True).why == "goodbye"
    limits.caller_heard()
    assert limits.check(1.0 + GOODBYE_S, silent=True).reason == "max_tokens"


def test_the_next_agent_has_patience_of_its_own():
    limits = limits_of(idle_s=30)
    limits.check(0.0, silent=True)
    assert limits.check(30.0, silent=True).why == "silence"
    limits.begin(Agent("b", "x", idle_s=30), 0.0)
    assert limits.check(31.0, silent=True) is None
    assert limits.check(61.0, silent=True).why == "silence"
