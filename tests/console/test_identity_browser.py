"""Signing in, in Debian's Chromium: by a provider, an authenticator app, a passkey; and a decision that needs them."""

import pytest
import sqlalchemy as sa

from bridge.store.tables import console_sessions
from tests.fakes import axe, oidc
from tests.fakes import browser as browsers
from tests.fakes import console as consoles
from tests.fakes import consoles as identity

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip

pytestmark = [pytest.mark.system, browsers.needed()]


def settings(provider):
    return {
        "step_up": {"amount": 30},
        "oidc": {
            "issuer": provider.issuer,
            "client_id": oidc.CLIENT,
            "client_secret_env": "OIDC_SECRET",
            "label": "Example Inc.",
            "roles": {"staff": ["approver"]},
            "groups": {"staff": ["boss"]},
        },
    }


async def with_a_passkey(page):
    """Chromium's own virtual authenticator."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    await page.fill("#main form[action$='/totp'] [name=label]", "laptop")
    await page.click("text=Add a passkey")
    await page.click("button:has-text('Go on')")
    await page.wait_for_selector("text=laptop")


async def forget_the_proof(house):
    """As if it had been longer ago than it holds."""
    forget = sa.update(console_sessions).values(factor_at=None)
    await house.office.store.transaction("test", lambda it: it.execute(forget))


async def test_a_decision_above_the_amount_takes_a_code_or_a_passkey_of_who_the_provider_signed_in(tmp_path):
    environ = {"OIDC_SECRET": oidc.SECRET}
    async with (
        oidc.running() as provider,
        consoles.running(tmp_path, environ=environ, **settings(provider)) as house,
        browsers.browser() as running,
    ):
        provider.form = True
        base = house.base.replace("127.0.0.1", "localhost")  # passkeys need a name
        person = await browsers.tab(running, viewport={"width": 1100, "height": 900})
        page = person.page
        await identity.by_the_provider(page, base)
        codes = await identity.with_an_app(page)
        await with_a_passkey(page)
        await page.screenshot(path=tmp_path / "account.png", full_page=True)
        await axe.accessible(page)
        await forget_the_proof(house)
        await page.click("nav >> text=Approvals")

        await house.office.call(arguments='{"amount": 40}')
        card = page.locator("article.pending")
        await card.wait_for()
        assert "needs a second factor" in await card.inner_text()
        await card.get_by_role("button", name="Approve", exact=True).click()
        code = card.get_by_label("Code of your authenticator app")
        await code.wait_for()  # in place, and nothing is decided
        await page.screenshot(path=tmp_path / "asked.png", full_page=True)
        await axe.accessible(page)
        await code.fill("000000")
        await card.get_by_role("button", name="Go on").click()
        await card.get_by_text("That is not right").wait_for()
        await code.fill(codes.next())
        await card.get_by_role("button", name="Go on").click()
        await page.locator("article.succeeded").wait_for()

        await forget_the_proof(house)
        await house.office.call(arguments='{"amount": 41}', function_call_id="f2")
        await card.wait_for()
        await card.get_by_role("button", name="Approve", exact=True).click()
        await card.get_by_role("button", name="Use a passkey").click()
        await page.locator("article.succeeded").nth(1).wait_for()
        entries = await house.office.gates.audit()
    approved = [one["facts"]["via"] for one in entries if one["type"] == "approved"]
    assert approved == ["console+totp", "console+passkey"]
    assert {one["actor"] for one in entries if one["type"] == "factor_added"} == {"carl"}
    assert [one for one in person.complaints if "status of 409" not in one] == [], (
        "CSP was broken, or a script"
    )


async def test_the_pages_of_users_are_accessible_and_fit_a_phone(tmp_path):
    async with consoles.running(tmp_path) as house, browsers.browser() as running:
        await consoles.give_password(house, "chief")
        person = await browsers.tab(running, base_url=house.base, viewport={"width": 390, "height": 844})
        page = person.page
        await page.goto("/console/users")
        await axe.accessible(page)
        await page.fill("[name=name]", "chief")
        await page.fill("[name=password]", consoles.PASSWORD)
        await page.click("main button")
        for path in ("/console/users", "/console/users/anna", "/console/account"):
            await page.goto(path)
            await axe.accessible(page)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 390, path
        await page.goto("/console/users")
        await page.fill("[name=name]", "no name")
        await page.click("main button")
        await page.locator("[role=alert].problem").wait_for()
        await axe.accessible(page)
