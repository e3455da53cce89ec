"""What happens within calls through the edge: hold, late offers, draining, SIPp as the caller."""

import asyncio
import os
import re
import shutil

import numpy as np
import pytest
import pytest_asyncio

from bridge.media.g711 import pcmu_encode
from bridge.pool.client import ask
from tests.fakes.realedge import edge_phone, missing, running_edge
from tests.fakes.realtime_server import tone
from tests.system.test_edge_attacks import caller_of
from tests.system.test_sipp import sipp

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory):
    """Two workers."""
    folder = tmp_path_factory.mktemp("dialogs")
    async with running_edge(folder, workers=2, settings="deadlines: {drain_s: 0.5}\n") as one:
        yield one


async def again(phone, body):
    """A re-INVITE; 491 while the edge's other process still has our ACK, as a phone tries again (RFC 3261 14.1)."""
    async with asyncio.timeout(10):
        while True:
            number = phone.request_out("INVITE", body=body)
            answer = await phone.response(number)
            if answer.status != 491:
                return number, answer
            phone.ack(number, branch=f"z9hG4bK{phone.call_id}INVITE{number}")
            await asyncio.sleep(0.2)


async def test_hold_and_resume_go_through_and_sound_comes_back(edge):
    async with edge_phone(edge) as phone:
        assert (await phone.invite()).status == 200
        ports = set()
        for direction in ("sendonly", "sendrecv"):
            number, answer = await again(phone, phone.sdp(direction=direction))
            assert answer.status == 200
            phone.ack(number)
            ports.add(re.search(r"m=audio (\d+)", answer.body)[1])
        assert len(ports) == 1, "the same port of rtpengine"
        async with phone.speaking():
            await phone.heard(5, after=phone.sip.got[-1].at)
        assert (await phone.bye()).status == 200


async def test_an_offer_that_comes_late_is_made_by_the_bridge_and_has_rtpengines_address(edge):
    async with edge_phone(edge) as phone:
        number = phone.request_out("INVITE")
        answer = await phone.response(number)
        assert answer.status == 200
        phone.take(answer)
        port = int(re.search(r"m=audio (\d+)", answer.body)[1])
        assert port in range(edge.rtp_last - 199, edge.rtp_last), "not a worker's"
        phone.ack(number, body=phone.sdp())
        async with phone.speaking():
            await phone.heard(10)
        assert (await phone.bye()).status == 200


async def test_a_cancelled_call_gives_its_place_back(edge):
    async with edge_phone(edge) as phone:
        number = phone.request_out("INVITE", body=phone.sdp(), branch="z9hG4bKcancelled")
        await phone.response(number, at_least=180)
        phone.raw(phone.message("CANCEL", number=number, branch="z9hG4bKcancelled"))
        answer = await phone.response(number)
        if answer.status == 200:  # it was answered in the meantime
            phone.take(answer)
            phone.ack(number)
            await phone.bye()
        else:
            assert answer.status == 487
            phone.ack(number, branch="z9hG4bKcancelled")
    async with asyncio.timeout(10):
        while await edge.load():  # noqa: ASYNC110  # Kamailio's own count
            await asyncio.sleep(0.1)


async def test_a_draining_worker_gets_no_new_call_and_keeps_the_one_it_has(edge):
    state = edge.folder / "state"
    async with edge_phone(edge) as phone:
        assert (await phone.invite()).status == 200
        (busy,) = [one["slot"] for one in ask(state, {"do": "status"})["workers"] if one["calls"]]
        assert ask(state, {"do": "drain", "slot": busy})["ok"]
        await edge.until_active(1)
        (left,) = await edge.active()
        assert not left.uri.startswith(f"sip:127.0.0.1:{edge.workers_port + busy};")
        for _ in range(4):
            async with edge_phone(edge) as other:
                assert (await other.invite()).status == 200
                assert (await edge.active())[0].load == 1
                await other.bye()
        async with phone.speaking():
            await phone.heard(5)
        assert (await phone.bye()).status == 200
    assert ask(state, {"do": "undrain", "slot": busy})["ok"]
    await edge.until_active(2)


async def test_a_call_of_sipp_has_sound_both_ways(edge, tmp_path):
    if shutil.which("sipp") is None or os.geteuid() != 0:
        pytest.skip("sipp as root")
    (tmp_path / "speech.wav").write_bytes(pcmu_encode(tone(2000, 8000)))
    before = edge.log().count("call.ended")
    await sipp(edge, tmp_path, "edge_call")
    await edge.until_log("call.ended", before + 1)
    await asyncio.sleep(0.5)
    samples, _ = caller_of(edge.folder / "state" / "recordings")
    assert np.abs(samples).max() > 3000, "SIPp's voice"
