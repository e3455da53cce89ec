"""Transfers, and calls that change hands, with peers nobody here wrote: baresip and SIPp; ladders are kept.

SIPp's scenarios are in tests/system/sipp.
"""

import asyncio
import re
import shutil
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from bridge.dialplan.plan import AgentStep
from bridge.dialplan.steps import AnswerStep, DialStep, HoldStep, TransferStep, WarmTransferStep
from tests.fakes.baresip import MODULES, baresip, speech_file
from tests.fakes.callee import callee
from tests.fakes.ladder import check, ladder
from tests.fakes.ports import free_port
from tests.fakes.rawphone import raw_phone
from tests.fakes.sipp import sipp
from tests.fakes.wire import wire
from tests.fakes.worker_process import plan_of, running_worker
from tests.system.test_commands import notify
from tests.system.test_steps import HIGH, LOW, pitch, way

pytestmark = pytest.mark.system
needs_sipp = pytest.mark.skipif(
    shutil.which("sipp") is None, reason="sipp (Debian: sip-tester) is not installed"
)
needs_baresip = pytest.mark.skipif(
    shutil.which("baresip") is None or not (MODULES / "sndfile.so").exists(),
    reason="baresip (Debian: baresip-core) is not installed",
)
NO_ONE = (way(9),)
DIAL = DialStep(("sales",), 5, False, "", {"X-Context": "{{ caller.number }}"}, NO_ONE)
TRANSFER = TransferStep("sales", NO_ONE, {"X-Context": "call of {{ caller.number }}"})
BARE = replace(TRANSFER, headers={"X-Context": "{{ caller.number }}"})
WARM = WarmTransferStep("sales", "A caller.", "en", False, "1", 5, "", False, NO_ONE)
RELEASED = replace(WARM, release=True)


@asynccontextmanager
async def worker_with(folder, sales, *steps):
    """A worker whose plan knows one target, and a raw phone that can call it."""
    plan = replace(plan_of(*steps), transfers={"sales": sales})
    async with running_worker(folder, plan) as worker, raw_phone(worker.port) as caller:
        yield worker, caller


# ---- REFER -------------------------------------------------------------------------------------------------------


async def test_a_blind_transfer_takes_its_context_along_and_ends_when_the_target_has_answered(tmp_path):
    async with worker_with(tmp_path, "sip:42@pbx.example", AnswerStep(), TRANSFER) as (worker, caller):
        await caller.invite()
        refer = await caller.request("REFER")
        assert refer.headers["refer-to"] == "<sip:42@pbx.example?X-Context=call%20of%20raw>"
        caller.reply(refer, 202, "Accepted")
        await caller.response(notify(caller, "100 Trying", final=False), "NOTIFY")
        await caller.response(notify(caller, "200 OK", final=True), "NOTIFY")
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "transferred"
        check("transfer", ladder(caller=caller))


async def test_a_blind_transfer_to_somebody_who_is_busy_goes_on_with_or_else(tmp_path):
    async with worker_with(tmp_path, "sip:42@pbx.example", AnswerStep(), TRANSFER) as (worker, caller):
        await caller.invite()
        caller.reply(await caller.request("REFER"), 202, "Accepted")
        await caller.response(notify(caller, "486 Busy Here", final=True), "NOTIFY")
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "way 9"
        check("transfer-busy", ladder(caller=caller))


async def test_a_callers_own_refer_is_declined_and_nobody_is_dialled(tmp_path):
    async with (
        callee() as premium,
        worker_with(tmp_path, premium.uri, AnswerStep(), HoldStep(30)) as (
            worker,
            caller,
        ),
    ):
        await caller.invite()
        refer = caller.request_out("REFER", headers=f"Refer-To: <{premium.uri}>\r\n")
        assert (await caller.response(refer, "REFER")).status == 603
        await caller.heard(5)
        assert (await caller.bye()).status == 200
        await worker.ended()
        assert premium.sip.got == []
        check("refer-declined", ladder(caller=caller))


async def test_a_redirected_call_follows_nobody(tmp_path):
    async with callee() as moved, worker_with(tmp_path, moved.uri, DIAL) as (worker, caller):
        caller.request_out("INVITE", body=caller.sdp())
        await moved.called()
        moved.answer_with(302, "Moved Temporarily")
        await moved.request("ACK")
        (record,) = await worker.ended()
        assert record.end_reason == "way 9"
        assert "302" in record.end_detail
        assert [message.method for message in moved.sip.got] == ["INVITE", "ACK"]
        check("dial-redirected", ladder(callee=moved))


@needs_sipp
@needs_baresip
async def test_baresip_follows_our_refer_to_sipp(tmp_path):
    """Without a space in the context: baresip 1.0 reads a Refer-To with an escape (%20) as a format string."""
    port = free_port()
    async with (
        wire() as line,
        worker_with(tmp_path, f"sip:42@127.0.0.1:{port}", AnswerStep(), BARE) as (worker, _),
        baresip(tmp_path / "bare", speech_file(tmp_path)) as phone,
    ):
        async with sipp(tmp_path, "answers", port=port):
            phone.tell("dial", worker.uri)
            (record,) = await worker.ended()
            assert record.end_reason == "transferred"
        seen = line.ladder(apart=True, bridge=worker.port, caller=phone.sip_port, target=port)
        check("transfer-baresip-to-sipp", seen)


# ---- warm transfer -----------------------------------------------------------------------------------------------


def refer_replaces(refer):
    """(URI, Replaces) of a Refer-To with a dialog in it."""
    uri, _, headers = re.search(r"<([^>]+)>", refer.headers["refer-to"])[1].partition("?")
    return uri, parse_qs(headers)["Replaces"][0]


async def accepted(caller, target):
    """The target takes the warm transfer; the REFER."""
    await caller.invite()
    await target.takes()
    await target.heard(20)
    await target.presses("1")
    return await caller.request("REFER")


async def test_a_released_warm_transfer_leaves_the_call_to_the_two(tmp_path):
    async with (
        callee() as target,
        worker_with(tmp_path, target.uri, AnswerStep(), RELEASED) as (worker, caller),
    ):
        refer = await accepted(caller, target)
        uri, replaces = refer_replaces(refer)
        assert uri == target.uri
        assert re.match(
            rf"{re.escape(target.offer.headers['call-id'])};to-tag=callee1;from-tag=[^;]+$", replaces
        )
        assert "referred-by" in refer.headers
        caller.reply(refer, 202, "Accepted")
        await caller.response(notify(caller, "200 OK", final=True), "NOTIFY")
        await target.bye()
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "transferred"
        check("warm-transfer-released", ladder(caller=caller, target=target))


async def test_a_release_that_is_refused_leaves_the_two_connected_at_once(tmp_path):
    async with (
        callee() as target,
        worker_with(tmp_path, target.uri, AnswerStep(), RELEASED) as (worker, caller),
    ):
        refer = await accepted(caller, target)
        caller.reply(refer, 603, "Decline")
        async with caller.speaking(LOW), target.speaking(HIGH):
            later = asyncio.get_running_loop().time() + 0.3
            assert pitch((await target.heard(20, after=later, guard_s=3))[-15:]) == pytest.approx(
                400, rel=0.1
            )
            assert pitch((await caller.heard(20, after=later, guard_s=3))[-15:]) == pytest.approx(
                1600, rel=0.1
            )
        await target.bye()
        caller.reply(await caller.request("BYE"))
        await worker.ended()
        check("warm-transfer-not-released", ladder(caller=caller, target=target))


@pytest.mark.parametrize(
    ("key", "name"), [("1", "agent-warm-transfer"), ("3", "agent-warm-transfer-refused")]
)
async def test_an_agents_warm_transfer_is_taken_or_leaves_the_caller_with_the_agent(tmp_path, key, name):
    async with callee() as target, worker_with(tmp_path, target.uri, AgentStep("front")) as (worker, caller):
        await caller.invite()
        await worker.event("agent.finished")
        worker.command("warm_transfer", target="sales", summary="A caller about an order.")
        await target.takes()
        await target.heard(20)
        await target.presses(key)
        answer = await worker.done()
        assert (answer["ok"], "refused" in answer.get("error", "")) == (key == "1", key != "1")
        if key == "1":
            later = asyncio.get_running_loop().time() + 0.3
            async with caller.speaking(LOW):
                assert pitch((await target.heard(20, after=later))[-15:]) == pytest.approx(400, rel=0.1)
            await target.bye()
            caller.reply(await caller.request("BYE"))
        else:
            target.reply(await target.request("BYE"))
            session = await worker.model.session()
            since = len(session.of("input_audio_buffer.append"))
            async with caller.speaking(LOW):
                await session.hears(10, since=since)
            await caller.bye()
        await worker.ended()
        check(name, ladder(caller=caller, target=target))


@needs_sipp
async def test_sipp_takes_a_warm_transfer_by_info_and_then_the_callers_own_call_with_replaces(tmp_path):
    port = free_port()
    async with (
        wire() as line,
        worker_with(tmp_path, f"sip:42@127.0.0.1:{port}", AnswerStep(), RELEASED) as (worker, caller),
        raw_phone(port) as anew,
        sipp(tmp_path, "accepts_by_info", port=port, calls=2),
    ):
        await caller.invite()
        refer = await caller.request("REFER")
        caller.reply(refer, 202, "Accepted")
        uri, replaces = refer_replaces(refer)
        assert uri.startswith("sip:42@")
        assert (await anew.invite(headers=f"Replaces: {replaces}\r\n")).status == 200
        await caller.response(notify(caller, "200 OK", final=True), "NOTIFY")
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "transferred"
        assert (await anew.bye()).status == 200
        ports = {"caller": caller.sip_port, "caller-anew": anew.sip_port, "target": port}
        check("warm-transfer-sipp", line.ladder(bridge=worker.port, **ports))


@needs_baresip
async def test_a_baresip_that_cannot_follow_a_refer_with_replaces_stays_connected_through_us(tmp_path):
    async with (
        wire() as line,
        callee() as target,
        baresip(tmp_path / "bare", speech_file(tmp_path)) as phone,
        worker_with(tmp_path, target.uri, AnswerStep(), RELEASED) as (worker, _),
    ):
        phone.tell("dial", worker.uri)
        await target.takes()
        await target.heard(20)
        await target.presses("1")
        # Its INVITE has no Replaces: a second call, for which the target has no line.
        own = target.offer.headers["call-id"]
        second = await target.sip.until(
            lambda got: next((m for m in got if m.method == "INVITE" and m.headers["call-id"] != own), None)
        )
        worker_port, target.port = target.port, phone.sip_port
        target.reply(second, 486, "Busy Here")
        target.port = worker_port
        await worker.event("leg.connected")
        later = asyncio.get_running_loop().time() + 0.5
        assert pitch((await target.heard(20, after=later, guard_s=3))[-15:]) == pytest.approx(1600, rel=0.1)
        await target.bye()
        await phone.event("CALL_CLOSED")
        await worker.ended()
        ports = {"caller": phone.sip_port, "target": target.sip_port}
        check("warm-transfer-baresip-not-released", line.ladder(apart=True, bridge=worker.port, **ports))


@needs_baresip
async def test_baresip_takes_a_warm_transfer_by_its_key(tmp_path):
    async with (
        baresip(tmp_path / "bare", speech_file(tmp_path)) as phone,
        wire() as line,
        worker_with(tmp_path, phone.uri, AnswerStep(), WARM) as (worker, caller),
    ):
        await caller.invite()
        await phone.accepts()
        await worker.event("leg.answered")
        await asyncio.sleep(0.5)  # into the words: a key before them is no answer to them
        phone.tell("sndcode", "1")
        await worker.event("leg.connected")
        assert pitch(
            (await caller.heard(30, after=asyncio.get_running_loop().time() + 0.2))[-20:]
        ) == pytest.approx(1600, rel=0.1)
        phone.tell("hangup")
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "transferred"
        check(
            "warm-transfer-baresip",
            line.ladder(bridge=worker.port, caller=caller.sip_port, target=phone.sip_port),
        )


@needs_baresip
async def test_baresip_is_dialled_and_heard_both_ways(tmp_path):
    async with (
        baresip(tmp_path / "bare", speech_file(tmp_path)) as phone,
        wire() as line,
        worker_with(tmp_path, phone.uri, DIAL, way(1)) as (worker, caller),
    ):
        number = caller.request_out("INVITE", body=caller.sdp())
        await phone.accepts()
        caller.take(await caller.response(number))
        caller.ack(number)
        await worker.event("leg.connected")
        async with caller.speaking(LOW):
            later = asyncio.get_running_loop().time() + 0.2
            assert pitch((await caller.heard(30, after=later))[-20:]) == pytest.approx(1600, rel=0.1)
        await caller.bye()
        await phone.event("CALL_CLOSED")
        await worker.ended()
        check("dial-baresip", line.ladder(bridge=worker.port, caller=caller.sip_port, callee=phone.sip_port))
    heard = phone.recorded("dec")
    assert sum(abs(sample) > 2000 for sample in heard) > 2000


# ---- Replaces ----------------------------------------------------------------------------------------------------


@needs_sipp
async def test_sipp_takes_over_a_call_by_invite_with_replaces(tmp_path):
    async with (
        worker_with(tmp_path, "sip:x@pbx.example", AnswerStep(), HoldStep(30)) as (worker, caller),
        wire() as line,
    ):
        answer = await caller.invite()
        tag = re.search(r";tag=([^;\s]+)", answer.headers["to"])[1]
        port = free_port()
        keys = {"replaces": f"{caller.call_id};to-tag={tag};from-tag=r1"}
        async with sipp(tmp_path, "replaces", port=port, to=worker.port, keys=keys):
            caller.reply(await caller.request("BYE"))
        (record,) = await worker.ended()
        assert (record.ended_by, len(worker.of("call.replaced"))) == ("caller", 1)
        check("replaces", line.ladder(apart=True, bridge=worker.port, caller=caller.sip_port, heir=port))
