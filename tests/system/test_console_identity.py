"""Who gets in, as what, and by which proof: Chromium, `sipbridge serve`, an OpenID provider, one real call that waits.

the log's link ─► first admin, second factor ─► a viewer
provider ─► approver, second factor ─► approves a refund above the amount, which no token of theirs can
"""

import asyncio
import json

import httpx
import pytest

from bridge.cli.demo import embedded_bridge
from bridge.settings import load
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from tests.fakes import axe, consoles, oidc, refunding
from tests.fakes import browser as browsers

pytestmark = [pytest.mark.system, browsers.needed()]


def settings(folder, provider):
    signing_in = {
        "issuer": provider.issuer,
        "client_id": oidc.CLIENT,
        "client_secret_env": "OIDC_SECRET",
        "label": "Example Inc.",
        "roles": {"staff": ["approver"]},
        "groups": {"staff": ["supervisors"]},
    }
    more = {
        "SIPBRIDGE_CONSOLE__STEP_UP": '{"amount": 30}',
        "SIPBRIDGE_CONSOLE__OIDC": json.dumps(signing_in),
        "OIDC_SECRET": oidc.SECRET,
    }
    return refunding.bridge_environ(folder, **more)


async def first_admin(running, link):
    """By the link of the first start, which counts once; out and in again by the password; a second factor."""
    admin = await browsers.tab(running)
    page = admin.page
    await consoles.choose_password(page, link, "root.admin")
    assert "root.admin" in await page.inner_text("header")
    await page.click("text=Sign out")
    await page.wait_for_selector("[name=password]")
    assert (await page.goto(link)).status >= 400, "a link counts once"
    await page.goto(link.partition("/link/")[0] + "/approvals")
    await page.fill("[name=name]", "root.admin")
    await page.fill("[name=password]", consoles.PASSWORD)
    await page.click("form.plainly button.main")
    await page.wait_for_url("**/console/approvals")
    await consoles.with_an_app(page, consoles.PASSWORD)
    return admin


async def viewer(running, admin, base):
    """Made by the admin on the page; may look, and is refused the rest."""
    page = admin.page
    await page.goto(f"{base}/console/users")
    await page.fill("[name=name]", "vera")
    await page.check("[name='role.viewer']")
    await page.click("section.narrow button.main")
    await page.click("form[action$='/vera/link'] button")
    link = await page.inner_text(".secrets code")
    vera = await browsers.tab(running)
    await consoles.choose_password(vera.page, link)
    for path in ("users", "phone", "webhooks"):
        answer = await vera.page.goto(f"{base}/console/{path}")
        assert answer.status == 403, path
    await axe.accessible(vera.page)
    return vera


async def token_of(page, base):
    """A new API token of who has signed in there."""
    await page.goto(f"{base}/console/account")
    await page.fill("form[action$='/tokens'] [name=label]", "scripts")
    await page.click("text=Make a token")
    return await page.inner_text(".secrets code")


async def a_large_refund(base, page, viewer_page, codes, token):
    """Of the call that is on: only who is asked and proves it can let it be done; their token can only look."""
    card = page.locator("article.pending", has_text=refunding.CALLER)
    await card.wait_for(timeout=30_000)
    request_id = (await card.get_attribute("id")).removeprefix("r-")
    await viewer_page.goto(f"{base}/console/approvals/{request_id}")
    await viewer_page.locator("article.pending").wait_for()
    assert await viewer_page.get_by_role("button", name="Approve").count() == 0

    async with httpx.AsyncClient(base_url=f"{base}/api/v1", timeout=10) as api:
        api.headers["authorization"] = f"Bearer {token}"
        shown = await api.get(f"/approvals/{request_id}")
        assert (shown.status_code, shown.json()["state"]) == (200, "pending")
        refused = await api.post(
            f"/approvals/{request_id}/approve", json={"binding": shown.json()["binding"]}
        )
        assert (refused.status_code, refused.json()["code"]) == (403, "step_up"), refused.text
        await card.get_by_role("button", name="Approve", exact=True).click()
        await card.get_by_label("Code of your authenticator app").fill(codes.next())
        await card.get_by_role("button", name="Go on").click()
        await page.locator("article.succeeded", has_text="approved by carl").wait_for()
        await page.locator("article.succeeded", has_text="Done. I have refunded").wait_for()

        await page.goto(f"{base}/console/account")
        await page.click("form[action$='/revoke'] button")
        await page.locator("[role=status].good").wait_for()
        assert (await api.get(f"/approvals/{request_id}")).status_code == 401


async def test_people_come_in_by_link_password_and_provider_and_a_large_refund_takes_a_code(tmp_path):
    async with oidc.running() as provider, asyncio.timeout(100):
        provider.form = True
        environ = settings(tmp_path, provider)
        async with (
            embedded_bridge(tmp_path, environ) as address,
            browsers.browser() as running,
        ):
            link, base = await consoles.first_link(tmp_path)
            admin, carl = await asyncio.gather(first_admin(running, link), browsers.tab(running))
            await consoles.by_the_provider(carl.page, base)
            vera, codes = await asyncio.gather(viewer(running, admin, base), consoles.with_an_app(carl.page))
            token = await token_of(carl.page, base)
            await carl.page.click("text=Sign out")
            await consoles.by_the_provider(carl.page, base)  # a new session: nothing is proved in it
            async with refunding.caller(environ, tmp_path, address):
                await a_large_refund(base, carl.page, vera.page, codes, token)
        async with Store(str(load(None, environ).store), migrate=False) as store:
            audit = await GateStore(store).audit()
    (approved,) = [one for one in audit if one["type"] == "approved"]
    assert (approved["actor"], approved["facts"]["via"]) == ("carl", "console+totp")
    refusals = {"403", "404", "409", "410"}
    for one in (admin, vera, carl):
        assert [line for line in one.complaints if not any(word in line for word in refusals)] == []
