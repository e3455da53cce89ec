"""Webhooks of a whole bridge: a real call, two receivers, one of them away while control is killed and starts again.

Signatures are checked with the standardwebhooks library, as a receiver's owner would.
"""

import asyncio
import json
import os
import signal

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from bridge.cli.demo import embedded_bridge
from bridge.settings import load
from bridge.store.store import Store
from bridge.store.userstore import UserStore
from tests.fakes import consoles, refunding
from tests.system.test_tools_kill import process_of
from tests.test_control_webhooks_killed import first_of_each
from tests.test_webhook import SECRET, Receiver

CALL_NAMES = {"recording": "recording.ready"} | {
    name: name for name in ("call.started", "call.answered", "transcript", "call.ended")
}
APPROVAL = ["approval.requested", "approval.decided", "approval.ended"]

pytestmark = pytest.mark.system


class Program(Receiver):
    """A receiver whose address stays while nobody is there."""

    port = 0

    async def come(self):
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def go(self):
        self._server.close()
        await self._server.wait_closed()

    def settings(self, *, personal):
        return {"url": f"http://127.0.0.1:{self.port}/hook", "secret_env": "HOOK", "personal": personal}

    def told(self):
        """What it took, each once, in the order in which that came first; all of it is signed."""
        return [Verifier(SECRET).verify(body, headers) for headers, body in first_of_each(self.got)]

    async def until(self, *types):
        async with asyncio.timeout(60):
            while not {*types} <= {one["type"] for one in self.told()}:  # noqa: ASYNC110  # another process tells
                await asyncio.sleep(0.05)


async def approver_api(environ, base):
    """The API as somebody who may decide and look."""
    async with Store(str(load(None, environ).store), migrate=False) as store:
        users = UserStore(store)
        await users.put(consoles.somebody("chief", "admin", "approver"))
        token = await users.give_token("chief", "test", None)
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=f"{base}/api/v1", headers=headers, timeout=10)


async def answered(api, path, wanted):
    """The API's answer, once it is up and says what is wanted."""
    async with asyncio.timeout(40):
        while True:
            try:
                if wanted(found := (await api.get(path)).json()):
                    return found
            except (httpx.HTTPError, ValueError):  # control is not there
                pass
            await asyncio.sleep(0.1)


@pytest.fixture
async def programs():
    """Two that are there."""
    found = (Program(), Program())
    for one in found:
        await one.come()
    yield found
    for one in found:
        await one.go()


def health(name, word):
    return lambda found: {one["name"]: one["health"] for one in found["webhooks"]}[name] == word


async def call_events(environ):
    """What the store has of the one call and may be told, in its order."""
    async with Store(str(load(None, environ).store), migrate=False) as store:
        (call,) = await store.recent(10)
        events = await store.events(call.call_id)
    return call.call_id, [CALL_NAMES[one.type] for one in events if one.type in CALL_NAMES]


async def told_on_the_phone(environ, words):
    """The agent has said so."""
    async with asyncio.timeout(40), Store(str(load(None, environ).store), migrate=False) as store:
        while True:
            (call,) = await store.recent(10)
            events = await store.events(call.call_id)
            if any(words in one.data["text"] for one in events if one.type == "transcript"):
                return
            await asyncio.sleep(0.1)


async def test_a_calls_events_reach_a_receiver_that_was_away_while_control_was_killed(tmp_path, programs):
    crm, plain = programs
    hooks = {"crm": crm.settings(personal=True), "plain": plain.settings(personal=False)}
    environ = refunding.bridge_environ(tmp_path, SIPBRIDGE_WEBHOOKS=json.dumps(hooks), HOOK=SECRET)
    async with (
        embedded_bridge(tmp_path, environ) as address,
        asyncio.timeout(120),
        await approver_api(environ, await consoles.base(tmp_path)) as api,
    ):
        async with refunding.caller(environ, tmp_path, address):
            await crm.until("call.started", "call.answered")
            await crm.go()
            request = (await answered(api, "/approvals?state=pending", lambda it: it["approvals"]))[
                "approvals"
            ][0]
            await answered(api, "/webhooks", health("crm", "failing"))
            os.kill(process_of(tmp_path, "control"), signal.SIGKILL)
            await answered(api, "/webhooks", health("crm", "failing"))  # it is back, and knows
            path = f"/approvals/{request['request_id']}"
            taken = await api.post(f"{path}/approve", json={"binding": request["binding"]})
            assert taken.status_code == 200, taken.text
            await told_on_the_phone(environ, "Done. I have refunded")
            ended = await api.post(f"/calls/{request['call_id']}/hang_up", json={"reason": "all is said"})
            assert ended.status_code == 200, ended.text
        await plain.until("call.ended", "approval.ended")
        await crm.come()
        await crm.until("call.ended", "approval.ended")
        await answered(api, "/webhooks", health("crm", "well"))
        await answered(api, "/webhooks/deliveries?state=pending", lambda it: not it["deliveries"])
    call_id, happened = await call_events(environ)
    assert {"call.started", "call.answered", "transcript", "recording.ready", "call.ended"} == {*happened}
    for program, expected in (
        (crm, happened),
        (plain, [one for one in happened if one != "transcript"]),
    ):
        told = program.told()
        assert {one["data"]["call_id"] for one in told} == {call_id}
        assert [one["type"] for one in told if one["type"] in CALL_NAMES.values()] == expected
        assert [one["type"] for one in told if one["type"] in APPROVAL] == APPROVAL
    words = json.dumps(crm.told())
    for personal in (refunding.CALLER, "refund of forty dollars", '"amount": 40', "Done. I have refunded"):
        assert personal in words
        assert personal not in json.dumps(plain.told())
