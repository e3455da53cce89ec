"""One pjsua2 endpoint for this folder: pjsua is a singleton, and pjlib belongs to the thread it began on."""

import time

import pytest
import pytest_asyncio

from bridge.config import MediaConfig, SipConfig
from bridge.sip.agent import SipAgent
from bridge.sip.pace import MAX_CALLS, REST_S
from tests.fakes.ports import free_block, free_port


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def agent():
    """A running SipAgent; ask for it in tests of the session's loop only."""
    rtp = free_block(100)
    config = SipConfig(port=free_port(), rtp_first=rtp, rtp_last=rtp + 98)
    async with SipAgent(config, MediaConfig()) as agent:
        yield agent


@pytest.fixture(autouse=True)
def not_too_many_calls_at_once(request):
    """The agent of all tests takes 24 calls in 0.6 s (bridge/sip/pace.py); tests behind each other are faster."""
    if "agent" in request.fixturenames:
        pace = request.getfixturevalue("agent")._pace
        while sum(time.monotonic() - at < REST_S for at in pace._admitted) > MAX_CALLS // 2:
            time.sleep(0.05)
