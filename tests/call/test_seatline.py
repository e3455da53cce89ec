"""A seat as a party of a conference, over real datagrams on the loopback."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager

import pytest

from bridge.call.context import NotDoneError
from bridge.call.seatline import seat_line
from bridge.media.mixer import Mixer
from bridge.media.seatwire import SeatWire, Side
from tests.fakes.line import frame

KEY = os.urandom(32)
GUARD_S = 20.0
SILENCE = bytes(320)


class SeatEnd:
    """The other end: sends a frame, gets one."""

    def __init__(self, address, key=KEY):
        self.wire = SeatWire(key, Side.SEAT, 320)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        host, _, port = address.rpartition(":")
        self.socket.connect((host, int(port)))

    async def exchange(self, pcm=SILENCE):
        self.send(self.wire.seal(pcm))
        return await self.heard()

    def send(self, datagram):
        self.socket.send(datagram)

    async def heard(self):
        async with asyncio.timeout(GUARD_S):
            return self.wire.open(await asyncio.get_running_loop().sock_recv(self.socket, 2048))


@asynccontextmanager
async def conference():
    """A line in a conference with a caller, and its seat."""
    async with seat_line("127.0.0.1", KEY.hex(), 320) as line:
        mixer = Mixer()
        mixer.join("caller")
        mixer.join("seat")
        line.join(mixer, "seat")
        seat = SeatEnd(line.address)
        try:
            yield line, mixer, seat
        finally:
            seat.socket.close()


async def test_the_seat_hears_the_others_and_is_heard():
    async with conference() as (line, mixer, seat):
        mixer.say("caller", frame(1000))
        assert await seat.exchange(frame(3000)) == frame(1000)
        assert mixer.hear("caller") == frame(3000)
        assert line.here.is_set()


async def test_when_nobody_speaks_it_hears_silence_and_each_of_its_frames_is_answered():
    async with conference() as (_, _, seat):
        assert [await seat.exchange() for _ in range(3)] == [SILENCE] * 3


async def test_out_of_the_conference_it_hears_silence_and_is_not_heard():
    async with conference() as (line, mixer, seat):
        line.leave()
        mixer.say("caller", frame(1000))
        assert await seat.exchange(frame(3000)) == SILENCE
        assert mixer.hear("caller") is None


async def test_without_the_key_nobody_is_heard_and_nobody_is_answered():
    async with conference() as (line, mixer, seat):
        stranger = SeatEnd(line.address, bytes(32))
        stranger.send(stranger.wire.seal(frame(3000)))
        stranger.send(b"\x80\x00" + bytes(170))  # RTP
        assert await seat.exchange() == SILENCE
        assert (mixer.hear("caller"), line.rejected) == (SILENCE, 2)
        with pytest.raises(BlockingIOError):
            stranger.socket.recv(2048)
        stranger.socket.close()


async def test_the_right_key_from_another_address_comes_too_late():
    async with conference() as (line, mixer, seat):
        await seat.exchange()
        other = SeatEnd(line.address)
        other.wire = seat.wire  # whoever has got hold of the key
        other.send(other.wire.seal(frame(3000)))
        assert await seat.exchange() == SILENCE
        heard = [mixer.hear("caller") for _ in range(3)]
        assert frame(3000) not in heard
        assert line.rejected == 1
        other.socket.close()


async def test_a_seat_that_says_goodbye_is_gone():
    async with conference() as (line, _, seat):
        await seat.exchange()
        assert not line.over.is_set()
        seat.send(seat.wire.seal())
        async with asyncio.timeout(GUARD_S):
            await line.over.wait()


async def test_the_end_of_the_call_is_told_to_the_seat():
    async with conference() as (line, _, seat):
        await seat.exchange()
        line.close()
        assert await seat.heard() == b""


@pytest.mark.parametrize(
    ("bind", "key"), [("127.0.0.1", "short"), ("127.0.0.1", "zz"), ("192.0.2.1", "5e" * 32)]
)
async def test_what_cannot_be_opened_is_said_in_words(bind, key):
    with pytest.raises(NotDoneError, match="seat"):
        async with seat_line(bind, key, 320):
            pass
