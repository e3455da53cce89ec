"""No peer makes us dial: REFER, 3xx, NOTIFY and strange URIs against a real pjsua2 endpoint."""

import asyncio
import contextlib
import ctypes

import pytest

from bridge.errors import SipError
from bridge.sip.events import Confirmed, HangUpBy, HungUp
from bridge.trunk import Digest, Trunk
from tests.fakes.rawphone import raw_phone
from tests.sip.test_agent import Desk, event
from tests.sip.test_agent_trunks import picked_up, trunks

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session")]
QUIET_S = 0.4  # on loopback an INVITE that is sent comes within milliseconds


async def answered(agent, phone):
    desk = Desk(agent)
    invited = asyncio.create_task(phone.invite())
    leg = await desk.leg()
    assert await leg.answer()
    assert (await invited).status == 200
    await event(leg, Confirmed)
    return leg


async def nothing_came(phone):
    with pytest.raises(TimeoutError):
        await phone.request("INVITE", QUIET_S)


@pytest.mark.parametrize("name", ["Refer-To", "r"])
async def test_a_callers_refer_is_declined_and_nobody_is_dialled(agent, name):
    async with raw_phone(agent.info.port) as phone, raw_phone(agent.info.port) as premium:
        await answered(agent, phone)
        number = phone.request_out("REFER", headers=f"{name}: <sip:900@127.0.0.1:{premium.sip_port}>\r\n")
        assert (await phone.response(number, "REFER")).status == 603
        await nothing_came(premium)
        assert (await phone.bye()).status == 200


async def test_a_refer_that_came_past_the_doorman_is_declined_too(agent):
    async with raw_phone(agent.info.port) as phone, raw_phone(agent.info.port) as premium:
        await answered(agent, phone)
        doorman = agent._doorman
        library, module = doorman._library, doorman._modules[1]
        await agent._submit(
            lambda: library.pjsip_endpt_unregister_module(doorman._endpoint, ctypes.byref(module))
        )
        try:
            number = phone.request_out(
                "REFER", headers=f"Refer-To: <sip:900@127.0.0.1:{premium.sip_port}>\r\n"
            )
            assert (await phone.response(number, "REFER")).status == 603
            await nothing_came(premium)
        finally:
            await agent._submit(
                lambda: library.pjsip_endpt_register_module(doorman._endpoint, ctypes.byref(module))
            )
        assert (await phone.bye()).status == 200


@pytest.mark.parametrize("status", [300, 301, 302, 305, 380])
async def test_a_redirection_ends_our_call_with_its_status_and_nobody_is_dialled(agent, status):
    async with raw_phone(agent.info.port) as phone, raw_phone(agent.info.port) as premium:
        leg = await agent.call(f"sip:200@127.0.0.1:{phone.sip_port}")
        invite = await phone.request("INVITE")
        phone.reply(invite, status, "Elsewhere", f"Contact: <sip:900@127.0.0.1:{premium.sip_port}>\r\n")
        assert (await event(leg, HungUp)).status == status
        await nothing_came(premium)


async def test_a_notify_nobody_asked_for_changes_nothing(agent):
    async with raw_phone(agent.info.port) as phone:
        leg = await answered(agent, phone)
        number = phone.request_out(
            "NOTIFY",
            headers="Event: refer\r\nSubscription-State: terminated\r\n",
            body="SIP/2.0 200 OK\r\n",
            kind="message/sipfrag",
        )
        assert (await phone.response(number, "NOTIFY")).status >= 400
        assert not leg.ended
        assert (await phone.bye()).status == 200


async def test_a_call_that_cannot_be_placed_leaves_nothing_behind(agent):
    with pytest.raises(SipError, match="cannot call") as caught:
        await agent.call("tel:+4930123456")  # no proxy to send it to
    assert caught.value.__context__ is None
    assert await agent._submit(agent._doorman.lines_in_use) == 0


async def test_a_leg_whose_dialling_was_cancelled_is_ended(agent):
    async with raw_phone(agent.info.port) as phone:
        before = set(agent._calls)
        task = asyncio.create_task(agent.call(f"sip:x@127.0.0.1:{phone.sip_port}"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        invite = await phone.request("INVITE")
        phone.reply(
            invite, 180, "Ringing", headers="Contact: <sip:x@127.0.0.1>\r\n"
        )  # or no CANCEL may be sent
        cancel = await phone.request("CANCEL")
        phone.reply(cancel)
        phone.reply(invite, 487, "Request Terminated")
        async with asyncio.timeout(20):
            while set(agent._calls) - before:  # noqa: ASYNC110  # the pj thread's
                await asyncio.sleep(0.05)


CHALLENGE = 'WWW-Authenticate: Digest realm="pbx.test", nonce="n1", algorithm=MD5\r\n'
IN_CALLS = {
    "INVITE": lambda agent, leg: agent.command(leg.id, lambda call: call.hold(True), None),
    "REFER": lambda agent, leg: leg.transfer("sip:300@127.0.0.1"),
    "BYE": lambda agent, leg: leg.hang_up(HangUpBy.BRIDGE),
}


def login(phone):
    return Trunk("pbx", ("127.0.0.1",), f"127.0.0.1:{phone.sip_port}", digest=Digest("1001", "pbx.test", "X"))


async def challenged(phone, method):
    """The requests of that method that came, the first of them answered with 401."""
    first = await phone.request(method)
    phone.reply(first, 401, "Unauthorized", CHALLENGE)
    with contextlib.suppress(TimeoutError):
        await phone.sip.until(lambda ms: next((m for m in ms if "authorization" in m.headers), None), QUIET_S)
    return [m for m in phone.sip.got if m.method == method]


async def forgotten(agent):
    """The SIP thread has dropped the calls that are over."""
    async with asyncio.timeout(20):
        while agent._dead:
            await agent.command("nobody", lambda call: call, None)


@pytest.mark.parametrize("method", IN_CALLS)
async def test_a_caller_who_challenges_us_gets_no_digest_of_the_trunks(agent, method):
    async with raw_phone(agent.info.port) as phone, trunks(agent, login(phone)):
        leg = await answered(agent, phone)
        assert leg.trunk.name == "pbx"
        await IN_CALLS[method](agent, leg)
        requests = await challenged(phone, method)
        assert [m.headers.get("authorization") for m in requests] == [None]
        if method != "BYE":
            assert (await phone.bye()).status == 200
        await event(leg, HungUp)


async def test_within_a_call_we_placed_a_challenge_is_answered(agent):
    async with raw_phone(agent.info.port) as phone, trunks(agent, login(phone)):
        leg, _ = await picked_up(agent, phone, trunk="pbx")
        await leg.hang_up(HangUpBy.BRIDGE)
        requests = await challenged(phone, "BYE")
        assert 'realm="pbx.test"' in requests[-1].headers["authorization"]
        phone.reply(requests[-1])
        await event(leg, HungUp)


async def test_a_trunk_that_is_far_away_may_challenge_the_end_of_a_call_that_is_over_here(agent):
    async with raw_phone(agent.info.port) as phone, trunks(agent, login(phone)):
        leg, _ = await picked_up(agent, phone, trunk="pbx")
        await leg.hang_up(HangUpBy.BRIDGE)
        await event(leg, HungUp)
        await forgotten(agent)
        requests = await challenged(phone, "BYE")
        assert 'realm="pbx.test"' in requests[-1].headers["authorization"]
        phone.reply(requests[-1])


async def test_who_calls_under_the_call_id_of_a_call_we_placed_gets_no_digest_when_both_are_over(agent):
    async with raw_phone(agent.info.port) as phone, trunks(agent, login(phone)):
        leg, invite = await picked_up(agent, phone, trunk="pbx")
        await leg.hang_up(HangUpBy.BRIDGE)
        phone.reply(await phone.request("BYE"))
        await event(leg, HungUp)
        async with raw_phone(agent.info.port) as thief:
            thief.call_id = invite.headers["call-id"]
            leg = await answered(agent, thief)
            await leg.hang_up(HangUpBy.BRIDGE)
            await event(leg, HungUp)
            await forgotten(agent)
            requests = await challenged(thief, "BYE")
            assert [m.headers.get("authorization") for m in requests] == [None]
