"""Consent before a recording: what the rules and the caller's keys come to."""

import asyncio
import contextlib

import pytest

from bridge.call.consent import OFF, Consent, covers, judge, must_ask, obtain, rule_of
from bridge.dialplan.agent import Agent
from bridge.dialplan.recording import RecordingRule

AGENT = Agent("a", "x")
ASK = RecordingRule(announce="May we record?", consent="ask", wait_s=1)
TELL = RecordingRule(announce="We record.", consent="announce")


async def asked(rule, *keys):
    """(consent, how often the announcement was played); each of `keys` comes with one announcement."""
    played = []
    queue = asyncio.Queue()

    async def play(one):
        assert one is rule
        if len(played) < len(keys) and keys[len(played)]:
            queue.put_nowait(keys[len(played)])
        played.append(one.announce)

    @contextlib.contextmanager
    def listen():
        yield queue

    fast = rule and RecordingRule(**{n: getattr(rule, n) for n in rule.__slots__} | {"wait_s": 0})
    rule = fast
    return await obtain(rule, play, listen), len(played)


async def test_without_a_rule_nothing_is_said_and_nothing_recorded():
    assert await asked(None) == (OFF, 0)


async def test_an_announcement_is_enough_where_nothing_is_asked():
    assert await asked(TELL) == (Consent(recorded=True, how="announced"), 1)


async def test_the_key_means_yes():
    assert await asked(ASK, "1") == (Consent(recorded=True, how="key"), 1)


async def test_another_key_means_no():
    assert await asked(ASK, "2") == (Consent(recorded=False, how="refused"), 1)


async def test_who_does_not_answer_is_asked_once_more_and_then_has_not_agreed():
    assert await asked(ASK, "", "1") == (Consent(recorded=True, how="key"), 2)
    assert await asked(ASK) == (Consent(recorded=False, how="no_answer"), 2)


def test_a_refusal_may_end_the_call():
    strict = RecordingRule(announce="x", consent="ask", on_refusal="hang_up")
    assert judge(strict, "9").hang_up
    assert judge(strict, None).hang_up
    assert not judge(strict, "1").hang_up


@pytest.mark.parametrize(
    ("route", "agent", "rule"),
    [
        (None, AGENT, RecordingRule()),
        (TELL, AGENT, TELL),
        (TELL, Agent("a", "x", recording_rule=ASK), TELL),
        (None, Agent("a", "x", recording_rule=ASK), ASK),
        (None, Agent("a", "x", recording=False), None),
        (TELL, Agent("a", "x", recording=False), None),
        (RecordingRule(enabled=False), Agent("a", "x", recording_rule=ASK), None),
    ],
)
def test_the_routes_rule_goes_before_the_agents_and_either_may_forbid(route, agent, rule):
    assert rule_of(route, agent) == rule


def test_only_rules_with_words_or_a_question_ask_first():
    assert [must_ask(rule) for rule in (RecordingRule(), TELL, ASK)] == [False, True, True]


@pytest.mark.parametrize(
    ("how", "recorded", "plain", "tell", "ask"),
    [
        (None, False, True, False, False),
        ("announced", True, True, True, False),
        ("key", True, True, True, True),
        ("refused", False, False, False, False),
    ],
)
def test_an_agent_with_a_stricter_rule_is_not_covered_by_a_weaker_consent(how, recorded, plain, tell, ask):
    consent = Consent(recorded=recorded, how=how) if how else None
    assert [covers(consent, rule) for rule in (RecordingRule(), TELL, ASK)] == [plain, tell, ask]
    assert not covers(consent, None)
