import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.control_handout import SMALL_CHARS, Handout
from bridge.link.messages import Hello
from bridge.link.server import LinkServer, Peer
from tests.fakes.link import MemoryStore, until

LARGE = "x" * SMALL_CHARS


@pytest.fixture
def link(tmp_path):
    link = LinkServer(tmp_path / "s", MemoryStore())
    link._peers = {index: Peer(None, Hello(index, "b", 1, 5060, "", 0), {}) for index in range(3)}
    return link


def told(link):
    return [peer.outgoing.qsize() for peer in link.peers()]


@asynccontextmanager
async def running(link, reported):
    handout = Handout(link, lambda: reported)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(handout.run())
        yield handout
        task.cancel()


async def test_a_small_plan_goes_to_all_at_once(link):
    async with running(link, {}) as handout:
        handout.give("{}", "v1")
        assert told(link) == [1, 1, 1]
        assert link.plan == "{}"


async def test_a_large_plan_goes_to_the_next_worker_when_the_last_has_it(link):
    reported = {}
    async with running(link, reported) as handout:
        handout.give(LARGE, "v1")
        assert link.plan == LARGE
        await until(lambda: told(link) == [1, 0, 0])
        reported[0] = "v1"
        await until(lambda: told(link) == [1, 1, 0])
        link.peers()[1].status = {"plan_refused": "no"}
        await until(lambda: told(link) == [1, 1, 1])


async def test_a_newer_plan_takes_the_place_of_one_that_is_given_out(link):
    reported = {}
    async with running(link, reported) as handout:
        handout.give(LARGE, "v1")
        await until(lambda: told(link) == [1, 0, 0])
        handout.give(LARGE + "x", "v2")
        await until(lambda: told(link) == [2, 0, 0])
        reported[0] = "v2"
        await until(lambda: told(link) == [2, 1, 0])
        assert link.plan == LARGE + "x"
