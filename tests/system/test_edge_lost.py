"""What a caller is told when the edge's parts die under a call."""

import asyncio
import os
import re
import signal
import time

import pytest

from bridge.pool.client import ask
from tests.fakes.realedge import edge_phone, missing, running_edge

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]
SETTINGS = "deadlines: {drain_s: 0.5}\nlimits: {rtp_timeout_s: 5}\npool: {surge: 0}\n"


async def test_callers_of_a_worker_that_dies_are_hung_up_and_rtpengine_that_dies_is_back_for_the_next_call(
    tmp_path,
):
    async with running_edge(tmp_path, settings=SETTINGS) as edge, edge_phone(edge) as phone:
        await asyncio.sleep(10.5)  # control knows all its workers now (SETTLED_S)
        assert (await phone.invite()).status == 200
        async with phone.speaking():
            await phone.heard(3)
            (worker,) = [one for one in ask(tmp_path / "state", {"do": "status"})["workers"] if one["pid"]]
            os.kill(worker["pid"], signal.SIGKILL)
            killed = time.monotonic()
            phone.reply(await phone.request("BYE"))
            told_s = time.monotonic() - killed
        print(f"a caller of a killed worker is hung up after {told_s:.2f} s")  # noqa: T201  # the figure
        assert told_s < 5
        await edge.until_active(1)
        assert await edge.load() == 0 or len(await edge.active()) == 1
        await media_dies(edge)


async def media_dies(edge):
    """rtpengine killed: the call on it has no sound and ends by that; new ones go on soon."""
    async with edge_phone(edge) as phone:
        assert (await phone.invite()).status == 200
        async with phone.speaking():
            await phone.heard(3)
            os.kill(edge.group_leader("rtpengine"), signal.SIGKILL)
            killed = time.monotonic()
            took_s = await next_call(edge)
            bye = await phone.request("BYE", guard_s=20)
            phone.reply(bye)
            silent_s = time.monotonic() - killed
    print(  # noqa: T201  # the figures
        f"rtpengine killed: a new call after {took_s:.2f} s, the one on it ended after {silent_s:.2f} s"
    )
    assert took_s < 5


async def next_call(edge):
    """Seconds until one is answered."""
    began = time.monotonic()
    async with asyncio.timeout(15):
        while True:
            async with edge_phone(edge) as phone:
                answer = await phone.invite()
                if answer.status == 200:
                    assert re.search(r"m=audio (\d+)", answer.body)
                    await phone.bye()
                    return time.monotonic() - began
                assert (answer.status, "retry-after" in answer.headers) == (503, True)
            await asyncio.sleep(0.1)


async def test_wideband_calls_go_to_the_wide_worker_while_it_has_room_and_others_never(tmp_path):
    trunks = "  lo: {addresses: 127.0.0.1, codecs: [G722, PCMU]}\n"
    wide = "pool: {wide_workers: 1, surge: 0}\ncalls_per_worker: 1\ndeadlines: {drain_s: 0.5}\n"
    async with (
        running_edge(tmp_path, workers=2, settings=wide, trunks=trunks) as edge,
        edge_phone(edge) as first,
        edge_phone(edge) as second,
    ):
        answer = await first.invite(first.sdp((9, 0)))
        assert (answer.status, "G722/8000" in answer.body) == (200, True)
        assert {(one.set_id, one.load) for one in await edge.active()} == {(1, 0), (2, 1)}
        answer = await second.invite(second.sdp((9, 0)))
        assert (answer.status, "PCMU/8000" in answer.body) == (200, True), "the wide one is full"
        await second.bye()
        await first.bye()
        async with edge_phone(edge) as third:
            assert (await third.invite(third.sdp((0,)))).status == 200
            assert {(one.set_id, one.load) for one in await edge.active()} == {(1, 1), (2, 0)}
            await third.bye()
