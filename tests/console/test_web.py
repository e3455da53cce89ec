"""Nobody gets in or does anything without a session, a role and a form of ours. OWASP ASVS 3 and 4, real sockets."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from bridge.console.web import MAX_FORM_BYTES, csrf_of, own_path
from bridge.store.userstore import User
from tests.fakes import console as consoles

ACTIONS = ("approve", "deny", "edit")


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    "path", ["/console/", "/console/approvals", "/console/approvals/abcd1234", "/console/events"]
)
async def test_without_a_session_there_is_only_the_sign_in_page(house, path):
    for cookie in ("", "sipbridge=", "sipbridge=forged", "sipbridge=\u00e4"):
        headers = {"cookie": cookie.encode()} if cookie else {}
        answer = await house.browser(**headers).get(path)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/console/sign-in?next={path}"


async def test_the_addresses_without_a_page_lead_to_the_first_one(house):
    for path in ("/", "/console"):
        assert (await house.browser().get(path)).headers["location"] == "/console/"


@pytest.mark.parametrize("what", ACTIONS)
async def test_a_decision_without_a_session_is_none(house, what):
    opened = await house.office.call()
    answer = await house.browser().post(f"/console/approvals/{opened['request_id']}/{what}", csrf=csrf_of(""))
    assert answer.status_code == 303
    assert await house.office.state(opened["request_id"]) == "pending"


@pytest.mark.parametrize("what", ACTIONS)
@pytest.mark.parametrize("roles", [set(), {"viewer"}, {"operator"}, {"admin"}])
async def test_no_role_no_action(house, what, roles):
    """`chief` has the group of those who are asked, but not the role."""
    await house.office.users.put(User("chief", frozenset(roles), frozenset({"boss"})))
    opened = await house.office.call()
    browser = await house.as_("chief")
    page = "/console/sign-in" if not roles else "/console/"
    answer = await browser.decide(
        opened["request_id"], what, csrf=csrf_of(browser.client.cookies["sipbridge"])
    )
    assert answer.status_code == 403, page
    assert "approver" in consoles.words(answer.text)
    assert await house.office.state(opened["request_id"]) == "pending"


async def test_without_any_role_no_page_is_shown(house):
    await house.office.users.put(User("chief", frozenset(), frozenset()))
    browser = await house.as_("chief")
    for path in ("/console/", "/console/approvals", "/console/events"):
        assert (await browser.get(path)).status_code == 403


@pytest.mark.parametrize("secret", ["", "0" * 64, "another's", "\u00e4"])
async def test_a_form_without_its_own_secret_does_nothing(house, secret):
    anna, bert = await house.as_("anna"), await house.as_("bert")
    given = csrf_of(bert.client.cookies["sipbridge"]) if secret == "another's" else secret
    opened = await house.office.call()
    answer = await anna.decide(opened["request_id"], csrf=given)
    assert answer.status_code == 403
    assert await house.office.state(opened["request_id"]) == "pending"
    assert (await anna.post("/console/sign-out", csrf=given)).status_code == 403
    assert (await anna.get("/console/")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[broken"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
    ],
)
async def test_a_form_of_another_site_does_nothing_whatever_it_carries(house, headers):
    browser = await house.as_("anna")
    opened = await house.office.call()
    answer = await browser.decide(opened["request_id"], headers=headers)
    assert answer.status_code == 403
    assert await house.office.state(opened["request_id"]) == "pending"


async def test_a_page_under_a_name_that_is_not_ours_is_refused(house):
    """DNS rebinding: the browser believes that we are evil.example."""
    browser = await house.as_("anna")
    assert (await browser.get("/console/", host="evil.example")).status_code == 403


async def test_signing_in_makes_a_new_session_whatever_the_browser_brought(house):
    """Session fixation."""
    mallory = await house.as_("bert")
    planted = mallory.client.cookies["sipbridge"]
    anna = house.browser()
    await consoles.give_password(house, "anna")
    await anna.get("/console/sign-in")
    anna.client.cookies.set("sipbridge", planted, domain="127.0.0.1", path="/")
    answer = await anna.sign_in("anna")
    given = re.search(r"sipbridge=([\w-]+);", answer.headers.get_list("set-cookie")[0])[1]
    assert given != planted
    assert (await mallory.get("/console/")).status_code == 303, "the planted session is over"


async def test_the_cookie_of_a_form_before_sign_in_is_no_session(house):
    browser = house.browser()
    await browser.get("/console/sign-in")
    form = browser.client.cookies["sipbridge-form"]
    assert (await house.browser(cookie=f"sipbridge={form}").get("/console/")).status_code == 303


async def test_the_session_s_cookie_is_for_us_only(house):
    await consoles.give_password(house, "anna")
    answer = await house.browser().sign_in("anna")
    cookie = answer.headers.get_list("set-cookie")[0].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    assert "max-age" not in cookie


async def test_behind_https_the_cookie_never_goes_in_the_clear(tmp_path):
    async with consoles.running(tmp_path, url="https://bridge.example") as house:
        await consoles.give_password(house, "anna")
        proxied = {"host": "bridge.example", "origin": "https://bridge.example"}
        page = await house.browser(**proxied).get("/console/sign-in")
        form = re.search(r"__Host-sipbridge-form=([\w-]+);.*Secure", page.headers["set-cookie"])
        browser = house.browser(cookie=f"__Host-sipbridge-form={form[1]}")
        fields = {"name": "anna", "password": consoles.PASSWORD, "csrf": csrf_of(form[1])}
        answer = await browser.post("/console/sign-in", headers=proxied, **fields)
        assert answer.status_code == 303
        cookie = answer.headers.get_list("set-cookie")[0]
        assert cookie.startswith("__Host-sipbridge=")
        assert "Secure" in cookie
        assert "Path=/" in cookie


async def test_sign_out_ends_the_session_for_whoever_has_its_cookie(house):
    browser = await house.as_("anna")
    copied = browser.client.cookies["sipbridge"]
    answer = await browser.post("/console/sign-out", page="/console/")
    assert answer.headers["location"] == "/console/sign-in"
    assert (await house.browser(cookie=f"sipbridge={copied}").get("/console/")).status_code == 303


@pytest.mark.parametrize("change", ["disabled", "removed", "password"])
async def test_who_is_taken_out_is_out_at_once(house, change):
    browser = await house.as_("anna")
    if change == "disabled":
        await house.office.users.put(User("anna", frozenset({"admin"}), frozenset(), disabled=True))
    elif change == "removed":
        await house.office.users.remove("anna")
    else:
        await house.office.users.set_password("anna", "another long password")
    assert (await browser.get("/console/")).status_code == 303


async def test_every_answer_carries_the_headers_that_keep_a_page_to_itself(house):
    browser = await house.as_("anna")
    paths = (
        "/console/",
        "/console/approvals",
        "/console/sign-in",
        "/console/approvals/0000",
        "/console/link/x",
    )
    style = re.search(r'href="(/console/static/[^"]*css)"', (await browser.get("/console/")).text)[1]
    for path in (*paths, style, "/console/static/x/nothing.js"):
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    assert (await browser.get("/console/")).headers["cache-control"] == "no-store"
    assert "immutable" in (await browser.get(style)).headers["cache-control"]


async def test_a_link_from_another_site_comes_in_by_a_page_of_ours(house):
    """The cookie is SameSite=Strict: the browser leaves it out, and sends it when our own page asks."""
    answer = await house.browser().get("/console/approvals/ab12cd34", **{"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/console/approvals/ab12cd34">' in answer.text


async def test_what_was_searched_for_is_there_after_sign_in(house):
    """A link in a mail leads to a page with a query: by the sign-in page, or by the one that asks again."""
    path = "/console/history?number=%2B491&reason=a%26b"
    answer = await house.browser().get(path)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == [path]
    await consoles.give_password(house, "anna")
    browser = house.browser()
    page = answer.headers["location"]
    fields = {"name": "anna", "password": consoles.PASSWORD, "next": path}
    assert (await browser.post("/console/sign-in", page=page, **fields)).headers["location"] == path
    again = await house.browser().get(path, **{"sec-fetch-site": "cross-site"})
    assert f'content="0; url={path.replace("&", "&amp;")}"' in again.text


async def test_a_query_breaks_neither_out_of_the_page_nor_out_of_the_site(house):
    for query in ('"><script>', "x;url=//evil.example", "\u202e", "x" * 3000):
        path = "/console/history?" + urlencode({"x": query})
        for headers in ({"sec-fetch-site": "cross-site"}, {}):
            answer = await house.browser().get(path, **headers)
            assert "<script>" not in answer.text.replace("<script src=", "")
            assert urlsplit(answer.headers.get("location", "/")).netloc == ""


async def test_a_script_without_a_session_is_sent_to_the_sign_in_page(house):
    answer = await house.browser().get("/console/approvals", **{"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/console/sign-in")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"csrf=" + b"x" * MAX_FORM_BYTES, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"", "text/plain", 415),
        (b"&".join(b"a=1" for _ in range(300)), "application/x-www-form-urlencoded", 400),
        (b"name=%ff", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_a_form_is_one_of_bounded_size(house, body, content_type, status):
    browser = await house.as_("anna")
    answer = await browser.client.post(
        "/console/sign-out", content=body, headers={"content-type": content_type}
    )
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("given", "goes_to"),
    [
        ("/console/approvals/ab12", "/console/approvals/ab12"),
        ("", "/console/"),
        ("/metrics", "/console/"),
        ("//evil.example/console/", "/console/"),
        ("https://evil.example/console/", "/console/"),
        ("/console/\\evil", "/console/"),
        ("/console/\r\nset-cookie: x", "/console/"),
        ("/console/\u202e", "/console/"),
        ("/console/a b", "/console/"),
    ],
)
def test_after_sign_in_one_goes_to_a_page_of_ours(given, goes_to):
    assert own_path(given) == goes_to
