"""Decided requests and the figures of rules, over a real gate."""

import pytest

from bridge.approval.statistics import RuleFigures
from bridge.console.decided import filters_of, hint_of, place_of, took, wanted_of
from bridge.store.paststore import Wanted
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes.console import words

EVIL = "<img src=x onerror=alert(1)>"
PAGE = "/console/approvals/decided"


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        yield found


async def decided(house):
    """One denied by anna, one approved by anna, one waiting, one that nobody was asked about."""
    anna = await house.as_("anna")
    ids = []
    for number, (name, what) in enumerate([("pay", "deny"), ("big", "approve"), ("pay", ""), ("look", "")]):
        opened = await house.office.call(name, function_call_id=f"f{number}", call_id=f"c{number}")
        ids.append(opened.get("request_id", ""))
        if what:
            await anna.decide(ids[-1], what, reason=EVIL)
    await house.office.settled(ids[1])
    return anna, ids


async def test_an_old_decision_is_found_with_who_decided_and_why(house):
    anna, ids = await decided(house)
    text = (await anna.get(PAGE)).text
    assert "<img" not in text
    shown = words(text)
    assert "amount 40" in shown
    assert "denied pay amount 40" in shown
    assert EVIL in shown
    assert f'href="/console/approvals/{ids[0]}"' in text
    assert ids[2] not in text, "it waits"
    assert ids[3] not in text, "nobody was asked about it"
    denied = (await anna.get(f"{PAGE}?state=denied&caller=%2B49-1&tool=pay")).text
    assert ids[0] in denied
    assert ids[1] not in denied
    assert ids[3] in (await anna.get(f"{PAGE}?everything=1")).text
    assert "Nothing like that here" in (await anna.get(f"{PAGE}?rule=none+of+them")).text


async def test_who_may_only_look_finds_no_number_no_word_and_cannot_look_for_a_number(house):
    _, ids = await decided(house)
    await house.office.users.put(User("chief", frozenset({"viewer"}), frozenset()))
    chief = await house.as_("chief")
    pages = [PAGE, f"{PAGE}?caller=%2B499", f"/console/approvals/{ids[0]}", "/console/approvals/statistics"]
    for page in pages:
        answer = await chief.get(page)
        assert answer.status_code == 200
        for secret in ("+491", EVIL, "onerror", "amount"):
            assert secret not in answer.text, (page, secret)
    assert ids[0] in (await chief.get(pages[1])).text, "a filter that is not theirs tells them nothing"


async def test_a_request_s_page_has_its_whole_audit(house):
    anna, ids = await decided(house)
    shown = words((await anna.get(f"/console/approvals/{ids[0]}")).text)
    assert "the model wants it run · rule none fits" in shown
    assert f"anna denied · by console: {EVIL}" in shown


async def test_the_figures_of_each_rule_are_there_for_a_day_a_week_and_a_month(house):
    anna, _ = await decided(house)
    for days in (1, 7, 30):
        shown = words((await anna.get(f"/console/approvals/statistics?days={days}")).text)
        assert "no rule fits pay Decided asked 2 approved 0 denied 1" in shown
        assert "big big Decided asked 1 approved 1" in shown
        assert "who decided: anna 1" in shown
    assert (await anna.get("/console/approvals/statistics?days=3650")).status_code == 400


@pytest.mark.parametrize("query", ["before=nan~x", "before=x", "before=1", "state=%00&tool=%00", "days=-1"])
async def test_an_address_that_makes_no_sense_is_no_error_of_ours(house, query):
    answer = await (await house.as_("anna")).get(f"{PAGE}?{query}")
    assert answer.status_code == 200


def test_a_filter_is_what_its_address_says():
    wanted = Wanted("denied", "pay", "big", "+491", everything=True)
    assert wanted_of(filters_of(wanted), personal=True) == wanted
    assert wanted_of({"caller": "+49 (1) 2-3"}, personal=True).caller == "+49123"
    assert wanted_of({"state": "nonsense"}, personal=True).state == ""
    assert filters_of(Wanted()) == {}
    assert place_of("12.5~ab") == (12.5, "ab")
    assert place_of("inf~ab") is None


def test_times_and_hints_are_told_plainly():
    assert [took(seconds) for seconds in (None, 2.44, 75.0)] == ["-", "2.4 s", "1:15 min"]
    always = RuleFigures("r", "t", 60, 60, 0, 0, 0, 0, 0, 9.0, 20.0, 0.1, ())
    assert hint_of(always, 30) == "Asked 60 times in 30 d, always approved: consider a narrower rule."
    quick = RuleFigures("r", "t", 60, 50, 10, 0, 0, 0, 0, 2.0, 20.0, 0.8, ())
    assert hint_of(quick, 7).startswith("80 % of the approvals came within 3 s")
    assert hint_of(RuleFigures("r", "t", 6, 5, 1, 0, 0, 0, 0, 2.0, 20.0, 0.8, ()), 7) == ""
