"""The own account: nothing that is a way in is made without a proof, and what is secret is shown once."""

import re
import time
from html import unescape

import pytest

from bridge.console.account import MAX_TOKENS
from bridge.store.sessionstore import SessionStore
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes.codes import Codes
from tests.fakes.console import PASSWORD, words

HERE = "/console/account"


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        await consoles.give_password(found, "anna")
        yield found


async def add_app(browser, **fields):
    """An authenticator app, set up as a person does; its codes."""
    page = await browser.post(f"{HERE}/totp", page=HERE, label="phone", proof_password=PASSWORD, **fields)
    app = Codes(re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)[1].replace(" ", ""))
    answer = await confirm(browser, page, app.next())
    return app, answer


async def confirm(browser, page, code):
    """The form on the page with the secret."""
    hidden = dict(re.findall(r'name="(csrf|setup)" value="(\w+)"', page.text))
    return await browser.post(f"{HERE}/totp/confirm", code=code, **hidden)


def secrets_of(answer):
    return re.findall(r"<li><code>([^<]*)</code>", answer.text)


async def test_an_app_is_set_up_after_the_password_and_gives_recovery_codes_once(house):
    browser = await house.as_("anna")
    asked = await browser.post(f"{HERE}/totp", page=HERE, label="phone")
    assert (asked.status_code, 'name="proof_password"' in asked.text) == (409, True)
    assert 'name="label" value="phone"' in asked.text, "and it goes on with what was wanted"
    wrong = await browser.post(f"{HERE}/totp", page=HERE, label="phone", proof_password="wrong")
    assert "The password is wrong" in words(wrong.text)
    page = await browser.post(f"{HERE}/totp", page=HERE, label="phone", proof_password=PASSWORD)
    assert '<svg class="qr"' in page.text
    assert "otpauth://totp/" in unescape(page.text)
    _, answer = await add_app(browser)
    assert len(secrets_of(answer)) == 10
    shown = (await browser.get(HERE)).text
    assert "phone" in words(shown)
    assert "10 recovery codes left" in words(shown)
    assert not [code for code in secrets_of(answer) if code in shown]
    entries = [one for one in await house.office.gates.audit() if one["type"] == "factor_added"]
    assert [(one["actor"], one["facts"]["kind"]) for one in entries] == [("anna", "totp")]


async def test_a_wrong_code_sets_nothing_up(house):
    browser = await house.as_("anna")
    page = await browser.post(f"{HERE}/totp", page=HERE, proof_password=PASSWORD)
    answer = await confirm(browser, page, "12")
    assert (answer.status_code, "not right" in words(answer.text)) == (400, True)
    assert "You have none yet" in words((await browser.get(HERE)).text)


async def test_a_stolen_session_does_not_see_the_secret_that_somebody_sets_up(house):
    """The page that says a code was wrong has the secret on it: it is for who proved themselves before."""
    browser, thief = await house.as_("anna"), await house.as_("anna")
    page = await browser.post(f"{HERE}/totp", page=HERE, proof_password=PASSWORD)
    assert 'id="secret"' in page.text
    answer = await thief.post(f"{HERE}/totp/confirm", page=HERE, code="000000")
    assert (answer.status_code, 'id="secret"' in answer.text) == (410, False)


@pytest.mark.parametrize("path", ["totp", "codes", "tokens", "factors/x/remove"])
async def test_who_has_a_factor_is_asked_for_it_and_the_password_does_not_do(house, path):
    browser = await house.as_("anna")
    app, _ = await add_app(browser)
    later = await house.as_("anna")  # a session in which nothing was proved
    fields = {"label": "x", "days": "7", "role__approver": "1"}
    asked = await later.post(f"{HERE}/{path}", page=HERE, proof_password=PASSWORD, **fields)
    assert (asked.status_code, 'name="code"' in asked.text) == (409, True)
    assert PASSWORD not in asked.text
    done = await later.post(f"{HERE}/{path}", page=HERE, code=app.next(), **fields)
    assert done.status_code in {200, 303, 404}


async def test_who_signed_in_elsewhere_and_not_lately_signs_in_again(house):
    await house.office.users.put(User("carl", frozenset({"viewer"}), frozenset()))
    browser = house.browser()
    secret = await SessionStore(house.office.store, 3600, 43_200).begin("carl", time.time() - 1200)
    browser.client.cookies.set("sipbridge", secret, domain="127.0.0.1", path="/")
    answer = await browser.post(f"{HERE}/totp", page=HERE)
    assert (answer.status_code, "sign out, sign in" in words(answer.text)) == (409, True)


async def test_a_new_password_wants_the_old_one_and_ends_all_other_sessions(house):
    browser, other = await house.as_("anna"), await house.as_("anna")
    new = "another long password"
    for fields, says in (
        ({"proof_password": "wrong", "password": new, "again": new}, "password is wrong"),
        ({"proof_password": PASSWORD, "password": new, "again": "x"}, "not the same"),
        ({"proof_password": PASSWORD, "password": "short", "again": "short"}, "at least 12"),
    ):
        answer = await browser.post(f"{HERE}/password", page=HERE, **fields)
        assert says in words(answer.text)
    before = browser.client.cookies["sipbridge"]
    answer = await browser.post(
        f"{HERE}/password", page=HERE, proof_password=PASSWORD, password=new, again=new
    )
    assert answer.status_code == 303
    assert browser.client.cookies["sipbridge"] != before
    assert (await browser.get(HERE)).status_code == 200
    assert (await other.get(HERE)).status_code == 303
    assert (await house.browser().sign_in("anna", new)).status_code == 303


async def test_sessions_are_shown_and_ended_but_only_one_s_own(house):
    browser, other, berts = await house.as_("anna"), await house.as_("anna"), await house.as_("bert")
    page = await browser.get(HERE)
    (shown,) = re.findall(r"account/sessions/(\w{16})/end", page.text)
    assert (await berts.post(f"{HERE}/sessions/{shown}/end", page=HERE)).status_code == 303
    assert (await other.get(HERE)).status_code == 200, "another's is not ended"
    await browser.post(f"{HERE}/sessions/{shown}/end", page=HERE)
    assert (await other.get(HERE)).status_code == 303
    third = await house.as_("anna")
    await browser.post(f"{HERE}/sessions/end", page=HERE)
    assert (await third.get(HERE)).status_code == 303
    assert (await browser.get(HERE)).status_code == 200
    assert (await berts.get(HERE)).status_code == 200


async def test_a_token_is_shown_once_and_has_no_more_than_was_chosen(house):
    await house.office.users.put(User("anna", frozenset({"approver", "operator"}), frozenset({"boss"})))
    browser = await house.as_("anna")
    fields = {"label": "<b>nightly", "days": "30", "role__operator": "1", "role__admin": "1"}
    made = await browser.post(f"{HERE}/tokens", page=HERE, proof_password=PASSWORD, **fields)
    (token,) = secrets_of(made)
    assert (await house.office.users.by_token(token, time.time())).roles == {"operator"}
    assert await house.office.users.by_token(token, time.time() + 31 * 86_400) is None
    page = await browser.get(HERE)
    assert token not in page.text
    assert "<b>nightly" not in page.text
    assert "<b>nightly" in unescape(page.text)
    (shown,) = re.findall(r"account/tokens/(\w+)/revoke", page.text)
    berts = await house.as_("bert")
    assert (await berts.post(f"{HERE}/tokens/{shown}/revoke", page=HERE)).status_code == 404
    assert (await browser.post(f"{HERE}/tokens/{shown}/revoke", page=HERE)).status_code == 303
    assert await house.office.users.by_token(token, time.time()) is None
    deeds = [one["type"] for one in await house.office.gates.audit()]
    assert deeds.count("token_given") == deeds.count("token_revoked") == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"label": "", "days": "30", "role__approver": "1"},
        {"label": "x", "days": "30"},
        {"label": "x", "days": "3000", "role__approver": "1"},
        {"label": "x", "days": "30", "role__admin": "1"},
    ],
)
async def test_a_token_needs_a_purpose_an_end_and_a_role_that_one_has(house, fields):
    browser = await house.as_("anna")
    answer = await browser.post(f"{HERE}/tokens", page=HERE, proof_password=PASSWORD, **fields)
    assert answer.status_code == 400
    assert await house.office.users.tokens() == []


async def test_there_are_only_so_many_tokens(house):
    for number in range(MAX_TOKENS):
        await house.office.users.give_token("anna", str(number), None)
    browser = await house.as_("anna")
    fields = {"label": "x", "days": "30", "role__approver": "1", "proof_password": PASSWORD}
    assert (await browser.post(f"{HERE}/tokens", page=HERE, **fields)).status_code == 400


async def test_at_an_address_without_a_name_there_are_no_passkeys(house):
    browser = await house.as_("anna")
    assert "an IP address will not do" in words((await browser.get(HERE)).text)
    assert (await browser.post(f"{HERE}/passkey", page=HERE, proof_password=PASSWORD)).status_code == 400
    assert (await browser.post(f"{HERE}/passkey/ask", page=HERE)).status_code == 400
