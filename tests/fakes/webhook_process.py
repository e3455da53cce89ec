"""The webhooks of a control in a process of its own, to be killed: `python -m tests.fakes.webhook_process STORE URL`.

As control runs them (EventWatch, WebhookDesk, a store on disk), but for the waits between tries: those are short.
"""

import asyncio
import sys

from bridge.control_events import EventWatch
from bridge.control_webhooks import WebhookDeps, WebhookDesk
from bridge.settings_webhooks import Webhook
from bridge.store.eventstore import EventStore
from bridge.store.store import Store
from bridge.store.webhookstore import WebhookStore
from tests.test_webhook import SECRET

PACE = 0.02


async def main(url, hook):
    async with Store(url) as store:
        watch = EventWatch(EventStore(store))
        settings = {"crm": Webhook(url=hook, secret_env="HOOK", personal=True)}
        desk = WebhookDesk(WebhookDeps(WebhookStore(store), watch, settings, {"HOOK": SECRET}, pace=PACE))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run())
            tasks.create_task(desk.run())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
