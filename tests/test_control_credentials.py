import json

import httpx
import pytest

from bridge.config import ProviderConfig
from bridge.control_credentials import Credentials, client_secrets_url
from bridge.errors import LinkError

KEY = "sk-long-lived"
PROVIDERS = (
    ProviderConfig(
        "openai", "openai", "wss://api.openai.com/v1/realtime", "OPENAI_API_KEY", "gpt-realtime-2.1"
    ),
    ProviderConfig(
        "azure", "azure", "wss://x.openai.azure.com/openai/v1/realtime", "AZURE_KEY", "deployment"
    ),
    ProviderConfig("own", "compatible", "ws://127.0.0.1:9/x", None, "m", headers_env=(("X-Token", "TOKEN"),)),
    ProviderConfig("local", "local", "ws://127.0.0.1:9/v1/realtime"),
)
ENVIRON = {"OPENAI_API_KEY": KEY, "AZURE_KEY": "azure-key", "TOKEN": "t0ken"}


class Api:
    """The other end of HTTP; remembers what it was asked."""

    def __init__(self, status=200, body=None, error=None):
        self.status, self.error, self.requests = status, error, []
        self.body = {"value": "ek_123", "expires_at": 99} if body is None else body

    def __call__(self, request):
        self.requests.append(request)
        if self.error:
            raise self.error
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return httpx.Response(self.status, content=content)


async def ask(api, provider="openai", environ=ENVIRON, **data):
    async with httpx.AsyncClient(transport=httpx.MockTransport(api)) as client:
        return await Credentials(PROVIDERS, environ, client).answer(
            {"provider": provider, "call_id": "c", **data}
        )


async def test_openai_sessions_get_a_client_secret_of_their_own_and_never_the_key():
    """POST /v1/realtime/client_secrets (API reference, GA)."""
    api = Api()
    assert await ask(api, model="gpt-realtime-mini") == {"value": "ek_123", "expires_at": 99, "headers": {}}
    (request,) = api.requests
    assert (request.method, str(request.url)) == ("POST", "https://api.openai.com/v1/realtime/client_secrets")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(request.content) == {
        "session": {"type": "realtime", "model": "gpt-realtime-mini"},
        "expires_after": {"anchor": "created_at", "seconds": 60},
    }


async def test_the_providers_model_is_used_when_the_call_names_none():
    api = Api()
    await ask(api)
    assert json.loads(api.requests[0].content)["session"]["model"] == "gpt-realtime-2.1"


@pytest.mark.parametrize(
    ("provider", "answer"),
    [
        ("azure", {"value": "azure-key", "headers": {}}),
        ("own", {"value": "", "headers": {"X-Token": "t0ken"}}),
        ("local", {"value": "", "headers": {}}),
    ],
)
async def test_where_there_are_no_client_secrets_the_key_is_the_credential(provider, answer):
    api = Api()
    assert await ask(api, provider) == answer
    assert api.requests == []


@pytest.mark.parametrize(
    ("api", "says"),
    [
        (
            Api(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}),
            "answered 401: Incorrect API key",
        ),
        (Api(500, b"<html>"), "answered 500: Internal Server Error"),
        (Api(429, {"error": "slow down"}), "answered 429: slow down"),
        (Api(200, {"value": 5}), "holds no client secret"),
        (Api(200, [1]), "holds no client secret"),
        (Api(200, b"nonsense"), "holds no client secret"),
        (Api(error=httpx.ConnectError("no route to host")), "no route to host"),
        (Api(error=httpx.ReadTimeout("")), "ReadTimeout"),
    ],
)
async def test_what_goes_wrong_is_said_in_a_sentence_without_the_key(api, says):
    with pytest.raises(LinkError, match=says) as caught:
        await ask(api)
    assert KEY not in str(caught.value)
    assert "provider openai" in str(caught.value)


@pytest.mark.parametrize(
    ("api", "fatal"),
    [
        (Api(401, {"error": {"message": "Incorrect API key provided"}}), True),
        (Api(403, {}), True),
        (Api(404, {}), True),
        (Api(429, {"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}), True),
        (Api(429, {"error": {"code": "rate_limit_exceeded"}}), False),
        (Api(500, b"<html>"), False),
        (Api(200, {}), False),
        (Api(error=httpx.ConnectError("no route to host")), False),
    ],
)
async def test_only_a_refusal_that_will_not_change_is_fatal(api, fatal):
    with pytest.raises(LinkError) as caught:
        await ask(api)
    assert caught.value.fatal is fatal


async def test_a_key_that_is_not_set_is_fatal():
    with pytest.raises(LinkError) as caught:
        await ask(Api(), environ={})
    assert caught.value.fatal


async def test_a_missing_variable_and_an_unknown_provider_are_named():
    with pytest.raises(LinkError, match="OPENAI_API_KEY is not set"):
        await ask(Api(), environ={})
    with pytest.raises(LinkError, match="no provider is called 'nobody'"):
        await ask(Api(), "nobody")


@pytest.mark.parametrize(
    ("realtime", "secrets"),
    [
        ("wss://api.openai.com/v1/realtime?model=x", "https://api.openai.com/v1/realtime/client_secrets"),
        ("ws://127.0.0.1:8000/v1/realtime/", "http://127.0.0.1:8000/v1/realtime/client_secrets"),
        ("wss://host", "https://host/v1/realtime/client_secrets"),
    ],
)
def test_the_address_of_client_secrets_follows_from_the_sessions(realtime, secrets):
    assert client_secrets_url(realtime) == secrets
