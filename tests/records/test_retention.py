import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.call.journal import _HIDES
from bridge.records.retention import DAY_S, WORDS, Rules, due

NOW = 1_000 * DAY_S
days = st.none() | st.integers(1, 900).map(float)


def test_what_is_off_is_kept_for_ever():
    assert due(0.0, Rules(), NOW) == frozenset()
    assert Rules().oldest(NOW) is None
    assert Rules().before("voicemail", NOW) is None


def test_each_thing_goes_in_its_own_time():
    rules = Rules(recordings=10, transcripts=20, events=30)
    ages = {5: set(), 11: {"recordings"}, 21: {"recordings", "transcripts"}}
    for age, names in ages.items():
        assert due(NOW - age * DAY_S, rules, NOW) == names


def test_a_call_that_goes_on_loses_nothing():
    assert due(None, Rules(calls=1), NOW) == frozenset()


def test_nothing_of_a_call_outlives_its_record():
    rules = Rules(recordings=90, calls=30).effective()
    assert (rules.recordings, rules.transcripts, rules.events, rules.voicemail) == (30, 30, 30, 30)
    assert (rules.outbound, rules.speech, rules.logs) == (None, None, None)


@pytest.mark.parametrize("age", [1, 29])
def test_a_shorter_rule_stays_as_it_is_beside_a_record_s(age):
    assert Rules(recordings=age, calls=30).effective().recordings == age


@given(days, days, days, days, days, st.floats(0, 1000 * DAY_S))
def test_whoever_ended_after_the_oldest_cut_has_nothing_due(
    recordings, transcripts, events, audit, calls, ended
):
    rules = Rules(recordings, transcripts, events, audit, None, calls).effective()
    oldest = rules.oldest(NOW)
    found = due(ended, rules, NOW)
    assert bool(found) == (oldest is not None and ended < oldest)
    if "calls" in found:
        assert found >= {"recordings", "transcripts", "events", "audit_payloads"}


def test_what_a_call_s_journal_can_hide_is_among_the_words_that_go():
    assert set(WORDS) >= set(_HIDES)
    assert {"prompt", "agent.hand_off", "tool.question", "tool.confirmation"} <= set(WORDS)
