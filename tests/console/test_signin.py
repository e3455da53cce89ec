"""Sign-in, lockout, and the link by which the first admin is made; over real sockets and real hashes."""

import asyncio
import re
import time

import pytest
import structlog

from bridge.console.lockout import NAME_TRIES, of_address
from bridge.console.signin import MAX_AT_ONCE
from bridge.store.sessionstore import FIRST, LinkStore
from bridge.store.trystore import TryStore
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes.console import PASSWORD, words


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        await consoles.give_password(found, "anna")
        yield found


async def link(house, user=FIRST, valid_s=60.0):
    return f"/console/link/{await LinkStore(house.office.store).give(user, time.time(), valid_s)}"


async def nobody(house):
    for user in await house.office.users.users():
        await house.office.users.remove(user.name)


async def test_who_has_a_password_signs_in_and_goes_where_they_wanted_to(house):
    browser = house.browser()
    first = await browser.get("/console/approvals")
    page = first.headers["location"]
    answer = await browser.post(
        "/console/sign-in", page=page, name="anna", password=PASSWORD, next="/console/approvals"
    )
    assert answer.headers["location"] == "/console/approvals"
    assert "anna" in words((await browser.get("/console/approvals")).text)


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("bert", ""), ("", "")]
)
async def test_a_wrong_name_and_a_wrong_password_look_the_same(house, name, password):
    answer = await house.browser().sign_in(name, password)
    assert answer.status_code == 403
    assert "Name or password is wrong." in words(answer.text)
    assert "sipbridge=" not in "".join(answer.headers.get_list("set-cookie")).replace("sipbridge-form=", "")


async def test_after_some_wrong_passwords_even_the_right_one_has_to_wait(house):
    browser = house.browser()
    with structlog.testing.capture_logs() as logs:
        for _ in range(NAME_TRIES):
            assert (await browser.sign_in("anna", "wrong")).status_code == 403
    assert {line.get("pii_name") for line in logs if line["event"] == "console.sign_in_failed"} == {"anna"}
    assert "wrong" not in str([line for line in logs if line["event"].startswith("console.")])
    answer = await browser.sign_in("anna")
    assert answer.status_code == 429
    assert re.search(r"Try again in \d+ seconds", words(answer.text))


@pytest.mark.parametrize(("proxies", "address"), [(["127.0.0.1"], "198.51.100.7"), ([], "127.0.0.1")])
async def test_a_wrong_password_counts_for_the_client_only_where_the_proxy_is_ours(
    tmp_path, proxies, address
):
    async with consoles.running(tmp_path, trusted_proxies=proxies) as house:
        browser = house.browser(**{"x-forwarded-for": "1.2.3.4, 198.51.100.7"})
        with structlog.testing.capture_logs() as logs:
            await browser.sign_in("anna", "wrong")
        (line,) = [line for line in logs if line["event"] == "console.sign_in_failed"]
        assert line["address"] == address
        counted = {}

        def look(found, _now):
            counted.update({key: count for key, (count, _) in found.items()})
            return 1.0

        each = [of_address(one) for one in ("127.0.0.1", "198.51.100.7", "1.2.3.4")]
        await TryStore(house.office.store, 60.0).begin(each, look, time.time())
        assert counted == {key: int(key == of_address(address)) for key in each}


async def test_no_more_passwords_are_hashed_at_a_time_than_the_limit_however_they_come(house):
    """Each takes 64 MB and a core for a while: whoever comes beyond that is told so at once."""
    browser = house.browser()
    page = (await browser.get("/console/sign-in")).text
    csrf = re.search(r'name="csrf" value="(\w+)"', page)[1]
    count = 3 * MAX_AT_ONCE
    tries = (
        browser.post("/console/sign-in", name=f"n{n}", password="wrong", csrf=csrf) for n in range(count)
    )
    answers = [answer.status_code for answer in await asyncio.gather(*tries)]
    assert set(answers) == {403, 503}
    assert answers.count(403) <= 2 * MAX_AT_ONCE


async def test_a_sign_in_form_without_its_cookie_does_nothing(house):
    """Login CSRF: nobody is signed in as somebody else without their doing."""
    answer = await house.browser().post("/console/sign-in", name="anna", password=PASSWORD, csrf="0" * 64)
    assert answer.status_code == 403


async def test_a_name_that_is_markup_is_shown_as_text(house):
    answer = await house.browser().sign_in('"><script>alert(1)</script>', "x")
    assert "<script>alert" not in answer.text


# ---- links -------------------------------------------------------------------------------------------------------


async def test_the_first_admin_is_made_by_a_link_that_works_once(house):
    await nobody(house)
    page, browser = await link(house), house.browser()
    assert "first admin" in words((await browser.get(page)).text)
    answer = await browser.post(page, page=page, name="root.admin", password=PASSWORD, again=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    assert "root.admin" in words((await browser.get("/console/")).text)
    (made,) = await house.office.users.users()
    assert (made.name, made.roles) == ("root.admin", {"admin"})
    assert (await house.browser().get(page)).status_code == 410


async def test_looking_at_a_link_does_not_use_it_up(house):
    page = await link(house, "anna")
    for _ in range(2):
        assert (await house.browser().get(page)).status_code == 200


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "short", "again": "short"}, "12 characters"),
        ({"password": PASSWORD, "again": PASSWORD + "x"}, "not the same"),
        ({"password": "x" * 1001, "again": "x" * 1001}, "at most"),
        ({"password": PASSWORD, "again": PASSWORD, "name": "no name"}, "letters"),
        ({"password": PASSWORD, "again": PASSWORD, "name": ""}, "letters"),
    ],
)
async def test_what_cannot_be_a_user_is_refused_and_the_link_stays(house, fields, says):
    await nobody(house)
    page = await link(house)
    answer = await house.browser().post(page, page=page, **{"name": "boss", **fields})
    assert answer.status_code == 400
    assert says in words(answer.text)
    assert await house.office.users.users() == []
    assert (await house.browser().get(page)).status_code == 200


async def test_a_link_of_a_user_sets_their_password_and_no_other_name(house):
    page = await link(house, "bert")
    old = await house.as_("bert")
    answer = await house.browser().post(
        page, page=page, name="anna", password="a new long one", again="a new long one"
    )
    assert answer.status_code == 303
    assert (await house.office.users.by_password("bert", "a new long one")).roles == {"approver"}
    assert await house.office.users.by_password("anna", PASSWORD) is not None
    assert (await old.get("/console/")).status_code == 303, "who was signed in before is not any more"


async def test_a_link_that_is_none_says_so(house):
    for page in ("/console/link/x", await link(house, "anna", valid_s=-1)):
        answer = await house.browser().get(page)
        assert answer.status_code == 410
        assert "sipbridge users link" in words(answer.text)


async def test_once_there_is_somebody_the_link_of_the_first_admin_is_none(house):
    await nobody(house)
    page = await link(house)
    await house.office.users.put(User("anna", frozenset({"viewer"}), frozenset()))
    answer = await house.browser().post(page, csrf="x", name="eve", password=PASSWORD, again=PASSWORD)
    assert answer.status_code == 403
    assert (await house.browser().get(page)).status_code == 410
