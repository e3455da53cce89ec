"""A network that loses, swaps, doubles and delays packets: the model hears all but the lost, in order."""

import asyncio
import base64
import time
from collections import Counter

import pytest

from tests.fakes.rawphone import raw_phone
from tests.fakes.worker_process import running_worker

GUARD_S = 20.0

pytestmark = pytest.mark.system
PASS_THROUGH = {"greeting": b"\xff" * 1600, "media": {"model_format": "pcmu"}}
CODES = list(range(1, 0x70))  # one mu-law value a packet: the number is in every sample


def heard(session):
    """Packet numbers in the order the model heard them; concealed and silent frames are left out."""
    frames = (base64.b64decode(event["audio"]) for event in session.of("input_audio_buffer.append"))
    found = (Counter(payload).most_common(1)[0] for payload in frames)
    return [CODES.index(code) for code, samples in found if samples >= 60 and code in CODES]


def traces(session):
    """Every packet number of which the model heard 3 ms or more, pjmedia's smoothing at the seams included."""
    frames = (base64.b64decode(event["audio"]) for event in session.of("input_audio_buffer.append"))
    found = (pair for payload in frames for pair in Counter(payload).items())
    return {CODES.index(code) for code, samples in found if samples >= 24 and code in CODES}


async def send(phone, schedule):
    """`schedule`: (milliseconds, packet number) in any order; sequence and timestamp follow the number.

    When this process is held up the rest is sent later, not at once: a burst would be another network.
    """
    phone.packet(
        b"\xff" * 160, sequence=1999, timestamp=8000 - 160
    )  # pjmedia lets the first packet of a stream go
    start = time.monotonic() + 0.02
    for at_ms, number in sorted(schedule):
        due = start + at_ms / 1000
        await asyncio.sleep(max(due - time.monotonic(), 0))
        start += max(time.monotonic() - due - 0.005, 0)
        phone.packet(bytes([CODES[number]]) * 160, sequence=2000 + number, timestamp=8000 + 160 * number)


def unique(numbers):
    """Repeats removed: a frame on the border of a concealed one may be heard as the same packet twice."""
    return [number for index, number in enumerate(numbers) if number not in numbers[:index]]


async def carried(worker, phone, schedule, last):
    """Send the schedule; what the model heard when the last packet has come through, and the call's record."""
    await phone.invite()
    await worker.event("call.answered")
    session = await worker.model.session()
    await send(phone, schedule)
    async with asyncio.timeout(GUARD_S), session.arrived:
        await session.arrived.wait_for(lambda: last in heard(session)[-1:])
    await phone.bye()
    (record,) = await worker.ended()
    return session, record


async def test_a_clean_line_loses_and_repeats_nothing(tmp_path):
    async with running_worker(tmp_path, **PASS_THROUGH) as worker, raw_phone(worker.port) as phone:
        session, record = await carried(worker, phone, [(20 * n, n) for n in range(100)], 99)
        assert heard(session) == list(range(100))
        assert (record.rx_packets, record.rx_lost) == (101, 0)


async def test_lost_packets_are_missing_and_nothing_else(tmp_path):
    lost = {10, 25, 26, 40, 60, 61, 62}
    schedule = [(20 * n, n) for n in range(100) if n not in lost]
    async with running_worker(tmp_path, **PASS_THROUGH) as worker, raw_phone(worker.port) as phone:
        session, record = await carried(worker, phone, schedule, 99)
        numbers = unique(heard(session))
        assert numbers == sorted(numbers)
        assert set(range(100)) - lost - set(numbers) == set()
        assert (record.rx_packets, record.rx_lost) == (94, 7)
        assert record.mos < 4.2


async def test_swapped_packets_are_put_in_order_once_the_line_is_known_to_be_bad(tmp_path):
    """The first loss is the warning; from then on a late packet is waited for (media.reorder_wait_ms)."""
    late = {30, 45, 46, 70, 90}
    schedule = [(20 * n + (30 if n in late else 0), n) for n in range(100) if n != 10]
    async with running_worker(tmp_path, **PASS_THROUGH) as worker, raw_phone(worker.port) as phone:
        session, record = await carried(worker, phone, schedule, 99)
        numbers = unique(heard(session))
        assert numbers == sorted(numbers)
        assert set(range(100)) - {10} - traces(session) == set()
        assert record.rx_packets == 100


async def test_doubled_packets_are_heard_once(tmp_path):
    schedule = [(20 * n, n) for n in range(60)] + [(20 * n + 3, n) for n in range(0, 60, 5)]
    async with running_worker(tmp_path, **PASS_THROUGH) as worker, raw_phone(worker.port) as phone:
        session, _ = await carried(worker, phone, schedule, 59)
        assert heard(session) == list(range(60))


async def test_a_burst_after_a_stall_is_heard_whole(tmp_path):
    schedule = [(20 * n if n < 20 or n >= 27 else 540, n) for n in range(60)]
    async with running_worker(tmp_path, **PASS_THROUGH) as worker, raw_phone(worker.port) as phone:
        session, record = await carried(worker, phone, schedule, 59)
        assert heard(session) == list(range(60))
        assert record.rx_lost == 0


async def test_a_jump_of_sequence_and_time_is_a_new_beginning_not_an_end(tmp_path):
    """An SBC that changes its source in the middle of a call."""
    async with running_worker(tmp_path, **PASS_THROUGH) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await worker.event("call.answered")
        session = await worker.model.session()
        await send(phone, [(20 * n, n) for n in range(20)])
        phone.sequence, phone.timestamp = 60_000, 4_000_000_000
        await phone.speak(600, lambda n: bytes([CODES[50 + n]]) * 160)
        async with asyncio.timeout(GUARD_S), session.arrived:
            await session.arrived.wait_for(lambda: CODES.index(CODES[79]) in heard(session))
        numbers = heard(session)
        assert numbers[:20] == list(range(20))
        assert len(set(numbers) & set(range(50, 80))) >= 28
        await phone.bye()
