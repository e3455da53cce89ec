"""A control that is killed with webhooks on their way: every event arrives at least once, in its call's order."""

import asyncio
import contextlib
import signal
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from bridge.store.store import Store
from bridge.store.webhookstore import DELIVERED, WebhookStore
from tests.fakes.events import conversation
from tests.test_webhook import SECRET, posted

GUARD_S = 25.0
ROOT = Path(__file__).parents[1]
BEFORE, MEANWHILE = ("c0", "c1", "c2"), "c3"
COURSE = ["call.started", "call.answered", "transcript", "transcript", "recording.ready", "call.ended"]


class Deadly:
    """A receiver. `status` of its answers; the sender dies by its try number `kills_at`, once that has arrived whole.

    `taken`: (headers, body) of what it took, which is also what it could not say any more that it took.
    """

    def __init__(self, status, kills_at):
        self.status, self.kills_at = status, kills_at
        self.victim, self.tries, self.taken = None, 0, []

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # it was killed in the middle
            got = await posted(reader)
            self.tries += 1
            dies = self.tries == self.kills_at
            if dies:
                self.victim.send_signal(signal.SIGKILL)
            if self.status == 200:
                self.taken.append(got)
            if not dies:
                writer.write(
                    f"HTTP/1.1 {self.status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
                )
                await writer.drain()
        writer.close()


async def control(store_url, url):
    words = ("-m", "tests.fakes.webhook_process", store_url, url)
    return await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT)


@contextlib.asynccontextmanager
async def killed_in_the_end(process):
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def until(true):
    async with asyncio.timeout(GUARD_S):
        while not await true():  # noqa: ASYNC110  # rows of another process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("status", "kills_at"),
    [
        pytest.param(500, 5, id="while the receiver is broken"),
        pytest.param(200, 8, id="after the receiver took it and before it was noted"),
    ],
)
async def test_every_event_of_a_killed_control_arrives_in_its_calls_order(tmp_path, status, kills_at):
    url = f"sqlite:///{tmp_path}/store.db"
    receiver = Deadly(status, kills_at)
    async with Store(url) as store, await asyncio.start_server(receiver.serve, "127.0.0.1", 0) as server:
        hooks = WebhookStore(store)
        hook = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"

        async def delivered():
            return (await hooks.counts()).get(("crm", DELIVERED), 0)

        first = receiver.victim = await control(url, hook)
        async with killed_in_the_end(first):
            await until(hooks.endpoints)
            for number, name in enumerate(BEFORE):
                await store.write(0, conversation(call_id=name, boot=f"b{number}"))
            async with asyncio.timeout(GUARD_S):
                assert await first.wait() == -signal.SIGKILL
        noted = await delivered()
        assert noted < len(BEFORE) * len(COURSE), "it died with something left to tell"
        await store.write(0, conversation(call_id=MEANWHILE, boot="b9"))
        receiver.status = 200
        every = (len(BEFORE) + 1) * len(COURSE)

        async def all_told():
            return await delivered() == every

        second = await control(url, hook)
        async with killed_in_the_end(second):
            await until(all_told)

    told = {}  # by id, in the order in which they were taken first
    for headers, body in receiver.taken:
        Verifier(SECRET).verify(body, headers)
        assert told.setdefault(headers["webhook-id"], body) == body, "the same id says the same"
    assert len(told) == every
    again = len(receiver.taken) - len(told)
    assert again >= 1 if status == 200 else again == 0, "what was taken and not noted is sent once more"
    seen = [Verifier(SECRET).verify(body, headers) for headers, body in first_of_each(receiver.taken)]
    for name in (*BEFORE, MEANWHILE):
        mine = [one for one in seen if one["data"]["call_id"] == name]
        assert [one["type"] for one in mine] == COURSE
        assert all(before["timestamp"] <= after["timestamp"] for before, after in pairwise(mine))


def first_of_each(taken):
    known = set()
    for headers, body in taken:
        if headers["webhook-id"] not in known:
            known.add(headers["webhook-id"])
            yield headers, body
