"""Signing in, in Debian's Chromium: by a provider, an authenticator app, a passkey; and a decision that needs them."""

import asyncio
import os
import re
import time
from pathlib import Path

import pyotp
import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.settings import load
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from tests.fakes import browser as browsers
from tests.fakes import consoles, oidc
from tests.system.test_console import phone

ROOT = Path(__file__).parents[2]
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip

pytestmark = [pytest.mark.system, pytest.mark.timeout(120), browsers.needed()]


def settings(provider):
    """As the environment overrides them."""
    claims = "{staff: [approver], boss: [admin]}"
    return {
        "OIDC_SECRET": oidc.SECRET,
        "SIPBRIDGE_TOOLS": str(ROOT / "tools"),
        "SIPBRIDGE_CONSOLE__STEP_UP": "{amount: 30}",
        "SIPBRIDGE_CONSOLE__OIDC": f"{{issuer: '{provider.issuer}', client_id: {oidc.CLIENT}, "
        f"client_secret_env: OIDC_SECRET, label: Example Inc., roles: {claims}, groups: {{staff: [supervisors]}}}}",
    }


async def signed_in_by_the_provider(person, base):
    """A link from a mail leads there: the session's cookie is Strict, and the page asked for is shown all the same."""
    await person.page.goto(f"{base}/console/approvals")
    await person.page.click("text=Sign in by Example Inc.")
    await person.page.click("#go")  # a page of the provider
    await person.page.wait_for_url(f"{base}/console/approvals")


async def with_an_app(page, base):
    """Set up under the own name; its codes."""
    await page.click("header >> text=carl")
    await page.fill("#main form[action$='/totp'] [name=label]", "phone")
    await page.click("text=Add an authenticator app")
    app = pyotp.TOTP((await page.inner_text("#secret")).replace(" ", ""))
    await page.locator("svg.qr").wait_for()
    await page.fill("[name=code]", app.at(time.time() - 30))
    await page.click("button:has-text('Confirm')")
    await page.wait_for_selector(".secrets li:nth-child(10)")
    await page.click("text=I have it")
    await page.wait_for_selector("text=10 recovery codes left")
    return app


async def with_a_passkey(page):
    """Chromium's own virtual authenticator."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    await page.fill("#main form[action$='/totp'] [name=label]", "laptop")
    await page.click("text=Add a passkey")
    await page.click("button:has-text('Go on')")
    await page.wait_for_selector("text=laptop")


async def forget_the_proof(environ):
    """As if it had been longer ago than it holds."""
    import sqlalchemy as sa

    async with Store(str(load(None, environ).store), migrate=False) as store:
        await store.transaction(
            "test", lambda it: it.execute(sa.text("UPDATE console_sessions SET factor_at = NULL"))
        )


async def test_a_decision_above_the_amount_takes_a_code_or_a_passkey_of_who_the_provider_signed_in(tmp_path):
    async with oidc.running() as provider:
        provider.form = True
        environ = environment(tmp_path, os.environ) | settings(provider)
        async with (
            embedded_bridge(tmp_path, environ) as address,
            browsers.browser() as running,
            asyncio.timeout(100),
        ):
            base = (await consoles.base(tmp_path)).replace("127.0.0.1", "localhost")  # passkeys need a name
            person = await browsers.tab(running, viewport={"width": 1100, "height": 900})
            page = person.page
            await signed_in_by_the_provider(person, base)
            app = await with_an_app(page, base)
            await page.screenshot(path=tmp_path / "account.png", full_page=True)
            await with_a_passkey(page)
            await forget_the_proof(environ)
            await page.click("nav >> text=Approvals")

            async with asyncio.TaskGroup() as tasks:
                for caller in ("+49301111", "+49302222"):
                    tasks.create_task(phone(environ, tmp_path, address, caller))
                card = page.locator("article.pending", has_text="+49301111")
                await card.wait_for(timeout=40_000)
                assert "needs a second factor" in await card.inner_text()
                await card.get_by_role("button", name="Approve", exact=True).click()
                code = card.get_by_label("Code of your authenticator app")
                await code.wait_for()  # in place, and nothing is decided
                assert await code.evaluate("it => document.activeElement === it")
                await page.screenshot(path=tmp_path / "asked.png", full_page=True)
                await code.fill("000000")
                await card.get_by_role("button", name="Go on").click()
                await card.get_by_text("That is not right").wait_for()
                await code.fill(app.now())
                await card.get_by_role("button", name="Go on").click()
                await page.locator("article.succeeded", has_text="+49301111").wait_for()

                await forget_the_proof(environ)
                card = page.locator("article.pending", has_text="+49302222")
                await card.wait_for(timeout=40_000)
                await card.get_by_role("button", name="Approve", exact=True).click()
                await card.get_by_role("button", name="Use a passkey").click()
                await page.locator("article.succeeded", has_text="+49302222").wait_for()
        async with Store(str(load(None, environ).store), migrate=False) as store:
            entries = await GateStore(store).audit()
        approved = [one["facts"]["via"] for one in entries if one["type"] == "approved"]
        assert approved == ["console+totp", "console+passkey"]
        assert {one["actor"] for one in entries if one["type"] == "factor_added"} == {"carl"}
        unasked = [one for one in person.complaints if not re.search(r"status of 409", one)]
        assert unasked == [], "the policy (CSP) was broken, or a script"
