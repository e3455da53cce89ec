from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.outbound import Outbound, Retry
from bridge.outbound import job as jobs
from bridge.outbound.job import FINAL, OPEN, Fact, Job, Wish, after, dialled, not_placed

RULES = Outbound(
    ("+49",), "sip:{number}@t", "+4930", (), retries=(Retry("busy", 60, 2), Retry("no_answer", 600, 1))
)
ASKED = Job("j1", Wish("+493012345678"))
QUEUED = jobs.accepted(ASKED, "+493012345678", 100.0)
DIALLED = dialled(QUEUED, "c1", "b1", 200.0)
STARTED = Fact("call.started", {})
RINGING = Fact("call.ringing", {"status": 180})
ANSWERED = Fact("call.answered", {})


def ended(status, reason="x", by="caller", detail=""):
    return Fact("call.ended", {"by": by, "status": status, "reason": reason, "detail": detail})


def heard(verdict):
    return Fact("amd", {"verdict": verdict})


def told(*facts, job=DIALLED, rules=RULES, now=300.0):
    return after(job, facts, rules, now)


def test_a_job_is_asked_queued_and_dialled_with_a_try_counted():
    assert (ASKED.state, QUEUED.state, QUEUED.due_at) == ("asked", "queued", 100.0)
    assert (DIALLED.state, DIALLED.attempts, DIALLED.call_id, DIALLED.boot) == ("dialling", 1, "c1", "b1")
    assert [ASKED.version, QUEUED.version, DIALLED.version] == [1, 2, 3]


def test_it_follows_the_call():
    assert told() is DIALLED
    assert told(STARTED) is DIALLED
    assert told(STARTED, RINGING).state == "ringing"
    assert told(STARTED, RINGING, ANSWERED).state == "answered"
    assert told(STARTED, ANSWERED, heard("machine")).state == "machine"
    undecided = told(STARTED, ANSWERED, heard("undecided"))
    assert (undecided.state, undecided.heard) == ("human", "undecided")


def test_reading_the_same_facts_again_changes_nothing():
    once = told(STARTED, RINGING, ANSWERED, heard("human"))
    assert told(STARTED, RINGING, ANSWERED, heard("human"), job=once) is once


@pytest.mark.parametrize(
    ("fact", "state"),
    [
        (ended(486), "busy"),
        (ended(600), "busy"),
        (ended(487, "no_answer", "bridge"), "no_answer"),
        (ended(480), "no_answer"),
        (ended(408), "no_answer"),
        (ended(408, "Timeout", "network"), "failed"),
        (ended(603, "Decline"), "failed"),
        (ended(404), "failed"),
        (ended(503, "the agent is not available", "bridge"), "failed"),
        (ended(None, "worker_died", "bridge"), "unknown"),
        (ended(503, "unsure", "bridge"), "unknown"),
    ],
)
def test_a_call_nobody_answered_has_an_outcome(fact, state):
    assert told(STARTED, fact, rules=None).state == state


def test_an_answered_call_is_done_however_it_ends():
    assert told(STARTED, ANSWERED, heard("human"), ended(200)).state == "done"
    assert told(STARTED, ANSWERED, ended(486)).state == "done"


def test_a_worker_that_dies_in_the_talk_is_a_failure_that_is_known():
    assert told(STARTED, ANSWERED, ended(None, "worker_died", "bridge")).state == "failed"


def test_busy_is_tried_again_after_a_while_and_not_for_ever():
    job, states = DIALLED, []
    for _ in range(3):
        job = told(STARTED, ended(486), job=job)
        states.append((job.state, job.due_at if job.state == "queued" else None))
        if job.state == "queued":
            job = dialled(job, "c", "b", 1.0)
    assert states == [("queued", 360.0), ("queued", 360.0), ("busy", None)]


NOT_PLACED = Fact("call.not_placed", {"reason": "all lines are busy"})


@pytest.mark.parametrize("word", ["not_placed", "call.not_placed", "worker_died", "no_answer"])
@pytest.mark.parametrize("by", ["caller", "network", "agent"])
def test_the_called_party_cannot_say_in_our_words_that_it_was_never_called(word, by):
    assert told(STARTED, RINGING, ANSWERED, ended(200, word, by)).state == "done"
    assert told(STARTED, RINGING, ended(603, word, by)).state == "failed"
    assert told(STARTED, ended(603, word, by)).state == "failed"


def test_what_rang_or_was_answered_was_placed_whatever_else_is_told():
    assert told(STARTED, RINGING, NOT_PLACED).state == "ringing"
    assert told(STARTED, ANSWERED, NOT_PLACED, ended(200)).state == "done"


def test_what_was_surely_not_dialled_is_no_try():
    back = told(STARTED, NOT_PLACED, ended(503, "cannot dial", "bridge", "all lines are busy"))
    assert (back.state, back.attempts, back.call_id, back.reason) == ("queued", 0, "", "all lines are busy")
    assert not_placed(replace(DIALLED, cancel=True), "x", 1.0).state == "cancelled"


def test_a_cancelled_call_that_nobody_answered_is_cancelled_and_not_tried_again():
    assert told(STARTED, ended(486), job=replace(DIALLED, cancel=True)).state == "cancelled"


def test_a_lost_job_stays_lost_until_facts_come_and_is_never_tried_again_by_itself():
    lost = jobs.lost(DIALLED, "no word")
    assert told(job=lost) is lost
    assert told(STARTED, ended(None, "worker_died", "bridge"), job=lost) is lost
    assert told(STARTED, ended(486), job=lost).state == "busy"
    assert told(STARTED, ANSWERED, ended(200), job=lost).state == "done"


FACTS = st.sampled_from(
    [STARTED, RINGING, ANSWERED, heard("human"), heard("machine"), ended(486), ended(200), ended(None, "worker_died"),
     ended(487, "no_answer", "bridge"), NOT_PLACED, ended(503, "not_placed"), Fact("amd", {}), Fact("call.ended", {})]
)  # fmt: skip


@given(st.lists(FACTS, max_size=8), st.booleans(), st.booleans())
def test_any_facts_lead_to_a_known_state_one_version_on_and_never_straight_back_to_dialling(
    facts, lost, cancel
):
    job = replace(jobs.lost(DIALLED, "x") if lost else DIALLED, cancel=cancel)
    new = after(job, facts, RULES, 5.0)
    assert new.state in {*OPEN, *FINAL, "queued"}
    assert new is job or (new.version == job.version + 1 and new.attempts <= job.attempts)
    if lost:
        not_placed_for_sure = NOT_PLACED in facts
        assert new.state != "queued" or not_placed_for_sure
