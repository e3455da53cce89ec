"""The process of a seat as control runs it, with a browser's side by aiortc and a worker's by a real SeatLine."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from bridge.call.seatline import seat_line
from bridge.media.mixer import Mixer
from bridge.seat.order import Ice, Listen, Order
from bridge.strictjson import encode
from tests.fakes.webrtc import Page, share

ROOT = Path(__file__).parents[2]
GUARD_S = 20


class Process:
    """The process, as console/seats.py talks with it."""

    def __init__(self, process):
        self.process = process

    def say(self, words):
        self.process.stdin.write(json.dumps(words).encode() + b"\n")

    async def line(self):
        async with asyncio.timeout(GUARD_S):
            return json.loads(await self.process.stdout.readline())

    async def end(self):
        self.process.stdin.close()
        async with asyncio.timeout(GUARD_S):
            return await self.process.wait()


@asynccontextmanager
async def seat():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "seat"), cwd=ROOT, env={"PATH": os.environ["PATH"]},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(true):
    async with asyncio.timeout(GUARD_S):
        while not true():  # noqa: ASYNC110  # a fake's own list
            await asyncio.sleep(0.02)


async def test_browser_and_call_hear_each_other_and_the_end_of_one_is_the_end_of_the_other():
    key, page = os.urandom(32).hex(), Page(1700)
    async with seat() as process, seat_line("127.0.0.1", key, 320) as line:
        mixer = Mixer()
        mixer.join("caller")
        mixer.join("seat")
        line.join(mixer, "seat")
        process.say(encode(Order(await page.offer(), Ice(), listen=Listen(line.address, key, 8000))))
        await page.take((await process.line())["answer"])
        process.say({"call_id": "abcd"})
        await until(line.here.is_set)
        heard = []
        for at in range(0, 160 * 120, 160):
            tone = 6000 * np.sin(2 * np.pi * 440 * (np.arange(160) + at) / 8000)
            mixer.say("caller", tone.astype("<i2").tobytes())
            heard.append(np.frombuffer(mixer.hear("caller") or bytes(320), "<i2"))
            await asyncio.sleep(0.02)
        assert share(np.concatenate(heard)[-8000:], 1700, 8000) > 0.9, "the microphone, in the call"
        assert share(page.heard, 440, 48000) > 0.5, (
            "the call, in the browser; this test's clock is a poor one"
        )
        assert {"state": "on_call"} in page.told
        assert {"call_id": "abcd"} in page.told
        line.close()
        assert await process.line() == {"over": "the call is over"}
        await until(lambda: {"state": "over", "why": "the call is over"} in page.told)
        assert await process.end() == 0
    await page.close()


async def test_the_end_of_its_input_is_its_end_and_the_call_hears_of_it():
    key, page = os.urandom(32).hex(), Page()
    async with seat() as process, seat_line("127.0.0.1", key, 640) as line:
        process.say(encode(Order(await page.offer(), Ice(), listen=Listen(line.address, key, 16000))))
        await page.take((await process.line())["answer"])
        await until(line.here.is_set)
        assert await process.end() == 0
        assert line.over.is_set()
    await page.close()


async def test_an_order_that_cannot_be_read_and_an_offer_that_is_none_are_said_in_words():
    async with seat() as process:
        process.say({"offer": 1})
        assert "cannot be read" in (await process.line())["over"]
    async with seat() as process:
        process.say(encode(Order("v=0", listen=Listen("127.0.0.1:9", "00" * 32, 8000))))
        assert (await process.line())["over"]
