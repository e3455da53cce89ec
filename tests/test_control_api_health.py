"""The state of the installation over the API; a Health that remembers what it was asked."""

import pytest

from bridge.console.healthfacts import Facts, NodeHealth, Pending
from bridge.control_api_health import HealthApi
from bridge.errors import BridgeError
from tests.fakes.api import running_api


class Known:
    def __init__(self):
        self.asked = []

    async def facts(self):
        self.asked.append("facts")
        return Facts(7.0, NodeHealth("n1"), pending=(Pending("crm", "pay", "new", "abc", "pays", ()),))

    async def accept(self, server, tool, shown, by):
        if shown != "abc":
            raise BridgeError("not in the form that was shown")
        self.asked.append((server, tool, by))

    async def forget(self, server, tool, by):
        self.asked.append((server, tool, by))


@pytest.fixture
async def api(tmp_path):
    known = Known()
    async with running_api(tmp_path, lambda _store: HealthApi(lambda: known).routes()) as found:
        found.known = known
        yield found


async def test_what_there_is_is_told_and_looked_for_once_in_a_while(api):
    for _ in range(3):
        status, data = await api.ask("GET", "/api/v1/health", role="viewer")
    assert (status, data["here"]["name"], data["pending"][0]["hash"]) == (200, "n1", "abc")
    assert api.known.asked == ["facts"]


async def test_an_admin_accepts_exactly_what_was_shown(api):
    body = {"server": "crm", "tool": "pay", "hash": "abc"}
    assert (await api.ask("POST", "/api/v1/mcp/accept", body, "operator"))[0] == 403
    assert (await api.ask("POST", "/api/v1/mcp/accept", {**body, "hash": "other"}, "admin"))[0] == 409
    assert (await api.ask("POST", "/api/v1/mcp/accept", body, "admin"))[0] == 200
    assert (await api.ask("POST", "/api/v1/mcp/forget", {"server": "crm", "tool": "pay"}, "admin"))[0] == 200
    assert api.known.asked == [("crm", "pay", "a-admin")] * 2


@pytest.mark.parametrize(
    "body", [{}, {"server": "a", "tool": "b"}, {"server": "", "tool": "b", "hash": "c"}, {"x": 1}]
)
async def test_a_body_that_is_none_accepts_nothing(api, body):
    assert (await api.ask("POST", "/api/v1/mcp/accept", body, "admin"))[0] == 400


async def test_before_there_is_a_console_it_says_so(tmp_path):
    async with running_api(tmp_path, lambda _store: HealthApi(lambda: None).routes()) as api:
        assert (await api.ask("GET", "/api/v1/health"))[0] == 503
