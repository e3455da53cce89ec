"""The console of a running `sipbridge serve`, for people in Chromium (browser.py): where it is, who has signed in."""

import asyncio
import re
import time
from functools import partial

from bridge.settings import load
from bridge.store.sessionstore import SessionStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore
from tests.fakes import browser as browsers

PORT = re.compile(r"http://[\d.]+:(\d+)/console/link/")
SESSION_S = 43_200.0


async def base(folder):
    """`http://127.0.0.1:PORT` of the bridge whose log is in the folder; while nobody is a user, the log has it."""
    async with asyncio.timeout(15):
        while (found := PORT.search((folder / "serve.log").read_text())) is None:  # noqa: ASYNC110  # a file
            await asyncio.sleep(0.1)
    return f"http://127.0.0.1:{found[1]}"


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
