"""The approvals page with a real gate behind it: what is shown, who may press what, and what becomes of it."""

import json
import re
import time
from contextlib import asynccontextmanager

import pytest

from bridge.console.card import Described
from bridge.console.factors import Factors
from bridge.console.web import csrf_of
from bridge.store.sessionstore import SessionStore
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes import office as offices
from tests.fakes.codes import Codes
from tests.fakes.console import words
from tests.fakes.events import Script

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        yield found


def call_of(call_id="c1", name=EVIL, said=EVIL):
    script = Script(call_id=call_id)
    facts = {
        "direction": "in",
        "from": "+491",
        "to": "100",
        "route": "r",
        "agent": "desk",
        "worker": "worker-0",
    }
    script.tell("call.started", from_display=name, **facts)
    script.tell("transcript", 0.1, who="caller", item_id="i1", text=said)
    script.tell("transcript", 0.1, who="agent", item_id="i2", text="One moment")
    return script.tell("agent.finished", 0.1, item_id="i2", interrupted=True, heard_ms=300)


async def test_a_request_is_shown_with_what_why_who_and_how_long(house):
    await house.office.store.write(0, call_of(said="I want my money.").events)
    await house.office.call(verified_by="pin", verstat="TN-Validation-Passed")
    text = words((await (await house.as_("anna")).get("/console/approvals")).text)
    for shown in (
        "pay", "Pay the money back.", "amount 40", "moves money", "+491", "not verified", "no rule fits",
        "carrier: TN-Validation-Passed", "I want my money.", "One moment interrupted", "left to decide",
        "after approval it must run within 60 s", "Needs one approval, from boss", "Raw arguments", "Approve", "Deny",
        "call c1",
    ):  # fmt: skip
        assert shown in text, shown


async def test_approved_it_is_run_and_the_record_says_by_whom_and_how(house):
    opened = await house.office.call()
    answer = await (await house.as_("anna")).decide(opened["request_id"])
    assert (answer.status_code, "Your decision counts." in answer.text) == (200, True)
    assert await house.office.settled(opened["request_id"]) == "succeeded"
    (approved,) = [entry for entry in await house.office.gates.audit() if entry["type"] == "approved"]
    assert (approved["actor"], approved["facts"]["via"]) == ("anna", "console")


async def test_denied_with_a_reason_it_is_not_run(house):
    opened = await house.office.call()
    await (await house.as_("anna")).decide(opened["request_id"], "deny", reason="not without a receipt")
    (row,) = await house.office.gates.find(opened["request_id"])
    assert (row.state, row.gate["reason"], house.office.done) == ("denied", "not without a receipt", [])


async def test_edited_it_is_run_in_the_new_form(house):
    opened = await house.office.call("big", '{"amount": 40}')
    answer = await (await house.as_("anna")).decide(opened["request_id"], "edit", argument__amount="35")
    assert answer.status_code == 200
    await house.office.settled(opened["request_id"])
    assert [done[1] for done in house.office.done] == [35]


@pytest.mark.parametrize(("amount", "status"), [("forty", 400), ("1000", 409), ("1.5", 409), ("-", 400)])
async def test_an_edit_is_no_way_round_type_schema_or_rule(house, amount, status):
    opened = await house.office.call("big")
    answer = await (await house.as_("anna")).decide(opened["request_id"], "edit", argument__amount=amount)
    assert answer.status_code == status
    assert await house.office.state(opened["request_id"]) == "pending"


async def test_what_somebody_changed_meanwhile_is_not_approved_by_mistake(house):
    opened = await house.office.call("two")
    anna, bert = await house.as_("anna"), await house.as_("bert")
    (row,) = await house.office.gates.find(opened["request_id"])
    seen = row.gate["binding"]
    await anna.decide(opened["request_id"], "edit", argument__amount="99")
    answer = await bert.decide(opened["request_id"], binding=seen)
    assert answer.status_code == 409
    assert "has changed since it was shown" in words(answer.text)
    assert "Changed by anna" in words((await bert.get("/console/approvals")).text)
    assert house.office.done == []


async def test_two_people_have_to_approve_and_the_page_says_who_has(house):
    opened = await house.office.call("two")
    anna, bert = await house.as_("anna"), await house.as_("bert")
    await anna.decide(opened["request_id"])
    mine, theirs = [words((await one.get("/console/approvals")).text) for one in (anna, bert)]
    assert "1 of 2 approvals, from boss · so far anna" in mine
    assert "You have approved. Somebody else has to approve too." in mine
    assert "Approve Deny" not in mine
    assert "Approve Deny" in theirs
    again = await anna.decide(opened["request_id"], binding=(await row_of(house, opened)).gate["binding"])
    assert again.status_code == 409
    await bert.decide(opened["request_id"])
    assert await house.office.settled(opened["request_id"]) == "succeeded"


async def row_of(house, opened):
    (row,) = await house.office.gates.find(opened["request_id"])
    return row


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sales", "Only boss may decide this."),
        ("caller", "It is your own call: somebody else has to decide."),
        ("chief", "Only approvers may decide this."),
    ],
)
async def test_who_cannot_decide_has_no_buttons_and_the_gate_refuses_them_too(house, name, says):
    opened = await house.office.call()
    browser = await house.as_(name)
    text = (await browser.get("/console/approvals")).text
    assert says in words(text)
    assert "<form class" not in text.partition("<main")[2]
    row = await row_of(house, opened)
    page = "/console/approvals"
    csrf = csrf_of(browser.client.cookies["sipbridge"])
    answer = await browser.post(f"{page}/{row.request_id}/approve", csrf=csrf, binding=row.gate["binding"])
    assert answer.status_code in {403, 409}
    assert await house.office.state(row.request_id) == "pending"


async def test_who_may_only_look_sees_nobody_s_number_and_words(house):
    await house.office.store.write(0, call_of(name="Alice", said="secret words").events)
    await house.office.users.put(User("chief", frozenset({"viewer"}), frozenset()))
    opened = await house.office.call("both", arguments='{"amount": 987654321}')
    browser = await house.as_("chief")
    pages = [await browser.get(f"/console/approvals{part}") for part in ("", f"/{opened['request_id']}")]
    stream = await browser.events("/console/events?cards=1", "</article>")
    for text in (*(page.text for page in pages), stream):
        assert "both" in text
        for secret in ("+491", "Alice", "secret words", "987654321", "One moment"):
            assert secret not in text, secret


async def test_what_a_caller_a_model_and_a_tool_s_server_write_is_text(tmp_path):
    """Stored XSS, by every way in."""
    async with consoles.running(tmp_path, describe=lambda _tool: Described(EVIL, foreign=True)) as house:
        await house.office.store.write(0, call_of().events)
        await house.office.call("pay", caller=EVIL, agent=EVIL, called=EVIL, verstat=EVIL, verified_by=EVIL)
        anna = await house.as_("anna")
        row = (await house.office.gates.requests())[0]
        gate = {**row.gate, "arguments": {EVIL: EVIL, "reason": EVIL, "amount": EVIL}, "edited_by": EVIL}
        gate["request"] = {**gate["request"], "caller": {**gate["request"]["caller"], "verified": True}}
        gate["ruling"] = {**gate["ruling"], "rule": EVIL, "why": EVIL, "confirm": {"question": EVIL}}
        await put_gate(house.office.store, row.request_id, gate)
        page = await anna.get("/console/approvals")
        one = await anna.get(f"/console/approvals/{row.request_id}")
        stream = await anna.events("/console/events?cards=1", "</article>")
        denied = await anna.decide(row.request_id, "deny", reason=EVIL)
        for text in (page.text, one.text, stream, denied.text):
            assert "<img" not in text
            assert text.count("&lt;img src=x onerror=alert(1)&gt;") >= 8


async def put_gate(store, request_id, gate):
    from bridge.store.tables import tool_requests

    change = tool_requests.update().where(tool_requests.c.request_id == request_id)
    await store.transaction("put", lambda it: it.execute(change.values(gate=json.dumps(gate))))


async def test_earlier_decisions_about_this_caller_are_there(house):
    first = await house.office.call(call_id="c0", function_call_id="f0", arguments='{"amount": 7}')
    anna = await house.as_("anna")
    await anna.decide(first["request_id"], "deny", reason="no receipt")
    await house.office.call()
    text = words((await anna.get("/console/approvals")).text)
    assert "amount 7" in text
    assert "no receipt" in text


async def test_a_request_that_is_over_still_has_its_page(house):
    opened = await house.office.call()
    anna = await house.as_("anna")
    await anna.decide(opened["request_id"], "deny", reason="no")
    page = await anna.get(f"/console/approvals/{opened['request_id']}")
    assert "denied : no" in words(page.text)
    assert (await anna.get("/console/approvals")).text.count("<article") == 0


@pytest.mark.parametrize("request_id", ["0000", "zz", "%2e%2e", "a" * 65])
async def test_a_request_that_is_none_is_not_found(house, request_id):
    answer = await (await house.as_("anna")).get(f"/console/approvals/{request_id}")
    assert answer.status_code == 404


async def test_a_script_gets_the_card_alone(house):
    opened = await house.office.call()
    anna = await house.as_("anna")
    answer = await anna.decide(opened["request_id"], headers={"hx-request": "true"})
    assert answer.text.lstrip().startswith("<article")
    assert "Your decision counts." in answer.text


async def test_a_late_decision_says_so(house):
    opened = await house.office.call()
    anna, bert = await house.as_("anna"), await house.as_("bert")
    binding = (await row_of(house, opened)).gate["binding"]
    await anna.decide(opened["request_id"], "deny")
    answer = await bert.decide(opened["request_id"], binding=binding)
    assert answer.status_code == 409
    assert "does not count" in words(answer.text)


async def test_the_caller_is_asked_something_first_and_the_card_says_who_asked_what(house):
    opened = await house.office.call()
    anna, bert = await house.as_("anna"), await house.as_("bert")
    asked = await anna.decide(opened["request_id"], "ask", question=f"Which order? {EVIL}")
    assert asked.status_code == 200
    assert "Nothing is decided, and the clocks keep running." in words(asked.text)
    text = (await bert.get("/console/approvals")).text
    assert "being asked by anna" in words(text).replace("  ", " ")
    assert "<img" not in text
    assert "Approve Deny" in words(text), "it is still to be decided"
    again = await bert.decide(opened["request_id"], "ask", question="And why?")
    assert (again.status_code, "It is not asked: the caller is being asked" in words(again.text)) == (
        409,
        True,
    )
    assert await house.office.state(opened["request_id"]) == "pending"


@pytest.mark.parametrize("question", ["", "  ", "?", "x" * 301])
async def test_a_question_that_is_none_or_too_long_is_not_asked(house, question):
    opened = await house.office.call()
    answer = await (await house.as_("anna")).decide(opened["request_id"], "ask", question=question)
    assert answer.status_code == 409
    assert house.office.commands == []


async def unknown(house, name="lost"):
    opened = await house.office.call(name)
    await (await house.as_("anna")).decide(opened["request_id"])
    assert await house.office.settled(opened["request_id"]) == "unknown"
    return opened["request_id"]


async def test_an_unknown_outcome_is_settled_on_the_page_by_who_may(house):
    request_id = await unknown(house)
    sales, anna, chief = [await house.as_(name) for name in ("sales", "anna", "chief")]
    assert "boss or an admin has to find out" in words((await sales.get("/console/approvals")).text)
    refused = await sales.decide(request_id, "reconcile", outcome="done", note="I think so", csrf=csrf(sales))
    assert refused.status_code == 409
    for missing in ({"outcome": "done"}, {"note": "seen"}, {"outcome": "perhaps", "note": "seen"}):
        answer = await anna.decide(request_id, "reconcile", **missing)
        assert answer.status_code == 400, missing
    assert await house.office.state(request_id) == "unknown"
    settled = await chief.decide(request_id, "reconcile", outcome="not_done", note="not in the bank's list")
    assert settled.status_code == 200
    assert "failed · approved by anna: not in the bank's list" in words(settled.text)
    (entry,) = [one for one in await house.office.gates.audit() if one["type"] == "reconciled"]
    assert (entry["actor"], entry["facts"]["ok"]) == ("chief", False)


def csrf(browser):
    return csrf_of(browser.client.cookies["sipbridge"])


# ---- step-up -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def guarded(folder, **rules):
    """A house where decisions need a second factor, and anna's app."""
    async with consoles.running(folder, step_up=rules or {"amount": 100}) as house:
        factors = Factors(house.office.store, offices.KEY)
        app = Codes((await factors.begin_totp("anna", "phone")).secret)
        assert await factors.confirm_totp("anna", app.next())
        yield house, app


async def test_above_the_amount_an_approval_without_a_code_is_refused_and_with_it_taken(tmp_path):
    async with guarded(tmp_path) as (house, app):
        opened = await house.office.call(arguments='{"amount": 100}')
        anna = await house.as_("anna")
        asked = await anna.decide(opened["request_id"])
        assert (asked.status_code, 'name="code"' in asked.text) == (409, True)
        assert await house.office.state(opened["request_id"]) == "pending"
        assert (await anna.decide(opened["request_id"], code="000000")).status_code == 409
        assert await house.office.state(opened["request_id"]) == "pending"
        assert (await anna.decide(opened["request_id"], code=app.next())).status_code == 200
        assert await house.office.settled(opened["request_id"]) == "succeeded"
        (approved,) = [entry for entry in await house.office.gates.audit() if entry["type"] == "approved"]
        assert approved["facts"]["via"] == "console+totp"


async def test_below_it_and_to_deny_no_code_is_asked_for(tmp_path):
    async with guarded(tmp_path) as (house, _):
        anna = await house.as_("anna")
        small = await house.office.call(arguments='{"amount": 99}')
        assert (await anna.decide(small["request_id"])).status_code == 200
        large = await house.office.call(arguments='{"amount": 100}', function_call_id="f2")
        assert (await anna.decide(large["request_id"], "deny")).status_code == 200


@pytest.mark.parametrize(("shown", "changed"), [(40, 400), (400, 40)])
async def test_a_changed_form_counts_with_both_amounts(tmp_path, shown, changed):
    async with guarded(tmp_path) as (house, app):
        opened = await house.office.call(arguments=f'{{"amount": {shown}}}')
        anna = await house.as_("anna")
        asked = await anna.decide(opened["request_id"], "edit", argument__amount=changed)
        assert asked.status_code == 409
        assert f'name="argument.amount" value="{changed}"' in asked.text, "it goes on with the change"
        done = await anna.decide(opened["request_id"], "edit", argument__amount=changed, code=app.next())
        assert done.status_code == 200
        assert await house.office.settled(opened["request_id"]) == "succeeded"
        assert house.office.done[-1][1] == changed


async def test_a_proof_holds_for_a_while_in_its_own_session_only(tmp_path):
    async with guarded(tmp_path) as (house, app):
        first = await house.office.call(arguments='{"amount": 100}')
        second = await house.office.call(arguments='{"amount": 100}', function_call_id="f2")
        anna, elsewhere = await house.as_("anna"), await house.as_("anna")
        assert (await anna.decide(first["request_id"], code=app.next())).status_code == 200
        assert (await elsewhere.decide(second["request_id"])).status_code == 409
        secret, sessions = anna.client.cookies["sipbridge"], SessionStore(house.office.store, 3600, 43_200)
        await sessions.proved(secret, time.time() - 301)
        assert (await anna.decide(second["request_id"])).status_code == 409, "too long ago"
        await sessions.proved(secret, time.time() - 10)
        assert (await anna.decide(second["request_id"])).status_code == 200


async def test_who_has_no_factor_is_told_to_set_one_up(tmp_path):
    async with guarded(tmp_path) as (house, _):
        opened = await house.office.call(arguments='{"amount": 100}')
        answer = await (await house.as_("bert")).decide(opened["request_id"], code="123456")
        assert (answer.status_code, "you have none" in words(answer.text)) == (409, True)
        assert 'href="/console/account"' in answer.text
        assert await house.office.state(opened["request_id"]) == "pending"


async def test_the_card_asks_in_place_where_there_is_a_script(tmp_path):
    async with guarded(tmp_path) as (house, _):
        opened = await house.office.call(arguments='{"amount": 100}')
        asked = await (await house.as_("anna")).decide(opened["request_id"], headers={"hx-request": "true"})
        assert asked.text.lstrip().startswith("<article")
        form = re.search(r'<form class="again"[^>]*>', asked.text)[0]
        assert f'hx-post="/console/approvals/{opened["request_id"]}/approve"' in form
        assert 'name="reason"' not in asked.text


async def test_control_refuses_what_came_without_a_factor_whoever_forgot_to_ask(tmp_path):
    """Another node, an API token, a page of ours with a mistake in it: the verdict is made in one place."""
    async with guarded(tmp_path) as (house, _):
        opened = await house.office.call(arguments='{"amount": 100}')
        for via in ("console", "api", ""):
            assert "step_up" in await house.office.decide(opened["request_id"], via=via)
        edited = await house.office.decide(opened["request_id"], via="api", arguments={"amount": 5})
        assert "step_up" in edited
        assert (await house.office.decide(opened["request_id"], via="cli")).startswith("taken")


async def test_what_an_edit_leaves_to_the_functions_own_default_counts_as_that(tmp_path):
    """It is what would be run: 500, whatever was shown and whatever was sent."""
    async with guarded(tmp_path) as (house, _):
        opened = await house.office.call("gift", arguments='{"to": "eve", "amount": 5}')
        edited = await house.office.decide(opened["request_id"], via="api", arguments={"to": "eve"})
        assert "step_up" in edited
        assert await house.office.state(opened["request_id"]) == "pending"
