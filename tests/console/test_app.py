"""The console as control runs it: the log's one-time link while there is nobody, and where its pages are."""

import asyncio
import re

import structlog

from bridge.console.app import Console, ConsoleDeps
from bridge.console.card import Described
from bridge.settings_console import Console as Settings
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore
from tests.fakes import console as consoles


async def first_start(folder, user=None, **settings):
    """What is logged when the console starts."""
    async with Store(f"sqlite:///{folder}/store.db") as store:
        if user is not None:
            await UserStore(store).put(user)
        console = Console(ConsoleDeps(store, Settings(**settings), b"k", lambda _tool: Described()))
        with structlog.testing.capture_logs() as logs:
            task = asyncio.create_task(console.run(8081))
            async with asyncio.timeout(consoles.GUARD_S):
                while not logs and user is None:  # noqa: ASYNC110  # a log
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return logs


async def test_the_first_start_says_one_link_by_which_the_first_admin_is_made(tmp_path):
    (line,) = await first_start(tmp_path)
    assert line["event"] == "console.nobody_can_sign_in"
    assert re.fullmatch(r"http://127\.0\.0\.1:8081/console/link/[\w-]{43}", line["first_admin"])
    (line,) = await first_start(tmp_path, url="https://bridge.example")
    assert line["first_admin"].startswith("https://bridge.example/console/link/")


async def test_where_there_is_a_user_no_link_is_made(tmp_path):
    assert await first_start(tmp_path, User("anna", frozenset({"viewer"}), frozenset())) == []


async def test_the_overview_shows_what_waits_and_how_many_calls_there_are(tmp_path):
    async with consoles.running(tmp_path) as house:
        await house.office.call()
        text = consoles.words((await (await house.as_("chief")).get("/console/")).text)
        assert "1 waiting for an approval 0 live calls" in text


async def test_a_file_that_is_none_is_not_found(tmp_path):
    async with consoles.running(tmp_path) as house:
        for name in ("x/nothing.css", "x/..%2fapp.py", "x/VENDORED.md"):
            assert (await house.browser().get(f"/console/static/{name}")).status_code == 404
