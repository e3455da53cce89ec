"""The users' pages: for admins, audited, and nobody takes the last one away."""

import re

import pyotp
import pytest

from bridge.console.factors import Factors
from bridge.console.people import wanted
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes import office as offices
from tests.fakes.codes import Codes
from tests.fakes.console import PASSWORD, words

HERE = "/console/users"
WAYS = ("/link", "/factors", "/sessions", "/tokens", "/remove")


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        await consoles.give_password(found, "chief", "anna")
        yield found


async def deeds(house):
    return [(one["type"], one["actor"], one["facts"]) for one in await house.office.gates.audit()]


@pytest.mark.parametrize("who", ["anna", "sales"])
@pytest.mark.parametrize(
    "path", ["", "/anna", "/anna/link", "/anna/factors", "/anna/sessions", "/anna/tokens", "/anna/remove"]
)
async def test_nobody_but_an_admin_sees_or_does_anything_here(house, who, path):
    browser = await house.as_(who)
    assert (await browser.get(HERE)).status_code == 403
    answer = await browser.post(
        HERE + path, page="/console/account", name="eve", role__admin="1", sure="anna"
    )
    assert answer.status_code == 403
    assert await house.office.users.user("eve") is None
    assert await house.office.users.user("anna")


async def test_an_admin_adds_a_user_who_chooses_a_password_by_a_link_that_works_once(house):
    chief = await house.as_("chief")
    fields = {"name": "dora", "role__approver": "1", "groups": "boss, sales", "numbers": "+49301"}
    answer = await chief.post(HERE, page=HERE, **fields)
    assert answer.headers["location"] == f"{HERE}/dora?done=1"
    made = await house.office.users.user("dora")
    assert (made.roles, made.groups, made.numbers) == ({"approver"}, {"boss", "sales"}, {"+49301"})
    shown = await chief.post(f"{HERE}/dora/link", page=f"{HERE}/dora")
    link = re.search(rf"{house.base}(/console/link/[\w-]+)", shown.text)[1]
    dora = house.browser()
    assert (await dora.post(link, page=link, password=PASSWORD, again=PASSWORD)).status_code == 303
    assert "dora" in words((await dora.get("/console/account")).text)
    assert (await house.browser().get(link)).status_code == 410
    done = await deeds(house)
    assert [(what, by, facts["whose"]) for what, by, facts in done] == [
        ("user_added", "chief", "dora"),
        ("link_given", "chief", "dora"),
    ]
    assert "+49301" not in str(done), "the audit's facts are for ever"


async def test_a_change_counts_at_once_and_the_audit_has_before_and_after(house):
    chief, anna = await house.as_("chief"), await house.as_("anna")
    await chief.post(f"{HERE}/anna", page=f"{HERE}/anna", role__viewer="1", groups="boss")
    assert (await house.office.users.user("anna")).roles == {"viewer"}
    opened = await house.office.call()
    assert (await anna.decide(opened["request_id"])).status_code == 403
    ((_, by, facts),) = [one for one in await deeds(house) if one[0] == "user_changed"]
    assert (by, facts["was_roles"], facts["roles"]) == ("chief", ["approver"], ["viewer"])
    await chief.post(f"{HERE}/anna", page=f"{HERE}/anna", role__viewer="1", disabled="1")
    assert (await anna.get("/console/")).status_code == 303


async def test_the_last_admin_cannot_be_taken_away_not_even_by_themselves(house):
    chief = await house.as_("chief")
    for path, fields in (
        ("", {"role__viewer": "1"}),
        ("", {"role__admin": "1", "disabled": "1"}),
        ("/remove", {"sure": "chief"}),
    ):
        answer = await chief.post(f"{HERE}/chief{path}", page=f"{HERE}/chief", **fields)
        assert (answer.status_code, "last admin" in words(answer.text)) == (400, True)
    assert (await house.office.users.user("chief")).roles == {"admin"}


async def test_to_remove_somebody_one_types_the_name(house):
    chief = await house.as_("chief")
    page = f"{HERE}/anna"
    assert (await chief.post(f"{page}/remove", page=page, sure="bert")).status_code == 400
    assert await house.office.users.user("anna")
    assert (await chief.post(f"{page}/remove", page=page, sure="anna")).status_code == 303
    assert await house.office.users.user("anna") is None
    assert (await chief.get(page)).status_code == 404


async def test_a_lost_phone_is_reset_and_who_may_have_found_it_is_out(house):
    factors = Factors(house.office.store, offices.KEY)
    setup = await factors.begin_totp("anna", "phone")
    assert await factors.confirm_totp("anna", pyotp.TOTP(setup.secret).now())
    chief, anna = await house.as_("chief"), await house.as_("anna")
    page = await chief.get(f"{HERE}/anna")
    assert "1 second factors" in words(page.text)
    await chief.post(f"{HERE}/anna/factors", page=f"{HERE}/anna")
    assert not await factors.has("anna")
    assert (await anna.get("/console/")).status_code == 303
    assert ("factors_reset", "chief", {"whose": "anna"}) in await deeds(house)


async def test_sessions_and_tokens_of_somebody_are_ended(house):
    chief, anna = await house.as_("chief"), await house.as_("anna")
    await house.office.users.give_token("anna", "x", None)
    await chief.post(f"{HERE}/anna/sessions", page=f"{HERE}/anna")
    await chief.post(f"{HERE}/anna/tokens", page=f"{HERE}/anna")
    assert (await anna.get("/console/")).status_code == 303
    assert await house.office.users.tokens() == []
    await chief.post(f"{HERE}/chief/sessions", page=f"{HERE}/chief")
    assert (await chief.get(HERE)).status_code == 200, "not the one that asks"


async def test_where_decisions_need_a_second_factor_making_users_does_too(tmp_path):
    """Else an admin's stolen session would make an approver whose factor is the thief's."""
    async with consoles.running(tmp_path, step_up={"amount": 500}) as house:
        chief = await house.as_("chief")
        answer = await chief.post(HERE, page=HERE, name="eve", role__approver="1", groups="boss")
        assert (answer.status_code, "you have none" in words(answer.text)) == (409, True)
        assert await house.office.users.user("eve") is None
        factors = Factors(house.office.store, offices.KEY)
        app = Codes((await factors.begin_totp("chief", "phone")).secret)
        assert await factors.confirm_totp("chief", app.next())
        fields = {"name": "eve", "role__approver": "1", "groups": "boss"}
        asked = await chief.post(HERE, page=HERE, **fields)
        assert 'name="role.approver" value="1"' in asked.text
        assert (await chief.post(HERE, page=HERE, code=app.next(), **fields)).status_code == 303


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "no name"}, "letters"),
        ({"name": "anna"}, "already"),
        ({"name": "x", "groups": "a/b"}, "no name of a group"),
        ({"name": "x", "numbers": "0301-2"}, "no telephone number"),
        ({"name": "x", "groups": " ".join(f"g{n}" for n in range(60))}, "At most 50"),
        ({"name": "<script>"}, "letters"),
    ],
)
async def test_what_cannot_be_a_user_is_refused_and_what_was_typed_stays(house, fields, says):
    chief = await house.as_("chief")
    answer = await chief.post(HERE, page=HERE, **fields)
    assert (answer.status_code, says in words(answer.text)) == (400, True)
    assert "<script>" not in answer.text.replace("<script src=", "")


def test_roles_of_who_is_signed_in_by_a_provider_are_not_a_form_s_to_change():
    carl = User("carl", frozenset({"viewer"}), frozenset({"x"}), subject="https://id.example 1")
    found = wanted(carl, {"role.admin": "1", "groups": "boss", "numbers": "+491", "disabled": "1"})
    assert (found.roles, found.groups, found.numbers, found.disabled) == ({"viewer"}, {"x"}, {"+491"}, True)
