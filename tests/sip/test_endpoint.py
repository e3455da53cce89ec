"""What is asked of pjsua2; that it does so shows in test_agent.py."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge.config import MediaConfig, SipConfig
from bridge.errors import MediaError
from bridge.sip.endpoint import account_config, allow_codecs, endpoint_config, transport_config

SIP = SipConfig(bind="10.0.0.1", port=5070, rtp_first=4000, rtp_last=4100, user_agent="bridge/1")


class FakeEndpoint:
    def __init__(self, *codecs):
        self.codecs = codecs
        self.priorities = {}

    def codecEnum2(self):  # noqa: N802
        return [SimpleNamespace(codecId=codec) for codec in self.codecs]

    def codecSetPriority(self, codec, priority):  # noqa: N802
        self.priorities[codec] = priority


def test_one_thread_runs_everything_and_nothing_is_written_to_the_terminal():
    config = endpoint_config(SIP, MediaConfig(jitter_max_ms=300), Path("/tmp/pj.log"))
    assert (config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly) == (0, True)
    assert (config.logConfig.consoleLevel, config.logConfig.filename) == (0, "/tmp/pj.log")
    assert (config.medConfig.clockRate, config.medConfig.jbInit, config.medConfig.jbMax) == (8000, 0, 300)
    assert endpoint_config(SIP, MediaConfig(), None).logConfig.filename == ""


@pytest.mark.parametrize("public", ["", "192.0.2.7"])
def test_the_public_address_stands_for_both_sip_and_rtp(public):
    sip = SipConfig(bind="10.0.0.1", port=5070, rtp_first=4000, rtp_last=4100, public_address=public)
    transport, account = transport_config(sip), account_config(sip)
    rtp = account.mediaConfig.transportConfig
    assert (transport.port, transport.boundAddress, transport.publicAddress) == (5070, "10.0.0.1", public)
    assert (rtp.port, rtp.portRange, rtp.boundAddress, rtp.publicAddress) == (4000, 100, "10.0.0.1", public)


def test_the_identity_is_the_user_agents_name_at_the_bound_address():
    assert account_config(SIP).idUri == "sip:bridge@10.0.0.1:5070"


def test_codecs_are_offered_in_the_order_named_and_no_others():
    endpoint = FakeEndpoint("PCMU/8000/1", "PCMA/8000/1", "speex/8000/1")
    allow_codecs(endpoint, ("pcma", "PCMU"))
    assert endpoint.priorities == {"PCMU/8000/1": 249, "PCMA/8000/1": 250, "speex/8000/1": 0}


def test_without_a_wanted_codec_there_is_no_endpoint():
    with pytest.raises(MediaError, match="OPUS"):
        allow_codecs(FakeEndpoint("speex/8000/1"), ("OPUS",))
