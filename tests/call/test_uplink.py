"""The caller's audio to the model: at once, in order, and through a model that does not keep up."""

import asyncio
import json
from base64 import b64decode

import pytest

from bridge.call.uplink import Uplink
from bridge.errors import FailureKind, RemoteSessionError
from bridge.media import g711
from bridge.media.codec import ModelAudio

GUARD_S = 20.0


class Audio:
    """Feeds what is put in, as AudioPort does."""

    def __init__(self):
        self.frames = []
        self.sink = None
        self.short_of_time = False

    def pressed(self):
        return self.short_of_time

    def feed(self, sink):
        self.sink = sink
        self.pour()

    def unfeed(self, sink):
        if self.sink == sink:
            self.sink = None

    def pour(self):
        while self.sink is not None and self.frames:
            if not self.sink(self.frames.pop(0)):
                self.sink = None

    def came(self, number):
        self.frames.append(g711.pcmu_decode(bytes([number]) * 160))
        self.pour()


class Transport:
    """Takes everything at once until it is `full`; then `send` waits for `room`."""

    def __init__(self):
        self.sent = []
        self.full = False
        self.room = asyncio.Event()
        self.gone = False
        self.took_one = asyncio.Event()

    def send_at_once(self, frame):
        if self.full:
            return False
        self.sent.append(frame)
        return True

    async def send(self, frame):
        if self.gone:
            raise RemoteSessionError(FailureKind.RETRY, "close_1006", "gone")
        await self.room.wait()
        self.sent.append(frame)
        self.took_one.set()

    @property
    def numbers(self):
        return [b64decode(json.loads(frame)["audio"])[0] for frame in self.sent]


@pytest.fixture
async def way():
    audio, transport = Audio(), Transport()
    task = asyncio.create_task(Uplink(audio, ModelAudio("pcmu"), transport).run())
    await asyncio.sleep(0)
    yield audio, transport, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert audio.sink is None


async def test_a_frame_goes_out_where_it_comes_in(way):
    audio, transport, _ = way
    audio.came(1)
    audio.came(2)
    assert transport.numbers == [1, 2]


async def test_on_a_machine_that_is_short_of_time_two_frames_share_an_append(way):
    audio, transport, _ = way
    audio.short_of_time = True
    for number in (1, 2, 3):
        audio.came(number)
    assert [b64decode(json.loads(frame)["audio"]) for frame in transport.sent] == [
        bytes([1]) * 160 + bytes([2]) * 160
    ]
    audio.short_of_time = False
    audio.came(4)
    audio.came(5)
    assert transport.numbers == [1, 3, 5]


async def test_what_a_slow_model_does_not_take_waits_and_keeps_its_order(way):
    audio, transport, _ = way
    audio.came(1)
    transport.full = True
    for number in (2, 3, 4):
        audio.came(number)
    assert transport.numbers == [1]
    transport.full = False
    transport.room.set()
    async with asyncio.timeout(GUARD_S):
        await transport.took_one.wait()
    await asyncio.sleep(0)
    audio.came(5)
    assert transport.numbers == [1, 2, 3, 4, 5]


async def test_a_model_that_is_gone_ends_it(way):
    audio, transport, task = way
    transport.full = transport.gone = True
    audio.came(1)
    with pytest.raises(RemoteSessionError, match="gone"):
        await asyncio.wait_for(asyncio.shield(task), GUARD_S)


async def test_who_has_left_the_caller_to_another_takes_no_more_when_the_model_has_room_again():
    audio, slow, other = Audio(), Transport(), Transport()
    slow.full = True
    first, second = (Uplink(audio, ModelAudio("pcmu"), one) for one in (slow, other))
    tasks = [asyncio.create_task(first.run())]
    await asyncio.sleep(0)
    audio.came(1)
    first.leave()
    tasks.append(asyncio.create_task(second.run()))
    await asyncio.sleep(0)
    slow.room.set()
    async with asyncio.timeout(GUARD_S):
        await slow.took_one.wait()
    await asyncio.sleep(0)
    audio.came(2)
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    audio.came(3)
    assert (slow.numbers, other.numbers) == ([1], [2, 3])
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
