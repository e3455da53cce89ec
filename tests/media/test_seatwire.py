"""The datagrams of a seat: only the other end makes them, and each counts once."""

import pytest

from bridge.media.seatwire import MAC_BYTES, SeatWire, Side

KEY, FRAME = bytes(range(32)), bytes(320)


def pair(key=KEY):
    return SeatWire(KEY, Side.WORKER, 320), SeatWire(key, Side.SEAT, 320)


def test_what_one_end_seals_the_other_opens_in_both_directions():
    worker, seat = pair()
    frame = b"\x01\x02" * 160
    assert worker.open(seat.seal(frame)) == frame
    assert seat.open(worker.seal(frame)) == frame
    assert worker.open(seat.seal()) == b"", "the end"


def test_another_key_is_not_heard():
    worker, stranger = pair(bytes(32))
    assert worker.open(stranger.seal(FRAME)) is None


def test_what_is_recorded_and_sent_again_is_not_heard():
    worker, seat = pair()
    first, second = seat.seal(FRAME), seat.seal(FRAME)
    assert worker.open(second) == FRAME
    assert worker.open(second) is None
    assert worker.open(first) is None, "older than what came"


def test_what_is_sent_back_to_who_sent_it_is_not_heard():
    worker, _ = pair()
    assert worker.open(worker.seal(FRAME)) is None


@pytest.mark.parametrize("at", [0, 5, 12, 200, -1])
def test_a_changed_bit_anywhere_is_seen(at):
    worker, seat = pair()
    datagram = bytearray(seat.seal(FRAME))
    datagram[at] ^= 1
    assert worker.open(bytes(datagram)) is None
    assert worker.open(seat.seal(FRAME)) == FRAME, "a forged number does not shut the real ones out"


@pytest.mark.parametrize("datagram", [b"", b"S", bytes(MAC_BYTES), bytes(8), bytes(2000)])
def test_anything_else_is_not_heard(datagram):
    worker, _ = pair()
    assert worker.open(datagram) is None


def test_a_frame_of_another_length_is_not_heard():
    worker, _ = pair()
    assert worker.open(SeatWire(KEY, Side.SEAT, 640).seal(bytes(640))) is None


def test_a_key_of_another_length_is_none():
    with pytest.raises(ValueError, match="32 bytes"):
        SeatWire(b"short", Side.SEAT, 320)
