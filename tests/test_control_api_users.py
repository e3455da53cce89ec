"""Users and tokens over the API: for admins only, and nobody locks everybody out."""

import os
import pwd
from functools import partial

import pytest

from bridge.approval.signing import Signer
from bridge.console.deeds import Deeds
from bridge.console.roster import Roster
from bridge.control_api_users import UsersApi
from bridge.store.gatestore import GateStore
from bridge.store.peoplestore import PeopleStore
from bridge.store.userstore import User, UserStore, keep_password
from tests.fakes.api import running_api

USERS, TOKENS = "/api/v1/users", "/api/v1/tokens"
ANN = {"name": "ann", "roles": ["approver"], "groups": ["boss"], "numbers": ["+4930123"]}


def running(folder, **rules):
    def routes(store):
        users = UserStore(store)
        deeds = Deeds(GateStore(store, Signer(folder / "keys")))
        return UsersApi(users, Roster(users, PeopleStore(store), deeds), **rules).routes()

    return running_api(folder, routes)


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path) as found:
        yield found


async def audit(api):
    return [(one["type"], one["actor"], one["facts"]) for one in await GateStore(api.store).audit()]


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
async def test_only_an_admin_sees_or_changes_users(api, role):
    for method, path, body in (
        ("GET", USERS, None),
        ("POST", USERS, ANN),
        ("DELETE", f"{USERS}/a-admin", None),
        ("GET", TOKENS, None),
        ("POST", f"{USERS}/a-admin/tokens", {}),
        ("DELETE", f"{TOKENS}/x", None),
    ):
        assert (await api.ask(method, path, body, role))[0] == 403, path


async def test_a_user_is_added_changed_and_removed(api):
    status, made = await api.ask("POST", USERS, ANN, "admin")
    assert (status, made | ANN) == (200, made)
    _, changed = await api.ask("POST", USERS, {"name": "ann", "roles": ["viewer"], "disabled": True}, "admin")
    assert (changed["roles"], changed["groups"], changed["disabled"]) == (["viewer"], [], True)
    _, data = await api.ask("GET", USERS, role="admin")
    assert "ann" in [one["name"] for one in data["users"]]
    assert await api.ask("DELETE", f"{USERS}/ann", role="admin") == (200, {"name": "ann", "removed": True})
    assert (await api.ask("DELETE", f"{USERS}/ann", role="admin"))[0] == 404


async def test_where_decisions_need_a_second_factor_a_token_gives_nobody_more_than_they_have(tmp_path):
    """A stolen token has none: it would make an approver of somebody with a password, who sets up their own factor."""
    ann = {"name": "ann", "roles": ["viewer"], "groups": ["desk"], "numbers": ["+491"]}
    async with running(tmp_path, step_up=True) as api:
        assert (await api.ask("POST", USERS, ann, "admin"))[0] == 200, "nobody can sign in as somebody new"
        for more in ({"roles": ["approver"]}, {"groups": ["desk", "boss"]}, {"numbers": []}):
            status, told = await api.ask("POST", USERS, ann | more, "admin")
            assert (status, told["code"]) == (403, "step_up"), more
        assert (await api.ask("POST", USERS, ann | {"disabled": True}, "admin"))[0] == 200
        assert (await api.ask("POST", USERS, ann, "admin"))[0] == 403
        assert (await api.ask("POST", USERS, ann | {"roles": ["approver"]}, ""))[0] == 200, "on the machine"


async def test_the_last_admin_stays_one(api):
    for body in (
        {"name": "a-admin", "roles": []},
        {"name": "a-admin", "roles": ["admin"], "disabled": True},
    ):
        assert (await api.ask("POST", USERS, body, "admin"))[0] == 409
    assert (await api.ask("DELETE", f"{USERS}/a-admin", role="admin"))[0] == 409
    await api.ask("POST", USERS, {"name": "eve", "roles": ["admin"]}, "admin")
    assert (await api.ask("DELETE", f"{USERS}/a-admin", role="admin"))[0] == 200


async def test_an_admin_who_cannot_sign_in_is_no_other_admin(api):
    """The rule of the console's page: eve has no password, so with root gone nobody could sign in to give her one."""
    root = User("root", frozenset({"admin"}), frozenset())
    await PeopleStore(api.store).add(root)
    await api.store.transaction("test", partial(keep_password, name="root", hashed="$argon2id$"))
    status, told = await api.ask("DELETE", f"{USERS}/root", role="admin")
    assert (status, "last admin who can sign in" in told["error"]) == (409, True)
    assert (await api.ask("POST", USERS, {"name": "root", "roles": ["viewer"]}, "admin"))[0] == 409
    assert (await UserStore(api.store).user("root")).roles == {"admin"}
    assert await audit(api) == [], "what was refused is no deed"


async def test_the_audit_says_who_did_what_to_whom(api):
    await api.ask("POST", USERS, ANN, "admin")
    await api.ask("POST", USERS, {"name": "ann", "roles": ["viewer"]}, "admin")
    _, made = await api.ask("POST", f"{USERS}/ann/tokens", {"label": "crm"}, "")
    token_id = made["token"].split("_")[1]
    await api.ask("DELETE", f"{TOKENS}/{token_id}", role="admin")
    await api.ask("DELETE", f"{USERS}/ann", role="admin")
    found = await audit(api)
    assert {by for what, by, _ in found if what != "token_given"} == {"a-admin"}
    assert found[2][1] == pwd.getpwuid(os.geteuid()).pw_name
    assert [(what, facts["whose"]) for what, _, facts in found] == [
        (what, "ann")
        for what in ("user_added", "user_changed", "token_given", "token_revoked", "user_removed")
    ]
    assert (found[1][2]["was_roles"], found[1][2]["roles"]) == (["approver"], ["viewer"])
    assert {found[2][2]["token"], found[3][2]["token"]} == {token_id}
    assert "+4930123" not in repr(found), "the audit's facts are for ever"
    assert made["token"].split("_", 2)[2] not in repr(found)


async def test_what_a_provider_says_of_somebody_is_not_said_otherwise(api):
    carl = User("carl", frozenset({"viewer"}), frozenset({"sales"}), subject="https://id.example 17")
    await PeopleStore(api.store).add(carl)
    wanted = {"name": "carl", "roles": ["admin"], "groups": ["sales"]}
    assert (await api.ask("POST", USERS, wanted, "admin"))[0] == 409
    wanted |= {"roles": ["viewer"], "disabled": True}
    assert (await api.ask("POST", USERS, wanted, "admin"))[0] == 200


async def test_a_token_is_shown_once_and_works_until_it_is_taken_back(api):
    status, made = await api.ask("POST", f"{USERS}/a-viewer/tokens", {"label": "crm", "days": 1}, "")
    assert (status, made["user"]) == (201, "a-viewer")
    api.tokens["made"] = made["token"]
    assert (await api.ask("GET", "/api/v1/calls", role="made"))[0] == 200
    _, data = await api.ask("GET", TOKENS, role="admin")
    (one,) = [token for token in data["tokens"] if token["label"] == "crm"]
    assert made["token"].split("_", 2)[2] not in repr(data)
    assert (await api.ask("DELETE", f"{TOKENS}/{one['token_id']}", role="admin"))[0] == 200
    assert (await api.ask("GET", "/api/v1/calls", role="made"))[0] == 401
    assert (await api.ask("DELETE", f"{TOKENS}/{one['token_id']}", role="admin"))[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "ann"},
        {"name": "", "roles": []},
        {"name": "a b", "roles": []},
        {"name": "ann", "roles": ["king"]},
        {"name": "ann", "roles": "admin"},
        {"name": "ann", "roles": [], "groups": ["-"]},
        {"name": "ann", "roles": [], "numbers": ["anna"]},
        {"name": "ann", "roles": [], "disabled": "no"},
        {"name": "ann", "roles": [], "password": "x"},
        {"name": "ann", "roles": ["viewer"] * 65},
    ],
)
async def test_a_user_that_makes_no_sense_is_refused(api, body):
    assert (await api.ask("POST", USERS, body, "admin"))[0] == 400


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("nobody", {}, 404),
        ("a-viewer", {"days": 0}, 400),
        ("a-viewer", {"days": True}, 400),
        ("a-viewer", {"days": 99999}, 400),
        ("a-viewer", {"label": "x" * 101}, 400),
        ("a-viewer", {"forever": True}, 400),
    ],
)
async def test_a_token_for_nobody_or_for_ever_and_ever_is_none(api, name, body, status):
    assert (await api.ask("POST", f"{USERS}/{name}/tokens", body, ""))[0] == status


async def test_a_token_makes_no_token_whatever_its_roles(api):
    """Who steals one would make others, which live on when it is taken back, and for whoever may more."""
    for whose in ("a-admin", "a-approver", "nobody"):
        status, told = await api.ask("POST", f"{USERS}/{whose}/tokens", {}, "admin")
        assert (status, told["code"]) == (403, "token"), whose
    headers = {"authorization": f"Bearer {api.tokens['admin']}"}
    assert (await api.ask("POST", f"{USERS}/a-admin/tokens", {}, "", headers=headers))[0] == 403, (
        "by the socket too"
    )
    assert len(await UserStore(api.store).tokens()) == len(api.tokens)
    assert await audit(api) == []


async def test_a_token_gives_its_own_user_nothing_that_it_would_have_with_them(api):
    more = {"name": "a-admin", "roles": ["admin", "approver"], "groups": ["boss"]}
    status, told = await api.ask("POST", USERS, more, "admin")
    assert (status, told["code"]) == (403, "token")
    assert (await UserStore(api.store).user("a-admin")).roles == {"admin"}
    assert (await api.ask("POST", USERS, more, ""))[0] == 200, "on the machine"
    less = {"name": "a-admin", "roles": ["admin"]}
    assert (await api.ask("POST", USERS, less, "admin"))[0] == 200
