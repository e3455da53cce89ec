import time
from dataclasses import replace

import pytest

from bridge.call.modelside import MIN_OPEN_S, CallDeps, open_transport
from bridge.config import ProviderConfig, WorkerConfig
from bridge.errors import FailureKind, LinkError, RemoteSessionError

OPENAI = ProviderConfig(name="o", kind="openai", url="wss://api.example/v1/realtime", api_key_env="KEY")
OPEN = ProviderConfig(name="c", kind="compatible", url="ws://box.example/v1/realtime")


class Asked:
    """Control and network, remembered."""

    def __init__(self, answer=None):
        self.answer = answer
        self.questions = []
        self.connections = []
        self.deps = CallDeps(WorkerConfig(), None, None, None, self.request, self.connect)

    async def request(self, kind, data, deadline_s):
        self.questions.append((kind, dict(data), deadline_s))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def connect(self, url, headers, deadlines):
        self.connections.append((url, dict(headers), deadlines))
        return "transport"


async def opened(asked, provider, due_s=None):
    return await open_transport(asked.deps, provider, "m", "call-1", due_s or time.monotonic() + 60)


async def test_a_provider_without_key_is_connected_without_asking_control():
    asked = Asked()
    assert await opened(asked, OPEN) == "transport"
    assert asked.questions == []
    url, headers, _ = asked.connections[0]
    assert url.startswith("ws://box.example/v1/realtime")
    assert "Authorization" not in headers


async def test_a_key_comes_fresh_from_control_with_its_headers():
    asked = Asked({"value": "ek_1", "headers": {"X-Org": "7"}})
    await opened(asked, OPENAI)
    assert asked.questions[0][:2] == ("credential", {"provider": "o", "model": "m", "call_id": "call-1"})
    url, headers, _ = asked.connections[0]
    assert url == "wss://api.example/v1/realtime?model=m"
    assert headers == {"Authorization": "Bearer ek_1", "X-Org": "7"}


async def test_a_provider_with_secret_headers_only_asks_too():
    asked = Asked({"value": "", "headers": {"X-Key": "s"}})
    await opened(asked, replace(OPEN, headers_env=(("X-Key", "ENV"),)))
    assert asked.connections[0][1]["X-Key"] == "s"


async def test_without_control_there_is_no_key_and_another_try_may_help():
    asked = Asked(LinkError("control is away"))
    with pytest.raises(RemoteSessionError) as caught:
        await opened(asked, OPENAI)
    assert (caught.value.code, caught.value.kind) == ("no_credential", FailureKind.RETRY)
    assert asked.connections == []


async def test_no_step_may_take_longer_than_the_caller_will_wait():
    asked = Asked({"value": "k", "headers": {}})
    await opened(asked, OPENAI, due_s=time.monotonic() + 1.0)
    assert asked.questions[0][2] <= 1.0
    assert asked.connections[0][2].open_s <= 1.0


async def test_a_last_try_gets_a_moment_even_when_it_is_late():
    asked = Asked({"value": "k", "headers": {}})
    await opened(asked, OPENAI, due_s=time.monotonic() - 5.0)
    assert asked.connections[0][2].open_s == MIN_OPEN_S
