"""The console on a real socket over a real gate (office.py), and browsers without a screen: cookies and forms."""

import asyncio
import html
import re
import time
from contextlib import asynccontextmanager
from functools import cache, partial

import httpx
from argon2 import PasswordHasher

from bridge.console.app import Console, ConsoleDeps
from bridge.console.card import Described
from bridge.console.stream import Streams
from bridge.console.web import csrf_of
from bridge.control_api import Door, application, owner
from bridge.control_door import serve
from bridge.settings_console import Console as Settings
from bridge.store.sessionstore import SessionStore
from bridge.store.userstore import keep_password
from tests.fakes import office as offices

PASSWORD = "a long password"
GUARD_S = 20.0
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]*)"')
_BINDING = re.compile(r'name="binding" value="([0-9a-f]*)"')


class Browser:
    """Keeps cookies; sends forms as a page of ours would."""

    def __init__(self, base, **headers):
        self.client = httpx.AsyncClient(base_url=base, timeout=20, headers=headers)
        self.base = base

    async def get(self, path, **headers):
        return await self.client.get(path, headers=headers)

    async def post(self, path, *, page=None, headers=None, **fields):
        """`page`: where the form is; its secret, and the binding of a request, are sent along unless given."""
        if page is not None:
            text = (await self.get(page)).text
            for name, pattern in (("csrf", _CSRF), ("binding", _BINDING)):
                if name not in fields and (found := pattern.search(text)):
                    fields[name] = found[1]
        own = {"origin": self.base, "sec-fetch-site": "same-origin"} | (headers or {})
        data = {name.replace("__", "."): value for name, value in fields.items()}
        return await self.client.post(path, data=data, headers=own)

    async def sign_in(self, name, password=PASSWORD, **more):
        page = "/console/sign-in"
        return await self.post(page, page=page, name=name, password=password, **more)

    async def decide(self, request_id, what="approve", **fields):
        page = f"/console/approvals/{request_id}"
        return await self.post(f"{page}/{what}", page=page, **fields)

    async def events(self, path, until, **headers):
        """The text of a stream until it holds `until`."""
        text = ""
        async with asyncio.timeout(GUARD_S), self.client.stream("GET", path, headers=headers) as answer:
            async for chunk in answer.aiter_text():
                text += chunk
                if until in text:
                    break
        return text


@cache
def _hash():
    return PasswordHasher().hash(PASSWORD)


async def give_password(house, *people):
    """PASSWORD, hashed once for all tests."""
    for name in people:
        await house.office.store.transaction("test", partial(keep_password, name=name, hashed=_hash()))


class House:
    """`office`: the gate behind it."""

    def __init__(self, office, console, port):
        self.office, self.console, self.port = office, console, port
        self.base = f"http://127.0.0.1:{port}"
        self.browsers = []

    def browser(self, **headers):
        self.browsers.append(Browser(self.base, **headers))
        return self.browsers[-1]

    async def as_(self, name):
        """A browser in which somebody has signed in; without a password, whose hash costs half a second."""
        browser = self.browser()
        secret = await SessionStore(self.office.store, 3600, 43_200).begin(name, time.time())
        browser.client.cookies.set("sipbridge", secret, domain="127.0.0.1", path="/")
        return browser


@asynccontextmanager
async def running(
    folder,
    describe=lambda _tool: Described("Pay the money back."),
    streams=None,
    api=None,
    more=None,
    environ=None,
    **settings,
):
    """`more`: of ConsoleDeps, by name. `environ`: secrets that the settings name."""
    async with offices.running(folder) as office:
        chosen = Settings(**settings)
        more = {"gates": office.gates, "environ": environ or {}} | (more or {})
        office.source.step_up = chosen.step_up
        deps = ConsoleDeps(
            office.store, chosen, offices.KEY, describe, api or {}, streams or Streams(), **more
        )
        console = Console(deps)
        app = application({}, console.routes(), Door(office.users, owner(folder)), chosen.names)
        async with serve(app, "127.0.0.1", 0) as port:
            task = asyncio.create_task(console.run(port))
            house = House(office, console, port)
            try:
                yield house
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                for browser in house.browsers:
                    await browser.client.aclose()


def words(text):
    """What a person reads on a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def csrf_of_cookie(browser, _page):
    """The secret of a form, when the page has none to read it from."""
    return csrf_of(browser.client.cookies["sipbridge-form"])
