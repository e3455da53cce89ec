"""Links to a call over the API: who may makes them, they are seen once, and end when they should."""

import pytest

from bridge.approval.signing import Signer
from bridge.console.deeds import Deeds
from bridge.control_api_shares import SharesApi
from bridge.store.gatestore import GateStore
from bridge.store.historystore import HistoryStore
from bridge.store.sharestore import MAX_AN_HOUR, ShareStore
from bridge.store.userstore import User, UserStore
from tests.fakes.api import running_api
from tests.fakes.events import conversation

CALL, OTHER = "aaaa" * 8, "bbbb" * 8
SHARES = f"/api/v1/calls/{CALL}/shares"
NOW = 1e9


@pytest.fixture
async def api(tmp_path):
    def routes(store):
        deeds = Deeds(GateStore(store, Signer(tmp_path / "keys")))
        return SharesApi(HistoryStore(store), ShareStore(store), deeds, "https://pbx.example/").routes()

    async with running_api(tmp_path, routes) as found:
        await found.store.write(0, conversation(call_id=CALL))
        await found.store.write(0, conversation(call_id=OTHER, boot="b2"))
        yield found


async def test_a_link_is_made_listed_without_its_secret_and_revoked(api):
    status, made = await api.ask("POST", SHARES, {"hours": 24})
    assert status == 201
    secret = made["path"].removeprefix("/console/shared/")
    assert made["url"] == f"https://pbx.example{made['path']}"
    share = made["share"]
    assert (share["call_id"], share["user"]) == (CALL, "a-operator")
    assert share["expires_at"] - share["created_at"] == 24 * 3600
    assert (await ShareStore(api.store).find(secret, share["created_at"])).share_id == share["share_id"]
    status, listed = await api.ask("GET", SHARES)
    assert (status, listed["shares"], secret in repr(listed)) == (200, [share], False)
    other = SHARES.replace(CALL, OTHER)
    assert (await api.ask("DELETE", f"{other}/{share['share_id']}"))[0] == 404
    assert (await api.ask("DELETE", f"{SHARES}/{share['share_id']}", role="approver"))[0] == 200
    assert await ShareStore(api.store).find(secret, share["created_at"]) is None
    assert (await api.ask("DELETE", f"{SHARES}/{share['share_id']}"))[0] == 404
    assert (await api.ask("GET", SHARES))[1] == {"shares": []}
    told = [(one["type"], one["actor"], one["facts"]) for one in await GateStore(api.store).audit(CALL)]
    facts = {"share_id": share["share_id"], "via": "api"}
    assert told == [
        ("call_shared", "a-operator", {**facts, "hours": 24}),
        ("call_unshared", "a-approver", facts),
    ]
    assert secret not in repr(await GateStore(api.store).evidence()), "whoever reads the audit has no link"


async def test_who_may_not_see_persons_shares_none(api):
    for method, path, body in (
        ("GET", SHARES, None),
        ("POST", SHARES, {"hours": 1}),
        ("DELETE", f"{SHARES}/x", None),
    ):
        assert (await api.ask(method, path, body, "viewer"))[0] == 403


@pytest.mark.parametrize(
    "body", [{}, {"hours": 0}, {"hours": 721}, {"hours": "1"}, {"hours": True}, {"hours": 1, "x": 1}]
)
async def test_a_link_for_ever_or_for_no_time_is_none(api, body):
    assert (await api.ask("POST", SHARES, body))[0] == 400


async def test_a_link_that_would_show_nothing_is_not_given(api):
    """The account of this machine may do all, but the store has no user of its name: nobody's right would hold it."""
    status, told = await api.ask("POST", SHARES, {"hours": 1}, role="")
    assert (status, "no user" in told["error"]) == (409, True)
    assert (await api.ask("GET", SHARES))[1] == {"shares": []}


async def test_one_user_makes_only_so_many_an_hour(api):
    users = UserStore(api.store)
    await users.put(User("busy", frozenset({"operator"}), frozenset()))
    api.tokens["busy"] = await users.give_token("busy", "test", None)
    for _ in range(MAX_AN_HOUR):
        assert (await api.ask("POST", SHARES, {"hours": 1}, "busy"))[0] == 201
    assert (await api.ask("POST", SHARES, {"hours": 1}, "busy"))[0] == 429


@pytest.mark.parametrize(("call_id", "status"), [("f" * 32, 404), ("..%2f", 404), ("xyz!", 400)])
async def test_what_is_no_call_is_said(api, call_id, status):
    assert (await api.ask("GET", f"/api/v1/calls/{call_id}/shares"))[0] == status
