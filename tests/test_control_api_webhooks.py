"""Webhooks over the API: who sees and does what, against a receiver that answers."""

from contextlib import asynccontextmanager

import pytest

from bridge.control_api_webhooks import WebhooksApi
from bridge.control_events import EventWatch
from bridge.control_webhooks import WebhookDeps, WebhookDesk
from bridge.settings_webhooks import Webhook
from bridge.store.eventstore import EventStore, Position
from bridge.store.webhookstore import WebhookStore
from tests.fakes.api import running_api

BASE = "/api/v1/webhooks"
CRM = Webhook(url="https://hooks.example/secret-path?key=1", secret_env="HOOK", events=["call.ended"])


@asynccontextmanager
async def api(folder):
    def routes(store):
        deps = WebhookDeps(WebhookStore(store), EventWatch(EventStore(store)), {"crm": CRM}, {})
        return WebhooksApi(WebhookDesk(deps)).routes()

    async with running_api(folder, routes) as found:
        await WebhookStore(found.store).settle(["crm"], Position())
        yield found


async def test_how_webhooks_fare_is_for_who_runs_the_bridge_and_shows_no_secret(tmp_path):
    async with api(tmp_path) as it:
        status, data = await it.ask("GET", BASE)
        assert (status, data["webhooks"][0]["name"], data["webhooks"][0]["to"]) == (
            200,
            "crm",
            "hooks.example",
        )
        assert "secret-path" not in repr(data)
        assert (await it.ask("GET", BASE, role="viewer"))[0] == 403
        assert (await it.ask("POST", f"{BASE}/crm/test"))[0] == 403  # an operator looks


async def test_an_admin_tests_enables_and_sends_again(tmp_path):
    async with api(tmp_path) as it:
        assert await it.ask("POST", f"{BASE}/crm/test", role="admin") == (202, {"webhook": "crm"})
        assert (await it.ask("POST", f"{BASE}/other/test", role="admin"))[0] == 404
        assert (await it.ask("POST", f"{BASE}/crm/enable", role="admin"))[0] == 200
        assert (await it.ask("POST", f"{BASE}/other/enable", role="admin"))[0] == 404
        _, data = await it.ask("GET", f"{BASE}/deliveries?state=pending&endpoint=crm&limit=5")
        (one,) = data["deliveries"]
        assert (one["type"], one["state"]) == ("test", "pending")
        again = f"{BASE}/deliveries/{one['delivery_id']}/redeliver"
        assert (await it.ask("POST", again, role="admin"))[0] == 404  # it is on its way
        await WebhookStore(it.store).park("crm", "x", 0)
        assert await it.ask("POST", again, role="admin") == (202, {"delivery_id": one["delivery_id"]})


@pytest.mark.parametrize(
    "query", ["state=gone", "limit=0", "limit=-1", "limit=1001", "limit=x", "limit=\u0663"]
)
async def test_a_query_that_makes_no_sense_is_refused(tmp_path, query):
    async with api(tmp_path) as it:
        assert (await it.ask("GET", f"{BASE}/deliveries?{query}"))[0] == 400


@pytest.mark.parametrize("which", ["x", "-1", "9" * 30, "\u0663"])
async def test_a_delivery_that_is_none_is_not_found(tmp_path, which):
    async with api(tmp_path) as it:
        assert (await it.ask("POST", f"{BASE}/deliveries/{which}/redeliver", role="admin"))[0] == 404
