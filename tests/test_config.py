"""The configuration a worker is started with."""

import pytest

from bridge.config import PathsConfig, ProviderConfig, SipConfig, WorkerConfig
from bridge.errors import LinkError

CONFIG = WorkerConfig(
    index=2,
    default_provider="main",
    sip=SipConfig(port=5062, codecs=("PCMA",)),
    providers=(
        ProviderConfig("main", "openai", "wss://x/y", "KEY", headers_env=(("X-A", "A"),)),
        ProviderConfig(),
    ),
)


def test_it_survives_the_way_to_the_worker():
    assert WorkerConfig.from_json(CONFIG.to_json()) == CONFIG


def test_text_that_is_no_json_is_refused():
    with pytest.raises(LinkError, match="not JSON"):
        WorkerConfig.from_json("{")


def test_another_versions_shape_is_refused():
    with pytest.raises(LinkError, match="port"):
        WorkerConfig.from_json(CONFIG.to_json().replace('"port":5062', '"port":"5062"'))


def test_an_agent_without_a_provider_gets_the_default_one():
    assert CONFIG.provider(None) == CONFIG.providers[0]


def test_a_provider_is_found_by_its_name():
    assert CONFIG.provider("local") == ProviderConfig()


def test_an_unknown_provider_is_none():
    assert CONFIG.provider("other") is None


def test_a_prompt_has_its_place_under_the_state_folder():
    assert PathsConfig(prompts="/var/p").prompt("ab12") == "/var/p/ab12.wav"
