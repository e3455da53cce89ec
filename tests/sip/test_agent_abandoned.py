"""A call whose caller is gone before the INVITE went out."""

import asyncio

import pytest

from bridge.config import MediaConfig, SipConfig
from bridge.sip.agent import SipAgent
from tests.fakes.rawphone import Inbox, parse

pytestmark = pytest.mark.system


async def test_a_leg_whose_dialling_was_cancelled_rings_nobody_for_long():
    loop = asyncio.get_running_loop()
    transport, inbox = await loop.create_datagram_endpoint(lambda: Inbox(parse), local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    async with SipAgent(SipConfig(bind="127.0.0.1", port=0), MediaConfig()) as agent:
        task = asyncio.create_task(agent.call(f"sip:x@127.0.0.1:{port}"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(10):
            while agent._calls:  # noqa: ASYNC110  # the pj thread's
                await asyncio.sleep(0.05)
                for message in inbox.got:
                    if message.method == "INVITE" and not any(one.method == "CANCEL" for one in inbox.got):
                        _ring(transport, message, agent.info.port)
        assert all(one.method in {"INVITE", "CANCEL", "ACK"} for one in inbox.got)
    transport.close()


def _ring(transport, invite, port):
    """180: without a provisional response no CANCEL may be sent (RFC 3261 section 9.1)."""
    names = {"via": "Via", "from": "From", "call-id": "Call-ID", "cseq": "CSeq"}
    copied = "".join(f"{name}: {invite.headers[key]}\r\n" for key, name in names.items())
    to = f"To: {invite.headers['to']};tag=x\r\n"
    text = f"SIP/2.0 180 Ringing\r\n{copied}{to}Contact: <sip:x@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"
    transport.sendto(text.encode(), ("127.0.0.1", port))
