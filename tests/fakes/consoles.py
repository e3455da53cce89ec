"""The console of a running `sipbridge serve`, for people in Chromium (browser.py): where it is, who has signed in."""

import asyncio
import re
import time
from functools import partial

from bridge.settings import load
from bridge.store.sessionstore import SessionStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore
from tests.fakes import axe
from tests.fakes import browser as browsers
from tests.fakes.codes import Codes

PASSWORD = "a long password"
FIRST_LINK = re.compile(r"http://[\d.]+:(\d+)/console/link/[\w-]{43}")
SESSION_S = 43_200.0


async def first_link(folder):
    """The link for the first admin, and the address, of the bridge whose log is in the folder; nobody is a user yet."""
    async with asyncio.timeout(15):
        while (found := FIRST_LINK.search((folder / "serve.log").read_text())) is None:  # noqa: ASYNC110  # a file
            await asyncio.sleep(0.1)
    return found[0], f"http://127.0.0.1:{found[1]}"


async def base(folder):
    """`http://127.0.0.1:PORT` of that bridge."""
    return (await first_link(folder))[1]


async def signed_in(running, environ, where, user, **context):
    """A tab of `user` (User; written to the store), signed in without the half second that a password costs.

    `where`: as of `base`; `context`: of the browser, such as viewport and color_scheme.
    """
    person = await browsers.tab(running, base_url=where, **context)
    async with Store(str(load(None, environ).store), migrate=False) as store:
        await UserStore(store).put(user)
        secret = await SessionStore(store, SESSION_S, SESSION_S).begin(user.name, time.time())
    await person.page.context.add_cookies([{"name": "sipbridge", "value": secret, "url": where}])
    return person


def somebody(name, *roles, groups=("supervisors",)):
    """A user with these roles."""
    return User(name, frozenset(roles), frozenset(groups))


admin = partial(somebody, "root.admin", "admin", "approver")


async def choose_password(page, link, name=""):
    """By a one-time link; `name`: of the first admin, who chooses one."""
    await page.goto(link)
    if name:
        await page.fill("[name=name]", name)
    await page.fill("[name=password]", PASSWORD)
    await page.fill("[name=again]", PASSWORD)
    await page.click("button.main")
    await page.wait_for_selector("#tile-pending")


async def by_the_provider(page, base, label="Example Inc."):
    """A link from a mail leads there: the session's cookie is Strict, and the page asked for is shown all the same."""
    await page.goto(f"{base}/console/approvals")
    await page.click(f"text=Sign in by {label}")
    await page.click("#go")  # a page of the provider (oidc.py, with `form`)
    await page.wait_for_url(f"{base}/console/approvals")


async def with_an_app(page, password=""):
    """Sets an authenticator app up on one's own page; its Codes. `password`: of who has one."""
    await page.click("header a[href$='/account']")
    await page.fill("#main form[action$='/totp'] [name=label]", "phone")
    await page.click("text=Add an authenticator app")
    if password:
        await page.fill("[name=proof_password]", password)
        await page.click("button:has-text('Go on')")
    codes = Codes((await page.inner_text("#secret")).replace(" ", ""))
    await page.locator("svg.qr").wait_for()
    await axe.accessible(page)
    await page.fill("[name=code]", codes.next())
    await page.click("button:has-text('Confirm')")
    await page.wait_for_selector(".secrets li:nth-child(10)")
    await page.click("text=I have it")
    await page.wait_for_selector("text=10 recovery codes left")
    return codes
