"""A seat: the process of one person who listens or talks by their browser. Started by control (console/seats.py).

    standard input   one Order (a line of JSON), then {"call_id": …}; its end is the end of the seat
    standard output  {"answer": SDP} or {"over": why} at the end

Why a process: Opus, DTLS and SRTP cost 3 % of a core and must not hold up control's links, or a worker's calls; a
crash costs one seat; and a call of its own needs a SIP endpoint, of which a process has one. It gets no secret of the
bridge. The beat is a timer of the kernel's every 20 ms; whoever is away then is heard as silence.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

from bridge.errors import BridgeError, LinkError
from bridge.media.frame import FRAME_MS, bytes_per_ms
from bridge.records.log import configure
from bridge.seat.browser import Browser
from bridge.seat.ends import End, PhoneEnd, WorkerEnd
from bridge.seat.loop import SeatLoop
from bridge.seat.order import MAX_LINE_BYTES, Order
from bridge.sip.timerfd import TimerFd
from bridge.strictjson import decode

log = structlog.get_logger(__name__)

ANSWER_S = 10.0
CONNECT_S = 15.0
LAST_WORD_S = 0.3
CLOSE_S = 3.0
MAX_BEATS = 5
"""At once, after the process was held up: the rest of the time is lost."""
SWITCH_INTERVAL_S = 0.0005
NO_ICE = "ice"
"""Why, when the browser could not be reached: the page has words for it."""


class Beat:
    """Calls `act` every 20 ms, from `start` to `stop`."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._timer = TimerFd()

    def __enter__(self) -> None:
        step_s = FRAME_MS / 1000
        self._timer.arm(time.monotonic() + step_s, step_s)
        asyncio.get_running_loop().add_reader(self._timer.fd, self._ring)

    def __exit__(self, *exc_info: object) -> None:
        asyncio.get_running_loop().remove_reader(self._timer.fd)
        self._timer.close()

    def _ring(self) -> None:
        for _ in range(min(self._timer.read(), MAX_BEATS)):
            self._act()


class Seat:
    """One browser, one end. `say`: a line for control."""

    def __init__(self, order: Order, say: Callable[[dict[str, Any]], None]) -> None:
        self._order = order
        self._say = say
        self._end: End = WorkerEnd(order.listen) if order.listen else PhoneEnd(_dial(order))
        self._browser = Browser(order.ice, self._end.rate_hz)
        self._silence = bytes(FRAME_MS * bytes_per_ms(self._end.rate_hz))

    async def run(self, control: asyncio.StreamReader) -> None:
        """To the end; control is told why."""
        why = "the seat was ended"
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._browser.answer(self._order.offer)
            self._say({"answer": answer})
            why = await self._first(self._talk(), self._listen(control), self._gone())
            self._browser.tell({"state": "over", "why": why})
            await asyncio.sleep(LAST_WORD_S)  # the data channel has no flush
        except (ValueError, BridgeError, OSError, TimeoutError) as error:
            why = str(error) or "not done in time"
        finally:
            self._say({"over": why})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._browser.close()

    async def _talk(self) -> str:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._browser.connected.wait()
        except TimeoutError:
            return NO_ICE
        with Beat(self._beat):
            return await self._first(
                self._end.run(self._browser.tell), _never(self._browser.run()), _never(self._obey())
            )

    def _beat(self) -> None:
        heard = self._end.exchange(self._browser.take() or self._silence)
        self._browser.play(heard or self._silence)

    async def _obey(self) -> None:
        while True:
            self._end.obey(await self._browser.messages.get())

    async def _gone(self) -> str:
        await self._browser.over.wait()
        return self._browser.why if self._browser.connected.is_set() else NO_ICE

    async def _listen(self, control: asyncio.StreamReader) -> str:
        """What control says goes to the page; nothing any more: it is over."""
        while line := await control.readline():
            with contextlib.suppress(ValueError):
                words = json.loads(line)
                if isinstance(words, dict):
                    self._browser.tell(words)
        return "the bridge has ended it"

    async def _first(self, *ways: Any) -> str:
        """The result of what ends first; the others are cancelled, and have ended."""
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return str(done.pop().result())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _never(work: Any) -> str:
    await work
    return "the browser has gone"


def _dial(order: Order) -> Any:
    if order.dial is None:
        raise LinkError("a seat needs a call to listen to, or to place")
    return order.dial


def _say(words: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


def _first_line() -> tuple[bytes, bytes]:
    """The order, and what came behind it. Blocks until it is there, or the input has ended."""
    data = b""
    while b"\n" not in data and len(data) < MAX_LINE_BYTES and (some := os.read(0, 65536)):
        data += some
    line, _, rest = data.partition(b"\n")
    return line, rest


async def _run(order: Order, rest: bytes) -> None:
    control = asyncio.StreamReader(MAX_LINE_BYTES)
    control.feed_data(rest)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(control), sys.stdin)
    await Seat(order, _say).run(control)


def main() -> int:
    """The process."""
    configure("warning", "console", process="seat")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    line, rest = _first_line()
    try:
        order = decode(Order, json.loads(line))
    except (ValueError, LinkError) as error:
        _say({"over": f"the order cannot be read: {error}"})
        return 1
    loop = SeatLoop((order.ice.first_port, order.ice.last_port))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_run(order, rest))
    finally:
        loop.close()
    return 0
