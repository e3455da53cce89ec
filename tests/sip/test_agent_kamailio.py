"""Calls to a trunk that asks for digest: Kamailio challenges, a raw phone behind it answers."""

import pytest

from bridge.sip.events import Confirmed, HangUpBy, HungUp
from bridge.trunk import CallerId, Credential, Digest, Registration, Trunk
from tests.fakes.kamailio import kamailio, missing
from tests.fakes.rawphone import raw_phone
from tests.sip.test_agent import event
from tests.sip.test_agent_trunks import no_secret, until

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(missing(), reason="kamailio is not installed"),
]


def trunk_to(server, **changes):
    known = {
        "host": server.host,
        "register": Registration(server.host, server.user, 60),
        "digest": Digest(server.user, "", "PBX_PASSWORD"),
        "caller_id": CallerId(server.user, host="pbx.test"),
    }
    return Trunk("pbx", **known | changes)


async def test_a_call_is_answered_to_the_challenge_also_without_registration(agent, tmp_path):
    async with raw_phone(0) as phone, kamailio(tmp_path, phone.sip_port) as server:
        phone.port = server.port
        trunk = trunk_to(server)

        async def secret(_trunk):
            return Credential(server.user, "", server.password)

        await agent.use_trunks([trunk], secret, register=False)
        await until(lambda: agent._accounts._slots)
        leg = await agent.call(trunk.uri("+4930555"), trunk="pbx")
        invite = await phone.request("INVITE")
        assert len(server.seen("SEEN INVITE", "au=<null>")) == 1
        assert len(server.seen("SEEN INVITE", "au=1001")) == 1
        assert invite.headers["from"].startswith("<sip:1001@pbx.test>")
        invite.headers = dict(invite.headers) | {"to": invite.headers["to"] + ";tag=p1"}
        contact = f"Contact: <sip:2@127.0.0.1:{phone.sip_port}>\r\n"
        route = f"Record-Route: {invite.headers['record-route']}\r\n"
        phone.reply(invite, 200, "OK", contact + route, phone.sdp())
        await event(leg, Confirmed)
        await leg.hang_up(HangUpBy.BRIDGE)
        phone.reply(await phone.request("BYE"))
        await event(leg, HungUp)
        await agent.use_trunks([], no_secret)
        await until(lambda: not agent._accounts._slots)
        assert not server.seen("SEEN REGISTER")


async def test_a_wrong_password_ends_the_call_with_the_challenge(agent, tmp_path):
    async with raw_phone(0) as phone, kamailio(tmp_path, phone.sip_port) as server:
        phone.port = server.port
        trunk = trunk_to(server, register=None)
        await agent.use_trunks([trunk], no_secret)
        await until(lambda: agent._accounts._slots)
        leg = await agent.call(trunk.uri("+4930555"), trunk="pbx")
        assert (await event(leg, HungUp)).status == 407
        await agent.use_trunks([], no_secret)
        await until(lambda: not agent._accounts._slots)


async def test_a_trunk_that_did_not_change_keeps_its_registration_and_a_changed_one_registers_anew(
    agent, tmp_path
):
    async with raw_phone(0) as phone, kamailio(tmp_path, phone.sip_port) as server:
        phone.port = server.port
        passwords = ["wrong"]

        async def secret(_trunk):
            return Credential(server.user, "", passwords[-1])

        await agent.use_trunks([trunk_to(server)], secret)
        await until(lambda: agent.trunk_facts["pbx"]["problem"].startswith("401"))
        passwords.append(server.password)  # control was given another one
        await agent.use_trunks([trunk_to(server)], secret)
        await until(lambda: agent.trunk_facts["pbx"]["registered"])
        before = len(server.seen("SEEN REGISTER"))
        await agent.use_trunks([trunk_to(server)], secret)
        await agent.use_trunks([trunk_to(server, verstat=True)], secret)
        await until(lambda: agent.trunk_facts["pbx"]["registered"])
        assert len(server.seen("SEEN REGISTER")) == before
        await agent.use_trunks([trunk_to(server, prack="optional")], secret)
        await server.until("SAVED", "expires=60", count=2)
        await server.until("SAVED", "expires=0")
        await agent.use_trunks([], secret)
        await until(lambda: not agent._accounts._slots)
        assert len(server.seen("SAVED", "expires=0")) == 2
