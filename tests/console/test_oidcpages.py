"""Signing in by a provider: a real one on a socket, honest and not. OpenID Connect Core 1.0; RFC 7636; RFC 9207."""

import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.fakes import console as consoles
from tests.fakes import oidc
from tests.fakes.console import words

ROLES = {"staff": ["approver"], "boss": ["admin", "approver"]}


def settings(provider, **more):
    return {
        "issuer": provider.issuer,
        "client_id": oidc.CLIENT,
        "client_secret_env": "OIDC_SECRET",
        "label": "Example Inc.",
        "roles": ROLES,
        "groups": {"staff": ["boss"]},
        **more,
    }


@pytest.fixture
async def provider():
    async with oidc.running() as found:
        yield found


@pytest.fixture
async def house(tmp_path, provider):
    environ = {"OIDC_SECRET": oidc.SECRET}
    async with consoles.running(tmp_path, environ=environ, oidc=settings(provider)) as found:
        yield found


async def there(browser, to="/console/approvals"):
    """At the provider, and its way back."""
    sent = await browser.get(f"/console/oidc?next={to}")
    assert sent.status_code == 303, words(sent.text)
    async with httpx.AsyncClient() as client:
        return sent, (await client.get(sent.headers["location"])).headers["location"]


async def come_back(browser, address):
    parts = urlsplit(address)
    return await browser.get(f"{parts.path}?{parts.query}", **{"sec-fetch-site": "cross-site"})


async def signed_in(browser, to="/console/approvals"):
    return await come_back(browser, (await there(browser, to))[1])


async def test_who_the_provider_signs_in_is_made_and_goes_where_they_wanted_to(house, provider):
    browser = house.browser()
    assert "Sign in by Example Inc." in words((await browser.get("/console/sign-in")).text)
    answer = await signed_in(browser)
    assert answer.status_code == 200
    assert 'content="0; url=/console/approvals"' in answer.text, (
        "our own page asks: the cookie is SameSite=Strict"
    )
    cookies = " ".join(answer.headers.get_list("set-cookie")).lower()
    assert "sipbridge=" in cookies
    assert "samesite=strict" in cookies
    assert "carl" in words((await browser.get("/console/approvals")).text)
    made = await house.office.users.user("carl")
    assert (made.roles, made.groups, made.subject) == ({"approver"}, {"boss"}, f"{provider.issuer} 17")


async def test_the_request_has_state_nonce_and_a_challenge_and_they_are_new_each_time(house, provider):
    browser = house.browser()
    await signed_in(browser)
    await signed_in(browser)
    first, second = provider.asked
    assert first["code_challenge_method"] == "S256"
    assert first["scope"] == "openid profile email"
    assert not [name for name in ("state", "nonce", "code_challenge") if first[name] == second[name]]
    assert provider.discovered == provider.keys_asked == 1, "kept"


async def test_the_cookie_on_the_way_there_is_lax_and_opens_nothing(house):
    browser = house.browser()
    sent, _ = await there(browser)
    (cookie,) = [one for one in sent.headers.get_list("set-cookie") if one.startswith("sipbridge-away=")]
    assert "samesite=lax" in cookie.lower()
    assert "httponly" in cookie.lower()
    value = browser.client.cookies["sipbridge-away"]
    assert (await house.browser(cookie=f"sipbridge={value}").get("/console/")).status_code == 303


@pytest.mark.parametrize("what", ["another browser", "no cookie", "twice", "made up"])
async def test_only_the_browser_that_began_it_comes_back_and_once(house, what):
    browser = house.browser()
    _, back = await there(browser)
    other = house.browser()
    if what == "another browser":  # login CSRF: signed in as somebody else without one's doing
        await there(other)
        answer = await come_back(other, back)
    elif what == "no cookie":
        answer = await come_back(other, back)
    elif what == "twice":
        await come_back(browser, back)
        answer = await come_back(browser, back)
    else:
        answer = await come_back(browser, "/console/oidc/callback?code=x&state=made-up")
    assert answer.status_code == 403
    assert "sipbridge=" not in " ".join(answer.headers.get_list("set-cookie"))
    assert "another browser" in words(answer.text)


@pytest.mark.parametrize("lie", ["other key", "shared secret", "unsigned", "mixed up", "no"])
async def test_what_the_provider_did_not_sign_or_is_another_s_signs_nobody_in(house, provider, lie):
    provider.lie = lie
    answer = await signed_in(house.browser())
    assert answer.status_code == 403
    assert await house.office.users.user("carl") is None


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["bridge", "another"], "azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": 17},
        {"nbf": int(time.time()) + 3600},
    ],
)
async def test_a_token_that_is_not_for_us_now_signs_nobody_in(house, provider, claims):
    provider.token = claims
    answer = await signed_in(house.browser())
    assert (answer.status_code, "could not be trusted" in words(answer.text)) == (403, True)


@pytest.mark.parametrize("lie", ["away", "endless", "elsewhere", "other issuer", "clear"])
async def test_a_provider_that_does_not_answer_as_it_should_is_said_to_be_so(house, provider, lie):
    provider.lie = lie
    answer = await house.browser().get("/console/oidc")
    assert answer.status_code == 503
    assert "did not answer as it should" in words(answer.text)
    provider.lie = ""
    assert (await house.browser().get("/console/oidc")).status_code == 303


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"groups": ["guests"]}, "no role"),
        ({"groups": None}, "no role"),
        ({"groups": "staff"}, ""),
        ({"preferred_username": "carl carlson"}, "no name that can be used"),
        ({"preferred_username": None}, "no name that can be used"),
        ({"preferred_username": "anna"}, "who is not you"),
    ],
)
async def test_who_gets_in_has_a_role_and_a_name_that_is_nobody_else_s(house, provider, claims, says):
    provider.claims |= claims
    answer = await signed_in(house.browser())
    assert answer.status_code == (403 if says else 200)
    assert says in words(answer.text)
    assert not (await house.office.users.user("anna")).subject


async def test_who_lost_their_role_there_is_out_here_at_the_next_sign_in(house, provider):
    browser = house.browser()
    await signed_in(browser)
    provider.claims["groups"] = []
    assert (await signed_in(house.browser())).status_code == 403
    assert (await browser.get("/console/")).status_code == 303, "signed out where they still were"
    assert (await house.office.users.user("carl")).roles == set()


async def test_who_comes_from_the_provider_has_no_password_here(house):
    await signed_in(house.browser())
    await consoles.give_password(house, "carl")
    assert (await house.browser().sign_in("carl")).status_code == 403


async def test_an_open_redirect_is_none(house):
    answer = await signed_in(house.browser(), "//evil.example/console/")
    assert 'url=/console/"' in answer.text


async def test_where_passwords_do_not_count_nobody_signs_in_by_one(tmp_path, provider):
    chosen = settings(provider, roles=ROLES)
    environ = {"OIDC_SECRET": oidc.SECRET}
    async with consoles.running(tmp_path, environ=environ, oidc=chosen, local_sign_in=False) as house:
        await consoles.give_password(house, "anna")
        page = await house.browser().get("/console/sign-in")
        assert 'name="password"' not in page.text
        browser = house.browser()
        csrf = consoles.csrf_of_cookie(browser, await browser.get("/console/sign-in"))
        answer = await browser.post("/console/sign-in", name="anna", password=consoles.PASSWORD, csrf=csrf)
        assert answer.status_code == 403
        assert (await signed_in(house.browser())).status_code == 200


async def test_a_wrong_client_secret_signs_nobody_in_and_is_not_in_the_answer(tmp_path, provider):
    async with consoles.running(
        tmp_path, environ={"OIDC_SECRET": "wrong-one"}, oidc=settings(provider)
    ) as house:
        answer = await signed_in(house.browser())
        assert answer.status_code == 503
        assert "wrong-one" not in answer.text


async def test_the_redirect_uri_is_the_one_of_the_settings(tmp_path, provider):
    chosen = {"oidc": settings(provider), "url": "https://bridge.example"}
    async with consoles.running(tmp_path, environ={"OIDC_SECRET": oidc.SECRET}, **chosen) as house:
        sent = await house.browser(host="bridge.example").get("/console/oidc")
        query = parse_qs(urlsplit(sent.headers["location"]).query)
        assert query["redirect_uri"] == ["https://bridge.example/console/oidc/callback"]
        assert "__Host-sipbridge-away=" in sent.headers["set-cookie"]
        assert "Secure" in sent.headers["set-cookie"]
