"""Calls from and to trunks of a real worker: digest, PRACK, session timers, by baresip, SIPp, Kamailio; ladders."""

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bridge.dialplan.steps import AnswerStep, DialStep, EarlyMediaStep, HoldStep
from bridge.trunk import CallerId, Digest, Trunk
from tests.fakes.baresip import baresip, speech_file
from tests.fakes.callee import callee
from tests.fakes.kamailio import kamailio, missing
from tests.fakes.ladder import check, ladder
from tests.fakes.ports import free_port
from tests.fakes.rawphone import raw_phone
from tests.fakes.sipp import sipp
from tests.fakes.wire import wire
from tests.fakes.worker_process import plan_of, running_worker
from tests.system.test_steps import sound, way
from tests.system.test_transfers import needs_baresip, needs_sipp
from tests.system.test_trunks import Secrets

pytestmark = pytest.mark.system
DIAL = DialStep(("bare",), 5, False, "", {}, (way(9),))


@asynccontextmanager
async def office(folder, trunk, target, *steps, secret=""):
    """A worker with a trunk that is ready, a target, and a raw phone that can call it."""
    plan = replace(plan_of(*steps), trunks=(trunk,), transfers={"bare": target}, over={"bare": "pbx"})
    async with running_worker(folder, plan) as worker, raw_phone(worker.port) as caller:
        worker.control.answer = secrets = Secrets(secret)
        async with asyncio.timeout(10):
            while trunk.digest is not None and not secrets.asked:  # noqa: ASYNC110  # the link tells nobody
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.6)  # the account is open a moment later, and nothing tells
        yield worker, caller


async def picked_up(worker, caller, number):
    """The caller's side of a dial that was answered."""
    caller.take(await caller.response(number))
    caller.ack(number)
    await worker.event("leg.connected")


async def hangs_up(caller, worker):
    assert (await caller.bye()).status == 200
    return (await worker.ended())[0]


@needs_baresip
@pytest.mark.skipif(missing(), reason="kamailio is not installed")
async def test_a_dial_to_a_trunk_answers_its_challenge_and_reaches_a_baresip_registered_there(tmp_path):
    async with (
        wire() as line,
        raw_phone(0) as nobody,
        kamailio(tmp_path / "k", nobody.sip_port) as server,
        baresip(tmp_path / "bare", speech_file(tmp_path), server.host, "2002", server.password) as phone,
    ):
        await server.until("SAVED sip:2002@")
        rules = CallerId("1001", "Acme", "pbx.test")
        trunk = Trunk("pbx", host=server.host, digest=Digest("1001", "", "X"), caller_id=rules)
        target = f"sip:2002@{server.host}"
        async with office(tmp_path, trunk, target, DIAL, secret=server.password) as (worker, caller):
            number = caller.request_out("INVITE", body=caller.sdp())
            await phone.accepts()
            await picked_up(worker, caller, number)
            await caller.heard(20)
            await hangs_up(caller, worker)
            await phone.event("CALL_CLOSED")
            assert server.seen("SEEN INVITE", "from=sip:1001@pbx.test", "au=1001")
            ports = {"trunk": server.port, "callee": phone.sip_port}
            seen = line.ladder(
                apart=True, bridge=worker.port, **ports
            )  # Kamailio's processes overtake each other
            check("dial-trunk-digest", seen)


async def test_reliable_progress_of_a_trunk_is_acknowledged_when_a_step_dials_it(tmp_path):
    async with callee() as carrier:
        trunk = Trunk("pbx", host=f"127.0.0.1:{carrier.sip_port}", prack="optional")
        async with office(tmp_path, trunk, carrier.uri, DIAL) as (worker, caller):
            number = caller.request_out("INVITE", body=caller.sdp())
            offer = await carrier.called()
            assert "100rel" in offer.headers["supported"]
            carrier.answer_with(183, "Session Progress", headers="Require: 100rel\r\nRSeq: 7\r\n")
            prack = await carrier.request("PRACK")
            assert prack.headers["rack"] == f"7 {offer.headers['cseq']}"
            carrier.reply(prack)
            carrier.answer_with(200, "OK", carrier.sdp())
            await carrier.request("ACK")
            await picked_up(worker, caller, number)
            carrier.sip.hook = lambda message: message.method == "BYE" and carrier.reply(message)
            await hangs_up(caller, worker)
            check("prack-out", ladder(trunk=carrier))


@needs_sipp
@pytest.mark.parametrize("prack", ["optional", "off"])
async def test_sipp_that_requires_reliable_progress_gets_it_also_where_none_is_offered(tmp_path, prack):
    trunk = Trunk("pbx", addresses=("127.0.0.1/32",), prack=prack)
    early = EarlyMediaStep((sound(tmp_path, 300),))
    async with (
        office(tmp_path, trunk, "sip:x@pbx.example", early, HoldStep(30)) as (worker, _),
        wire() as line,
    ):
        port = free_port()
        async with sipp(tmp_path, "prack", port=port, to=worker.port):
            pass
        assert (await worker.ended())[0].ended_by == "caller"
        check("prack-in", line.ladder(bridge=worker.port, trunk=port))


@needs_sipp
async def test_sipp_negotiates_a_session_timer_and_refreshes_the_session(tmp_path):
    trunk = Trunk("pbx", addresses=("127.0.0.1/32",), session_timer="required", session_expires_s=90)
    async with (
        office(tmp_path, trunk, "sip:x@pbx.example", AnswerStep(), HoldStep(30)) as (worker, _),
        wire() as line,
    ):
        port = free_port()
        async with sipp(tmp_path, "session_timer", port=port, to=worker.port):
            pass
        await worker.ended()
        check("session-timer-in", line.ladder(bridge=worker.port, trunk=port))


async def test_a_trunk_that_wants_a_longer_session_gets_a_second_invite(tmp_path):
    async with callee() as carrier:
        host = f"127.0.0.1:{carrier.sip_port}"
        trunk = Trunk("pbx", host=host, session_timer="required", session_expires_s=90)
        async with office(tmp_path, trunk, carrier.uri, DIAL) as (worker, caller):
            number = caller.request_out("INVITE", body=caller.sdp())
            assert (await carrier.called()).headers["session-expires"] == "90"
            carrier.answer_with(422, "Session Interval Too Small", headers="Min-SE: 120\r\n")
            await carrier.request("ACK")
            again = carrier.offer = await carrier.sip.until(
                lambda got: next((m for m in got if m.headers.get("session-expires") == "120"), None)
            )
            assert (again.headers["session-expires"], again.headers["min-se"]) == ("120", "120")
            timer = "Require: timer\r\nSession-Expires: 120;refresher=uas\r\n"
            carrier.answer_with(200, "OK", carrier.sdp(), headers=timer)
            await carrier.request("ACK")
            await picked_up(worker, caller, number)
            refresh = carrier.request_out(
                "UPDATE", headers="Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n"
            )
            assert (await carrier.response(refresh, "UPDATE")).status == 200
            carrier.sip.hook = lambda message: message.method == "BYE" and carrier.reply(message)
            await hangs_up(caller, worker)
            check("session-timer-out", ladder(trunk=carrier))


async def test_keys_of_the_caller_go_to_a_trunk_as_it_wants_them(tmp_path):
    async with callee() as carrier:
        trunk = Trunk("pbx", host=f"127.0.0.1:{carrier.sip_port}", dtmf="info")
        async with office(tmp_path, trunk, carrier.uri, DIAL) as (worker, caller):
            number = caller.request_out("INVITE", body=caller.sdp())
            await carrier.takes()
            await picked_up(worker, caller, number)
            await caller.press("5")
            info = await carrier.request("INFO")
            carrier.reply(info)
            assert "Signal=5" in info.body.replace(" ", "")
            carrier.sip.hook = lambda message: message.method == "BYE" and carrier.reply(message)
            await hangs_up(caller, worker)
            check("dtmf-info-out", ladder(trunk=carrier))


@pytest.mark.skipif(
    "SLOW_TESTS" not in os.environ, reason="46 s: RFC 4028 has no session below 90; SLOW_TESTS=1"
)
async def test_the_session_is_refreshed_by_us_after_half_its_time(tmp_path):
    async with callee() as carrier:
        trunk = Trunk(
            "pbx", host=f"127.0.0.1:{carrier.sip_port}", session_timer="required", session_expires_s=90
        )
        async with office(tmp_path, trunk, carrier.uri, DIAL) as (worker, caller):
            number = caller.request_out("INVITE", body=caller.sdp())
            await carrier.called()
            timer = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\nRequire: timer\r\nSession-Expires: 90;refresher=uac\r\n"
            carrier.answer_with(200, "OK", carrier.sdp(), headers=timer)
            carrier.take(carrier.offer)
            await carrier.request("ACK")
            await picked_up(worker, caller, number)
            async with caller.speaking(), carrier.speaking():
                refresh = await carrier.request("UPDATE", guard_s=60)
                carrier.reply(refresh, headers="Require: timer\r\nSession-Expires: 90;refresher=uac\r\n")
                carrier.sip.hook = lambda message: message.method == "BYE" and carrier.reply(message)
                await hangs_up(caller, worker)
            check("session-timer-refresh", ladder(trunk=carrier))
