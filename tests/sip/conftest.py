"""One pjsua2 endpoint for this folder: pjsua is a singleton, and pjlib belongs to the thread it began on."""

import pytest_asyncio

from bridge.config import MediaConfig, SipConfig
from bridge.sip.agent import SipAgent
from tests.fakes.worker_process import free_udp_port


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def agent():
    """A running SipAgent; ask for it in tests of the session's loop only."""
    rtp = free_udp_port() // 100 * 100
    config = SipConfig(port=free_udp_port(), rtp_first=rtp, rtp_last=rtp + 98)
    async with SipAgent(config, MediaConfig()) as agent:
        yield agent
