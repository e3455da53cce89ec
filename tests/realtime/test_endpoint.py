"""Demands: reference 1.1 (OpenAI), 2 (Azure), 7 (compatible servers)."""

import pytest

from bridge.errors import FailureKind, RemoteSessionError
from bridge.realtime.endpoint import endpoint


def test_openai_gets_the_model_in_the_url_and_a_bearer_key():
    place = endpoint("openai", "", "gpt-realtime-2.1", "sk-1", safety_identifier="hash")
    assert place.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"
    assert place.headers == {"Authorization": "Bearer sk-1", "OpenAI-Safety-Identifier": "hash"}


def test_azure_gets_the_deployment_as_model_and_an_api_key_header():
    place = endpoint("azure", "wss://res.openai.azure.com", "my deployment", "k", safety_identifier="hash")
    assert place.url == "wss://res.openai.azure.com/openai/v1/realtime?model=my+deployment"
    assert place.headers == {"api-key": "k"}


@pytest.mark.parametrize(
    ("url", "model", "expected"),
    [
        ("ws://127.0.0.1:8080/v1/realtime", "m", "ws://127.0.0.1:8080/v1/realtime?model=m"),
        ("ws://h/v1/realtime?duplex=1", "m", "ws://h/v1/realtime?duplex=1&model=m"),
        ("ws://h/v1/realtime?model=other", "m", "ws://h/v1/realtime?model=other"),
        ("wss://h/v1/realtime?call_id=c", "m", "wss://h/v1/realtime?call_id=c"),
        ("ws://h:9", "", "ws://h:9"),
    ],
)
def test_a_compatible_server_keeps_its_url(url, model, expected):
    place = endpoint("compatible", url, model)
    assert place.url == expected
    assert place.headers == {}


@pytest.mark.parametrize("url", ["https://h/v1/realtime", "h:8080", "ws://", "ws://[::1/"])
def test_what_is_no_websocket_url_is_refused(url):
    with pytest.raises(RemoteSessionError) as caught:
        endpoint("local", url, "m")
    assert (caught.value.kind, caught.value.code) == (FailureKind.FATAL, "bad_url")


def test_the_key_is_not_in_the_repr():
    assert "sk-1" not in repr(endpoint("openai", "", "m", "sk-1"))


def test_the_beta_header_is_never_sent():
    assert "OpenAI-Beta" not in endpoint("openai", "", "m", "sk-1").headers
