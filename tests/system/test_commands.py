"""What tools have a call do, over real SIP: end it, hand it on by REFER (RFC 3515), have digits typed in."""

import re
import shutil
import wave
from dataclasses import replace

import pytest

from bridge.dialplan.plan import HangUpStep, TransferStep
from tests.fakes.baresip import MODULES, baresip
from tests.fakes.rawphone import raw_phone
from tests.fakes.realtime_server import tone
from tests.fakes.worker_process import plan_of, running_worker

pytestmark = pytest.mark.system

NOTIFY = "Event: refer\r\nSubscription-State: {state}\r\n"


def plan_with(target):
    return replace(plan_of(), transfers={"sales": target})


def notify(phone, line, *, final):
    state = "terminated;reason=noresource" if final else "active;expires=60"
    headers = NOTIFY.format(state=state)
    return phone.request_out(
        "NOTIFY", body=f"SIP/2.0 {line}\r\n", headers=headers, kind="message/sipfrag;version=2.0"
    )


async def test_a_transfer_refers_the_caller_to_the_dialplans_target_and_hangs_up_when_it_answered(tmp_path):
    async with (
        running_worker(tmp_path, plan_with("sip:42@pbx.example")) as worker,
        raw_phone(worker.port) as phone,
    ):
        assert (await phone.invite()).status == 200
        await worker.event("call.answered")
        worker.command("transfer", target="sales")
        refer = await phone.request("REFER")
        assert refer.headers["refer-to"] == "<sip:42@pbx.example>"
        assert re.match(r"<sip:[^>]*127\.0\.0\.1", refer.headers["referred-by"])
        phone.reply(refer, 202, "Accepted")
        assert (await phone.response(notify(phone, "100 Trying", final=False), "NOTIFY")).status == 200
        assert worker.control.done == []
        await phone.response(notify(phone, "200 OK", final=True), "NOTIFY")
        assert (await worker.done())["ok"] is True
        phone.reply(await phone.request("BYE"))
        (record,) = await worker.ended()
        assert (record.ended_by, record.end_reason) == ("agent", "transferred")


@pytest.mark.parametrize("how", ["refused", "busy"])
async def test_a_transfer_that_fails_leaves_the_caller_with_the_agent(tmp_path, how):
    async with (
        running_worker(tmp_path, plan_with("sip:42@pbx.example")) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite()
        await worker.event("call.answered")
        worker.command("transfer", target="sales")
        refer = await phone.request("REFER")
        if how == "refused":
            phone.reply(refer, 603, "Decline")
        else:
            phone.reply(refer, 202, "Accepted")
            await phone.response(notify(phone, "486 Busy Here", final=True), "NOTIFY")
        answer = await worker.done()
        assert (answer["ok"], ("603" if how == "refused" else "486") in answer["error"]) == (False, True)
        session = await worker.model.session()
        async with phone.speaking():
            await session.hears(10)
        assert (await phone.bye()).status == 200
        (record,) = await worker.ended()
        assert record.ended_by == "caller"


async def test_a_target_that_the_dialplan_does_not_name_sends_no_refer(tmp_path):
    async with (
        running_worker(tmp_path, plan_with("sip:42@pbx.example")) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite()
        await worker.event("call.answered")
        worker.command("transfer", target="sip:+900123@evil.example")
        assert "there are: sales" in (await worker.done())["error"]
        assert not [message for message in phone.sip.got if message.method == "REFER"]
        await phone.bye()


async def test_a_caller_who_hangs_up_after_accepting_the_transfer_counts_as_transferred(tmp_path):
    async with (
        running_worker(tmp_path, plan_with("sip:42@pbx.example")) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite()
        await worker.event("call.answered")
        worker.command("transfer", target="sales")
        phone.reply(await phone.request("REFER"), 202, "Accepted")
        await phone.response(notify(phone, "100 Trying", final=False), "NOTIFY")
        assert (await phone.bye()).status == 200
        assert (await worker.done())["ok"] is True
        await worker.ended()


async def test_a_hang_up_lets_the_agent_finish_its_sentence(tmp_path):
    async with running_worker(tmp_path, greeting=tone(1500)) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await worker.event("agent.started")
        worker.command("hang_up", reason="said goodbye")
        bye = await phone.request("BYE")
        phone.reply(bye)
        assert (await worker.event("agent.finished"))[0]["heard_ms"] == 1500
        (record,) = await worker.ended()
        assert (record.ended_by, record.end_status, record.end_reason) == ("agent", 200, "said goodbye")
        assert "said goodbye" in bye.headers["reason"]


async def test_digits_go_to_the_tool_that_asked_for_them_and_not_to_the_model(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        session = await worker.model.session()
        await worker.event("agent.finished")
        worker.command("collect", digits=6, terminator="#", timeout_s=10)
        for digit in "123#":
            await phone.press(digit)
        answer = await worker.done()
        assert (answer["ok"], answer["digits"]) == (True, "123")
        told = [event for event in session.of("conversation.item.create") if "keypad" in str(event)]
        assert told == []
        await phone.press("7")
        await session.wait("conversation.item.create")
        assert "pressed 7" in str(session.of("conversation.item.create")[-1])
        await phone.bye()


async def test_a_dialplan_hands_a_caller_on_by_itself(tmp_path):
    plan = replace(plan_of(TransferStep("sales")), transfers={"sales": "sip:42@pbx.example"})
    async with running_worker(tmp_path, plan) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 200
        refer = await phone.request("REFER")
        assert refer.headers["refer-to"] == "<sip:42@pbx.example>"
        phone.reply(refer, 202, "Accepted")
        await phone.response(notify(phone, "200 OK", final=True), "NOTIFY")
        phone.reply(await phone.request("BYE"))
        (record,) = await worker.ended()
        assert (record.end_status, record.end_reason) == (200, "transferred")


async def test_a_dialplan_goes_on_when_the_target_cannot_be_reached(tmp_path):
    steps = (TransferStep("sales", (HangUpStep(486, "all busy"),)),)
    plan = replace(plan_of(*steps), transfers={"sales": "sip:42@pbx.example"})
    async with running_worker(tmp_path, plan) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 200
        phone.reply(await phone.request("REFER"), 202, "Accepted")
        await phone.response(notify(phone, "486 Busy Here", final=True), "NOTIFY")
        bye = await phone.request("BYE")
        phone.reply(bye)
        assert "all busy" in bye.headers["reason"]
        (record,) = await worker.ended()
        assert "486" in record.end_detail


@pytest.mark.skipif(
    shutil.which("baresip") is None or not (MODULES / "sndfile.so").exists(),
    reason="baresip (Debian: baresip-core) is not installed",
)
async def test_baresip_follows_our_refer_to_another_phone(tmp_path):
    speech = tmp_path / "speech.wav"
    with wave.open(str(speech), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(tone(20_000, 8000, hz=700))
    async with raw_phone(0) as target:
        plan = plan_with(f"sip:42@127.0.0.1:{target.sip_port}")
        async with running_worker(tmp_path, plan) as worker, baresip(tmp_path / "bare", speech) as phone:
            phone.tell("dial", worker.uri)
            await phone.event("CALL_ESTABLISHED")
            await worker.event("agent.finished")
            worker.command("transfer", target="sales")
            invite = await target.request("INVITE")
            target.port = int(re.search(r"127\.0\.0\.1:(\d+)", invite.headers["via"])[1])
            contact = f"Contact: <sip:42@127.0.0.1:{target.sip_port}>\r\n"
            invite.headers["to"] += ";tag=t42"
            target.reply(invite, headers=contact, body=target.sdp())
            await target.request("ACK")
            assert (await worker.done())["ok"] is True
            (record,) = await worker.ended()
            assert (record.ended_by, record.end_reason) == ("agent", "transferred")
            assert "sip:42@" in invite.start
