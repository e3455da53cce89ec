"""A bridge behind its edge: Kamailio and rtpengine, real calls, full, draining, killed."""

import asyncio
import os
import re
import signal
import time

import pytest
import pytest_asyncio

from tests.fakes.realedge import edge_phone, missing, running_edge

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]
FULL_MS = 100


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory):
    """Two workers of four calls each."""
    folder = tmp_path_factory.mktemp("edge")
    drain = "deadlines: {drain_s: 0.5}\n"
    async with running_edge(folder, workers=2, settings=drain) as one:
        yield one


async def test_a_call_through_the_edge_has_sound_both_ways_and_shows_nothing_of_the_worker(edge):
    async with edge_phone(edge) as phone:
        answer = await phone.invite()
        assert answer.status == 200
        async with phone.speaking():
            await phone.heard(40)
        assert (await phone.bye()).status == 200
    inner = [str(port) for port in (edge.inner_port, edge.workers_port, edge.workers_port + 1)]
    for message in phone.sip.got:
        text = repr((message.start, message.headers, message.body))
        assert not [port for port in inner if re.search(rf"\b{port}\b", text)]
        assert "sipbridge-source" not in text.lower()
    await settled(edge)


async def settled(edge):
    """No call is counted any more."""
    async with asyncio.timeout(10):
        while await edge.load():  # noqa: ASYNC110  # Kamailio's own count
            await asyncio.sleep(0.1)


async def test_all_lines_of_all_workers_are_filled_and_the_next_call_gets_503_at_once(edge):
    waits = []
    async with asyncio.TaskGroup() as tasks:
        done = asyncio.Event()
        up = [tasks.create_task(call_until(edge, done)) for _ in range(8)]
        async with asyncio.timeout(20):
            while sum(one.load for one in await edge.active()) < 8:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert sorted(one.load for one in await edge.active()) == [4, 4]
        for _ in range(20):
            async with edge_phone(edge) as phone:
                began = time.monotonic()
                answer = await phone.invite()
                waits.append((time.monotonic() - began) * 1000)
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        done.set()
    print(f"503 when full: p50 {sorted(waits)[10]:.1f} ms, worst of 20 {max(waits):.1f} ms")  # noqa: T201  # the figure
    assert sorted(waits)[-2] < FULL_MS
    assert [one.result() for one in up] == [200] * 8
    await settled(edge)


async def call_until(edge, done):
    """One call that stays up until the event; the status of its INVITE."""
    async with edge_phone(edge) as phone:
        answer = await phone.invite()
        if answer.status == 200:
            await done.wait()
            await phone.bye()
        return answer.status


async def test_kamailio_killed_under_a_call_leaves_its_sound_and_comes_back_within_five_seconds(edge):
    async with edge_phone(edge) as phone:
        assert (await phone.invite()).status == 200
        async with phone.speaking():
            await phone.heard(5)
            os.kill(edge.group_leader("kamailio"), signal.SIGKILL)
            killed = time.monotonic()
            before = len(phone.rtp.got)
            await new_call(edge)
            took = time.monotonic() - killed
            assert len(phone.rtp.got) > before + took * 40  # 50 packets a second all the while
        assert (await phone.bye()).status == 200
    print(f"a new call {took:.2f} s after kill -9 of Kamailio")  # noqa: T201  # the figure
    assert took < 5
    await settled(edge)


async def new_call(edge):
    """Until one is answered."""
    async with asyncio.timeout(15):
        while True:
            async with edge_phone(edge) as phone:
                try:
                    answer = await phone.invite(guard_s=0.5)
                except TimeoutError:
                    continue
                if answer.status == 200:
                    await phone.bye()
                    return
            await asyncio.sleep(0.1)
