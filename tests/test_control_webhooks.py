"""Webhooks against a receiver that checks what it gets with the standardwebhooks library; events come by the store."""

import asyncio
import contextlib
import json

import pytest
import structlog
from standardwebhooks import Webhook as Verifier

from bridge.control_events import EventWatch
from bridge.control_webhooks import WebhookDeps, WebhookDesk
from bridge.settings_webhooks import Webhook
from bridge.store.eventstore import EventStore
from bridge.store.store import Store
from bridge.store.webhookstore import WebhookStore
from tests.fakes.events import Script, conversation
from tests.test_webhook import SECRET, receiving

GUARD_S = 20.0
QUICK = 0.01


def hook(url, **more):
    return Webhook(url=url, secret_env="HOOK", **more)


@contextlib.asynccontextmanager
async def running(store, settings, environ=None, **more):
    watch = EventWatch(EventStore(store))
    secrets = {"HOOK": SECRET} if environ is None else environ
    desk = WebhookDesk(WebhookDeps(WebhookStore(store), watch, settings, secrets, pace=QUICK, **more))
    tasks = [asyncio.create_task(part) for part in (watch.run(), desk.run())]
    try:
        async with asyncio.timeout(GUARD_S):
            while len(await WebhookStore(store).endpoints()) < len(settings):  # noqa: ASYNC110  # rows
                await asyncio.sleep(0.01)
        yield desk
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(store, wanted, state="delivered", endpoint=""):
    """The deliveries, once so many are in the state, the oldest first."""
    async with asyncio.timeout(GUARD_S):
        while True:
            found = await WebhookStore(store).deliveries(endpoint, state)
            if len(found) >= wanted:
                return found[::-1]
            await asyncio.sleep(0.02)


@pytest.fixture
async def store(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as found:
        yield found


async def test_a_call_is_told_signed_in_its_order_and_once(store):
    async with receiving() as (receiver, url), running(store, {"crm": hook(url, personal=True)}):
        await store.write(0, conversation())
        await until(store, 6)
    told = [Verifier(SECRET).verify(body, headers) for headers, body in receiver.got]
    assert [one["type"] for one in told] == [
        "call.started", "call.answered", "transcript", "transcript", "recording.ready", "call.ended",
    ]  # fmt: skip
    assert told[0]["data"]["from"] == "sip:alice@host"
    assert told[2]["data"] | {"who": "agent", "text": "Hello, how can I help?"} == told[2]["data"]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 6


async def test_who_may_not_see_persons_is_told_of_none(store):
    async with (
        receiving() as (receiver, url),
        running(store, {"crm": hook(url, events=["call.started", "transcript", "call.ended"])}),
    ):
        await store.write(0, conversation())
        await until(store, 2)
    bodies = [json.loads(body) for _, body in receiver.got]
    assert [one["type"] for one in bodies] == ["call.started", "call.ended"]
    assert bodies[0]["data"]["from"] == "***ce"
    assert "reason" not in bodies[1]["data"]


async def test_what_is_not_taken_is_tried_again_under_the_same_id(store):
    async with (
        receiving(503) as (receiver, url),
        running(store, {"crm": hook(url, events=["call.started"])}) as desk,
    ):
        await store.write(0, conversation())
        async with asyncio.timeout(GUARD_S):
            while len(receiver.got) < 3:  # noqa: ASYNC110  # another task's list
                await asyncio.sleep(0.01)
        (shown,) = await desk.shown()
        assert (shown.health, shown.pending) == ("failing", 1)
        receiver.status = 200
        (one,) = await until(store, 1)
        assert one.tries >= 4
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1


async def test_one_that_fails_holds_up_no_other(store):
    async with receiving() as (_, good), receiving(500) as (_, bad):
        settings = {name: hook(url, events=["call.started"]) for name, url in (("bad", bad), ("good", good))}
        async with running(store, settings):
            for number in range(5):
                await store.write(0, Script(f"c{number}", f"b{number}").tell("call.started").events)
            assert len(await until(store, 5, endpoint="good")) == 5
            assert await WebhookStore(store).deliveries("bad", "delivered") == []


async def test_what_control_could_not_send_the_next_one_sends(store):
    """As after a crash: the row is in the store, and nobody remembers anything."""
    async with receiving(500) as (_, url), running(store, {"crm": hook(url, events=["call.ended"])}):
        await store.write(0, conversation())
        await until(store, 1, "pending")
    await store.write(0, conversation(call_id="meanwhile", boot="b2"))
    async with receiving() as (receiver, url), running(store, {"crm": hook(url, events=["call.ended"])}):
        await until(store, 2)
    told = sorted(json.loads(body)["data"]["call_id"] for _, body in receiver.got)
    assert told == ["call-1", "meanwhile"], "in whichever order: they are two calls, and one was tried before"


async def test_a_receiver_that_is_gone_is_told_nothing_until_somebody_enables_it(store):
    async with (
        receiving(410) as (receiver, url),
        running(store, {"crm": hook(url, events=["call.started"])}) as desk,
    ):
        await store.write(0, conversation())
        (parked,) = await until(store, 1, "parked")
        await store.write(0, conversation(call_id="c2", boot="b2"))
        (shown,) = await desk.shown()
        assert (shown.health, shown.parked) == ("disabled", 1)
        receiver.status = 200
        assert await desk.test("crm")
        (test,) = await until(store, 1)
        assert (test.type, (await desk.shown())[0].health) == ("test", "disabled")
        assert await desk.enable("crm")
        assert await desk.again(parked.delivery_id)
        await until(store, 2)
        assert (await desk.shown())[0].health == "well"
    assert not await desk.test("nobody")


async def test_without_its_secret_nothing_is_sent_and_it_is_said_why(store):
    with structlog.testing.capture_logs() as logs:
        async with (
            receiving() as (receiver, url),
            running(store, {"crm": hook(url, events=["call.started"])}, {}) as desk,
        ):
            await store.write(0, conversation())
            async with asyncio.timeout(GUARD_S):
                while (await desk.shown())[0].health != "failing":  # noqa: ASYNC110  # a row
                    await asyncio.sleep(0.02)
    assert receiver.got == []
    assert any("HOOK" in line.get("reason", "") for line in logs)


async def test_what_was_forgotten_meanwhile_is_not_told(store):
    import sqlalchemy as sa

    from bridge.store.tables import call_events

    async with receiving(500) as (_, url), running(store, {"crm": hook(url, events=["call.started"])}):
        await store.write(0, conversation())
        await until(store, 1, "pending")
        await store.transaction("erase", lambda it: it.execute(sa.delete(call_events)))
        (one,) = await until(store, 1, "parked")
        assert "forgotten" in one.error


async def test_a_node_without_the_lease_sends_nothing(store):
    async with receiving() as (receiver, url):
        watch = EventWatch(EventStore(store))
        deps = WebhookDeps(
            WebhookStore(store), watch, {"crm": hook(url)}, {"HOOK": SECRET}, holds=lambda: False, pace=QUICK
        )
        async with asyncio.TaskGroup() as tasks:
            running_ = [tasks.create_task(part) for part in (watch.run(), WebhookDesk(deps).run())]
            await WebhookStore(store).settle(["crm"], await EventStore(store).head())
            await store.write(0, conversation())
            await asyncio.sleep(0.2)
            for task in running_:
                task.cancel()
        assert receiver.got == []
        assert await WebhookStore(store).deliveries() == []


async def test_metrics_have_the_settings_names_and_nothing_of_callers(store):
    async with receiving() as (_, url), running(store, {"crm": hook(url)}) as desk:
        await store.write(0, conversation())
        await until(store, 4)
        families = {metric.name: metric.samples for metric in desk.metrics()}
    tries = {labels["result"]: value for labels, value in families["sipbridge_webhook_tries_total"]}
    assert tries == {"delivered": 4.0, "failed": 0.0}
    assert {labels["endpoint"] for samples in families.values() for labels, _ in samples} == {"crm"}
    assert (
        list(WebhookDesk(WebhookDeps(WebhookStore(store), EventWatch(EventStore(store)), {}, {})).metrics())
        == []
    )
