"""Decisions over the API against a real gate: the same answers as in the console, and nobody gets round it."""

from contextlib import asynccontextmanager

import httpx
import pytest

from bridge.control_api import Door, application, owner
from bridge.control_api_approvals import ApprovalsApi, shown
from bridge.control_door import serve
from bridge.settings_console import StepUp
from bridge.store.gaterows import StoredRequest
from bridge.store.queuestore import QueueStore
from bridge.store.userstore import User
from tests.fakes import office as offices

BASE = "/api/v1/approvals"


class Desk:
    def __init__(self, office, base):
        self.office, self.base, self.tokens = office, base, {}

    async def ask(self, method, path, body=None, by="anna"):
        if by not in self.tokens:
            self.tokens[by] = await self.office.users.give_token(by, "test", None)
        headers = {"authorization": f"Bearer {self.tokens[by]}"}
        async with httpx.AsyncClient(base_url=self.base, headers=headers, timeout=20) as client:
            answer = await client.request(method, path, json=body)
        return answer.status_code, answer.json()

    async def asked(self, name="pay", **more):
        """A request that waits, as the API shows it."""
        opened = await self.office.call(name, **more)
        return (await self.ask("GET", f"{BASE}/{opened['request_id']}"))[1]


@asynccontextmanager
async def running(folder):
    async with offices.running(folder) as office:
        await office.users.put(User("looks", frozenset({"viewer"}), frozenset()))
        api = ApprovalsApi(office.gates, QueueStore(office.store), offices.KEY)
        app = application({}, api.routes(), Door(office.users, owner(folder)))
        async with serve(app, "127.0.0.1", 0) as port:
            yield Desk(office, f"http://127.0.0.1:{port}")


@pytest.fixture
async def desk(tmp_path):
    async with running(tmp_path) as found:
        yield found


async def test_what_waits_is_listed_by_state_function_and_call(desk):
    one = await desk.asked()
    await desk.asked("two", function_call_id="f2", call_id="c2")
    for query, tools in (
        ("", ["two", "pay"]),
        ("?state=open", ["two", "pay"]),
        ("?state=pending&tool=pay", ["pay"]),
        ("?call=c2", ["two"]),
        ("?state=denied", []),
        ("?limit=1", ["two"]),
    ):
        status, data = await desk.ask("GET", BASE + query)
        assert (status, [row["tool"] for row in data["approvals"]]) == (200, tools), query
    assert (one["state"], one["arguments"], one["caller"]["number"]) == ("pending", {"amount": 40}, "+491")
    assert (one["group"], one["rule"] is not None, one["approvers"]) == ("boss", True, 1)


@pytest.mark.parametrize("query", ["?state=gone", "?limit=0", "?limit=501", "?limit=a"])
async def test_a_filter_that_makes_no_sense_is_refused(desk, query):
    assert (await desk.ask("GET", BASE + query))[0] == 400


async def test_who_may_only_look_sees_no_person_and_decides_nothing(desk):
    one = await desk.asked()
    _, data = await desk.ask("GET", f"{BASE}/{one['request_id']}", by="looks")
    assert (data["arguments"], data["caller"], data["why"], data["reason"]) == ({}, None, "", "")
    assert "+491" not in repr(data)
    for what in ("approve", "deny"):
        body = {"binding": one["binding"]}
        assert (await desk.ask("POST", f"{BASE}/{one['request_id']}/{what}", body, by="looks"))[0] == 403
    assert await desk.office.state(one["request_id"]) == "pending"


async def test_an_approval_runs_the_function(desk):
    one = await desk.asked()
    path = f"{BASE}/{one['request_id'][:8]}/approve"
    status, data = await desk.ask("POST", path, {"binding": one["binding"], "reason": "known customer"})
    assert (status, data["verdict"], data["approval"]["approved_by"]) == (200, "approve", ["anna"])
    assert await desk.office.settled(one["request_id"]) == "succeeded"
    (entry,) = [row for row in await desk.office.gates.audit("c1") if row["type"] == "approved"]
    assert (entry["actor"], entry["facts"]["via"]) == ("anna", "api")
    status, data = await desk.ask("POST", path, {"binding": one["binding"]})
    assert (status, data["code"]) == (409, "already_decided")


async def test_a_denial_says_why(desk):
    one = await desk.asked()
    body = {"binding": one["binding"], "reason": "too much"}
    status, data = await desk.ask("POST", f"{BASE}/{one['request_id']}/deny", body)
    assert (status, data["approval"]["state"], data["approval"]["reason"]) == (200, "denied", "too much")


async def test_another_form_is_approved_as_it_was_changed_and_only_within_its_rule(desk):
    one = await desk.asked("big", arguments='{"amount": 900}')
    path = f"{BASE}/{one['request_id']}/approve"
    body = {"binding": one["binding"], "arguments": {"amount": 5000}}
    assert (await desk.ask("POST", path, body))[1]["code"] == "other_rule"
    status, data = await desk.ask("POST", path, {**body, "arguments": {"amount": "lots"}})
    assert (status, data["code"]) == (422, "bad_arguments")
    status, data = await desk.ask("POST", path, {**body, "arguments": {"amount": 100}})
    assert (status, data["approval"]["edited_by"], data["approval"]["arguments"]) == (
        200,
        "anna",
        {"amount": 100},
    )
    assert await desk.office.settled(one["request_id"]) == "succeeded"
    assert desk.office.done[0][:2] == ("big", 100)


async def test_two_have_to_approve_and_the_second_one_what_they_saw(desk):
    one = await desk.asked("two")
    path = f"{BASE}/{one['request_id']}/approve"
    assert (await desk.ask("POST", path, {"binding": one["binding"]}))[0] == 200
    status, data = await desk.ask("POST", path, {"binding": one["binding"]})
    assert (status, data["code"]) == (403, "duplicate_approver")
    stale = await desk.ask("POST", path, {"binding": "0" * 64}, by="bert")
    assert (stale[0], stale[1]["code"]) == (409, "wrong_binding")
    assert (await desk.ask("POST", path, {"binding": one["binding"]}, by="bert"))[0] == 200
    assert await desk.office.settled(one["request_id"]) == "succeeded"


@pytest.mark.parametrize(
    ("by", "code"), [("sales", "wrong_group"), ("caller", "own_request"), ("chief", None)]
)
async def test_who_is_not_asked_cannot_decide(desk, by, code):
    one = await desk.asked()
    status, data = await desk.ask(
        "POST", f"{BASE}/{one['request_id']}/approve", {"binding": one["binding"]}, by=by
    )
    assert (status, data.get("code")) == (403, code)
    assert await desk.office.state(one["request_id"]) == "pending"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"binding": ""},
        {"binding": 5},
        {"binding": "x" * 65},
        {"binding": "x", "why": "no such key"},
        {"binding": "x", "reason": "r" * 301},
        {"binding": "x", "arguments": [1]},
    ],
)
async def test_a_body_that_is_none_decides_nothing(desk, body):
    one = await desk.asked()
    assert (await desk.ask("POST", f"{BASE}/{one['request_id']}/approve", body))[0] == 400
    assert await desk.office.state(one["request_id"]) == "pending"


async def test_arguments_have_no_place_in_a_denial(desk):
    one = await desk.asked()
    body = {"binding": one["binding"], "arguments": {"amount": 1}}
    assert (await desk.ask("POST", f"{BASE}/{one['request_id']}/deny", body))[0] == 400


async def test_an_unknown_outcome_is_settled_and_nothing_else_is(desk):
    one = await desk.asked("lost")
    assert (await desk.ask("POST", f"{BASE}/{one['request_id']}/approve", {"binding": one["binding"]}))[
        0
    ] == 200
    assert await desk.office.settled(one["request_id"]) == "unknown"
    path = f"{BASE}/{one['request_id']}/reconcile"
    for body in (
        {},
        {"outcome": "maybe", "note": "x"},
        {"outcome": "failed"},
        {"outcome": "failed", "note": ""},
    ):
        assert (await desk.ask("POST", path, body))[0] == 400
    status, data = await desk.ask("POST", path, {"outcome": "failed", "note": "the bank has nothing"})
    assert (status, data["approval"]["state"]) == (200, "failed")
    other = await desk.asked(function_call_id="f9")
    status, data = await desk.ask(
        "POST", f"{BASE}/{other['request_id']}/reconcile", {"outcome": "failed", "note": "x"}
    )
    assert (status, data["code"]) == (409, "not_unknown")


async def test_the_caller_is_asked_something_first_and_nothing_is_decided(desk):
    one = await desk.asked()
    path = f"{BASE}/{one['request_id']}/ask"
    status, data = await desk.ask("POST", path, {"question": "Which order\nwas it?"})
    (asked,) = data["approval"]["questions"]
    assert (status, data["verdict"], data["approval"]["state"]) == (200, "ask", "pending")
    assert (asked["number"], asked["by"], asked["state"]) == (1, "anna", "asking")
    assert asked["text"] == "Which order was it?", "as the gate cleans it, for whoever asks"
    (entry,) = [row for row in await desk.office.gates.audit("c1") if row["type"] == "question"]
    assert (entry["actor"], entry["facts"]["via"]) == ("anna", "api")
    assert "order" not in repr(entry["facts"]), "what was said lies apart"
    status, data = await desk.ask("POST", path, {"question": "And why?"}, by="bert")
    assert (status, data["code"]) == (409, "one_at_a_time")
    _, seen = await desk.ask("GET", f"{BASE}/{one['request_id']}", by="looks")
    assert (seen["questions"][0]["by"], seen["questions"][0]["text"]) == ("anna", "")


@pytest.mark.parametrize(
    ("by", "code"), [("sales", "wrong_group"), ("caller", "own_request"), ("chief", None)]
)
async def test_who_could_not_decide_asks_the_caller_nothing(desk, by, code):
    one = await desk.asked()
    path = f"{BASE}/{one['request_id']}/ask"
    status, data = await desk.ask("POST", path, {"question": "Who are you?"}, by=by)
    assert (status, data.get("code")) == (403, code)
    assert (await desk.ask("GET", f"{BASE}/{one['request_id']}"))[1]["questions"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"question": ""}, 400),
        ({"question": "q" * 301}, 400),
        ({"question": "Why?", "binding": "x"}, 400),
        ({"question": " \n ?!"}, 422),
    ],
)
async def test_a_question_that_is_none_is_not_asked(desk, body, status):
    one = await desk.asked()
    assert (await desk.ask("POST", f"{BASE}/{one['request_id']}/ask", body))[0] == status


async def test_a_question_needs_no_second_factor_where_an_approval_does(desk):
    """As on the page: it decides nothing."""
    desk.office.source.step_up = StepUp(risks=["money"])
    one = await desk.asked()
    path = f"{BASE}/{one['request_id']}"
    status, data = await desk.ask("POST", f"{path}/approve", {"binding": one["binding"]})
    assert (status, data["code"]) == (403, "step_up")
    assert (await desk.ask("POST", f"{path}/ask", {"question": "Which card?"}))[0] == 200


async def test_a_token_decides_by_the_roles_it_has_not_by_all_of_its_users(desk):
    """Who gave a program the role approver did not give it admin, who may settle for every group."""
    one = await desk.asked("lost")
    await desk.ask("POST", f"{BASE}/{one['request_id']}/approve", {"binding": one["binding"]})
    assert await desk.office.settled(one["request_id"]) == "unknown"
    await desk.office.users.put(User("both", frozenset({"admin", "approver"}), frozenset({"sales"})))
    desk.tokens["both"] = await desk.office.users.give_token("both", "test", None, ["approver"])
    path, body = f"{BASE}/{one['request_id']}/reconcile", {"outcome": "succeeded", "note": "x"}
    status, data = await desk.ask("POST", path, body, by="both")
    assert (status, data["code"]) == (403, "wrong_group")
    desk.tokens["both"] = await desk.office.users.give_token("both", "test", None)
    assert (await desk.ask("POST", path, body, by="both"))[0] == 200


@pytest.mark.parametrize(
    ("which", "status"), [("zz", 400), ("abc", 400), ("0000", 404), ("%00%00%00%00", 400)]
)
async def test_an_id_that_is_none_is_said(desk, which, status):
    assert (await desk.ask("GET", f"{BASE}/{which}"))[0] == status


def test_a_request_that_was_forgotten_or_cannot_be_read_is_shown_all_the_same():
    row = StoredRequest("r1", "c1", "f1", "pay", "", "succeeded", 3, {}, 1.0, 2.0)
    one = shown(row, personal=True)
    assert (one["tool"], one["arguments"], one["caller"], one["approved_by"]) == ("pay", {}, None, [])
