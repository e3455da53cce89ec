"""Whose browser call it is, asked of control; whoever only says so is refused."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bridge.call.callfacts import tool_facts
from bridge.call.consolecall import admit, is_marked
from bridge.call.journal import Journal
from bridge.config import CONSOLE_HEADER, WorkerConfig
from bridge.dialplan.facts import CallFacts
from bridge.errors import LinkError, SeatError
from tests.fakes.line import FakeLine


def call(headers, answer=None):
    """(invite, deps, journal, what was asked, what was noted)."""
    asked, noted = [], []

    async def request(kind, data, deadline_s):
        asked.append((kind, dict(data)))
        if isinstance(answer, Exception):
            raise answer
        return answer

    deps = SimpleNamespace(request=request, config=WorkerConfig())
    journal = Journal("call-1", lambda call_id, kind, data: noted.append((kind, dict(data))))
    return FakeLine(headers=headers).leg.invite, deps, journal, asked, noted


async def test_a_call_that_says_nothing_of_it_is_not_asked_about():
    invite, deps, journal, asked, noted = call({})
    await admit(invite, deps, journal)
    assert (asked, noted) == ([], [])


async def test_one_that_control_knows_has_its_person_in_the_record():
    invite, deps, journal, asked, noted = call({CONSOLE_HEADER: "proof"}, {"by": "olga"})
    await admit(invite, deps, journal)
    assert asked == [("console.call", {"proof": "proof", "call_id": "call-1"})]
    assert noted == [("console.call", {"by": "olga"})]


@pytest.mark.parametrize("answer", [{"by": ""}, {}, LinkError("control is away")])
async def test_one_that_control_does_not_know_is_refused(answer):
    invite, deps, journal, _, noted = call({CONSOLE_HEADER: "forged"}, answer)
    with pytest.raises(SeatError):
        await admit(invite, deps, journal)
    assert noted == []


async def test_what_such_a_call_says_of_its_caller_is_never_believed():
    """The bridge's own trunk may be trusted for verstat; a person at a page is not the network."""
    facts = CallFacts("100", "+49301111")
    trusted = ("0.0.0.0/0",)

    def word(headers):
        leg = FakeLine(headers=headers).leg
        leg.invite = replace(leg.invite, verstat="TN-Validation-Passed")
        return tool_facts(facts, leg, trusted)["verstat"]

    assert word({}) == "TN-Validation-Passed"
    assert word({CONSOLE_HEADER: "x"}) == ""
    assert is_marked(FakeLine(headers={CONSOLE_HEADER: "x"}).leg.invite)
