"""Debian's Chromium, driven by Playwright; without either the tests skip and say what is missing.

Playwright's own browsers are not downloaded: `ops/setup.sh` installs Chromium by apt.
"""

from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio")
"""In a container, as root, Chromium has no sandbox of its own; it sees nothing but our own pages."""
MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
GUARD_MS = 15_000


def needed():
    """A mark: skip where there is no browser."""
    missing = [
        name
        for name, there in (("playwright", find_spec("playwright")), (CHROMIUM, CHROMIUM.exists()))
        if not there
    ]
    return pytest.mark.skipif(
        bool(missing), reason=f"no browser: {' and '.join(map(str, missing))} missing (make setup)"
    )


@asynccontextmanager
async def browser(microphone=None):
    """Makes contexts: each is a person with cookies of their own. `microphone`: a WAV file that it hears, on and on."""
    from playwright.async_api import async_playwright

    flags = [*FLAGS, *(MICROPHONE if microphone else ())]
    flags += [f"--use-file-for-fake-audio-capture={microphone}"] if microphone else []
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        try:
            yield running
        finally:
            await running.close()


class Tab:
    """A page, and everything it complained about."""

    def __init__(self, page):
        self.page, self.complaints = page, []
        page.set_default_timeout(GUARD_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


async def tab(running, **context):
    """A new person's page."""
    return Tab(await (await running.new_context(**context)).new_page())
