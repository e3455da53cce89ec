"""Listening, taking over and calling by the browser: Chromium with a fake microphone, `sipbridge serve`, real calls.

The microphone is a tone of 1700 Hz, on and off, which no voice of ours makes: wherever it is found, it came from there.
"""

import asyncio
import os
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.settings import load
from bridge.store.store import Store
from tests.fakes import axe, consoles
from tests.fakes import browser as browsers

ROOT = Path(__file__).parents[2]
HZ, RATE_HZ = 1700, 48000
PATIENT = """
version: 1
voice: en-us
steps:
  - after_agent: true
  - wait_ms: 60000
"""

pytestmark = [pytest.mark.system, browsers.needed()]


def microphone(path):
    at = np.arange(RATE_HZ * 6) / RATE_HZ
    tone = 9000 * np.sin(2 * np.pi * HZ * at) * (at % 0.6 < 0.3)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(tone.astype("<i2").tobytes())
    return path


def seconds_with_tone(path, channel):
    """How many seconds of a channel of a recording have the microphone's tone in them."""
    with wave.open(str(path)) as file:
        rate_hz, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels)[:, channel]
    found = 0
    for start in range(0, len(samples) - rate_hz, rate_hz):
        power = np.abs(np.fft.rfft(samples[start : start + rate_hz] * np.hanning(rate_hz))) ** 2
        found += bool(power[HZ - 15 : HZ + 16].sum() > 0.3 * power[100:].sum() > 1e9)
    return found


class Seat:
    """The seat of a page."""

    def __init__(self, page):
        self.page = page

    async def state(self, *wanted):
        found = ",".join(f"#seat[data-state={one}]" for one in wanted)
        await self.page.wait_for_selector(found)

    async def hears_the_call(self):
        """Something is heard of the call: the level of what the browser plays, not of what it is told."""
        meter = self.page.locator("[data-part=they]")
        async with asyncio.timeout(15):
            while await meter.evaluate("one => one.value") < 0.4:  # noqa: ASYNC110  # the page's own
                await asyncio.sleep(0.05)

    async def act(self, name):
        await self.page.click(f"[data-act={name}]:visible")


async def phone(environ, folder, address):
    script = folder / "call.yaml"
    script.write_text(PATIENT)
    words = ("call", f"sip:100@{address}", "--script", str(script), "--from", "+49301111")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *words, "--record", str(folder / "phone.wav")),
        cwd=ROOT, env=environ, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def recorded(store, number):
    """The record and the events of the ended call to this caller's number."""
    async with asyncio.timeout(20):
        while True:
            for one in await store.recent(10):
                if one.state == "ended" and one.from_uri == number:
                    return one, await store.events(one.call_id)
            await asyncio.sleep(0.1)


async def live(store):
    async with asyncio.timeout(20):
        while not (found := [one for one in await store.live(10) if one.answered_at]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found[0].call_id


def of(events, kind):
    return [one.data for one in events if one.type == kind]


async def test_an_operator_hears_a_call_takes_it_over_by_voice_and_hands_it_back_and_calls_a_plan(tmp_path):
    environ = environment(tmp_path, os.environ)
    async with (
        embedded_bridge(tmp_path, environ) as address,
        browsers.browser(microphone(tmp_path / "mic.wav")) as running,
        Store(str(load(None, environ).store), migrate=False) as store,
        asyncio.timeout(120),
    ):
        base = await consoles.base(tmp_path)
        olga = await consoles.signed_in(running, environ, base, consoles.somebody("olga", "operator"))
        page, seat = olga.page, Seat(olga.page)
        caller = await phone(environ, tmp_path, address)
        call_id = await live(store)

        await page.goto(f"/console/calls/{call_id}/listen")
        await seat.act("listen")
        await seat.state("listen")
        assert "microphone is off" in await page.inner_text("#seat")
        await seat.act("take-over")
        await seat.state("alone")
        assert "microphone is on" in await page.inner_text("#seat")
        await axe.accessible(page)
        await asyncio.sleep(3)
        await page.fill("[name=note]", "They get a new invoice.")
        await page.press("[name=note]", "Enter")
        await seat.state("listen")
        await seat.hears_the_call()
        await seat.act("leave")
        await seat.state("idle")
        caller.terminate()
        await caller.wait()

        await page.goto("/console/phone")
        await page.fill("[name=number]", "100")
        await page.fill("[name=caller]", "+49302222")
        await page.click("form button.main")
        await seat.state("talking")
        await seat.hears_the_call()
        await axe.accessible(page)
        await page.wait_for_selector("text=Watch this call")
        await page.click("[data-key='5']")
        await asyncio.sleep(3)
        await seat.act("leave")
        await seat.state("idle")

        record, events = await recorded(store, "+49302222")
        assert olga.complaints == []
        assert of(events, "console.call") == [{"by": "olga"}]
        assert of(events, "transcript")[0]["who"] == "agent"
        assert [one["digit"] for one in of(events, "dtmf")] == ["5"]
        assert seconds_with_tone(record.recording_path, 0) >= 2, "the browser's microphone, as the caller"

        record, events = await recorded(store, "+49301111")
        who = {"leg": "browser of olga"}
        assert of(events, "supervisor.joined") == [{**who, "mode": "listen"}]
        assert of(events, "supervisor.took_over") == of(events, "supervisor.gave_back") == [who]
        assert of(events, "supervisor.left") == [who]
        assert len(of(events, "session.ready")) == 2, "the agent came back"
        assert seconds_with_tone(tmp_path / "phone.wav", 1) >= 2, "the caller heard the browser's microphone"
        assert seconds_with_tone(record.recording_path, 1) >= 2, "and so has the recording"
        assert seconds_with_tone(record.recording_path, 0) == 0
