"""Everybody who looks sees the same, soon, and the store is only asked while somebody looks."""

import asyncio

import pytest

from bridge.console.card import Described
from bridge.console.feed import SETTLED_S, Feed
from bridge.console.snapshot import Snapshot
from bridge.errors import StoreError
from bridge.store.gaterows import StoredRequest
from bridge.store.queuestore import Around, Pulse
from tests.fakes.requests import row

GUARD_S = 5.0


class Queue:
    """The store's answers, and how often it was asked."""

    def __init__(self):
        self.rows, self.tails, self.asked, self.read, self.error = {}, {}, 0, [], None
        self.looked = asyncio.Event()

    def put(self, request_id, version=1, state="pending", gate=None):
        base = row(state=state)
        self.rows[request_id] = StoredRequest(
            request_id,
            "c1",
            "f1",
            "refund",
            "+491",
            state,
            version,
            base.gate if gate is None else gate,
            1.0,
            1.0,
        )

    async def pulse(self, also=()):
        self.asked += 1
        self.looked.set()
        error = self.error
        await asyncio.sleep(0)  # as a database
        if error is not None:
            raise error
        final = {"denied", "succeeded"}
        places = tuple(
            (name, (one.version, self.tails.get(name, 0)))
            for name, one in self.rows.items()
            if one.state not in final or name in also
        )
        return Pulse(places, len(places), 3)

    async def requests(self, request_ids):
        self.read.append(sorted(request_ids))
        return [self.rows[name] for name in request_ids if name in self.rows]

    async def around(self, requests):
        return {one.request_id: Around("", (), ()) for one in requests}


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        self.now += 0.001
        return self.now


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def feed(queue, clock):
    return Feed(queue, Described, clock)


def ids(snapshot):
    return [(card.request_id, card.state) for card in snapshot.cards]


async def test_a_look_shows_what_is_open_and_counts_calls(feed, queue):
    queue.put("a")
    now = await feed.look()
    assert (ids(now), now.pending, now.live_calls) == ([("a", "pending")], 1, 3)


async def test_only_what_moved_is_read_again(feed, queue):
    queue.put("a")
    queue.put("b")
    await feed.look()
    await feed.look()
    queue.tails["b"] = 7
    await feed.look()
    assert queue.read == [["a", "b"], ["b"]]


async def test_what_was_settled_is_shown_for_a_while(feed, queue, clock):
    queue.put("a")
    await feed.look()
    queue.put("a", 2, "denied")
    assert ids(await feed.look()) == [("a", "denied")]
    read = len(queue.read)
    queue.tails["a"] = 9  # the caller hears of it
    assert ids(await feed.look()) == [("a", "denied")]
    assert queue.read[read:] == [["a"]]
    clock.now += SETTLED_S + 1
    assert ids(await feed.look()) == []


async def test_who_asks_at_the_same_moment_shares_a_look(feed, queue):
    await asyncio.gather(*(feed.look() for _ in range(20)))
    assert queue.asked <= 2


async def test_a_store_that_does_not_answer_is_told_and_what_was_seen_stays(feed, queue):
    queue.put("a")
    await feed.look()
    queue.error = StoreError("locked")
    with pytest.raises(StoreError):
        await feed.look()
    assert (ids(feed.snapshot), feed.snapshot.problem) == ([("a", "pending")], "locked")
    queue.error = None
    assert (await feed.look()).problem == ""


async def test_a_request_that_cannot_be_read_hides_no_other(feed, queue):
    queue.put("a", gate={"state": "pending"})
    queue.put("b")
    assert ids(await feed.look()) == [("b", "pending")]
    assert await feed.one("a") is None
    assert (await feed.one("b")).request_id == "b"
    assert await feed.one("none") is None


async def test_while_nobody_looks_it_is_read_seldom_so_that_who_comes_first_need_not_wait_for_all(queue):
    queue.put("a")
    feed = Feed(queue, Described, idle_s=0.01)
    task = asyncio.create_task(feed.run())
    try:
        assert ids(await feed.news(feed.snapshot, GUARD_S)) == [("a", "pending")]
        read = list(queue.read)
        await feed.look()
        assert queue.read == read, "who comes first reads nothing again"
    finally:
        task.cancel()


async def test_nothing_is_asked_at_once_while_nobody_looks_and_news_come_to_who_waits(feed, queue):
    task = asyncio.create_task(feed.run())
    try:
        await asyncio.sleep(0)
        assert queue.asked == 0
        async with asyncio.timeout(GUARD_S), feed.watched():
            known = await feed.news(Snapshot(), GUARD_S)
            queue.put("a")
            assert ids(await feed.news(known, GUARD_S)) == [("a", "pending")]
        assert not feed._watchers._some.is_set(), "the next look waits for somebody who looks"
    finally:
        task.cancel()


async def test_a_mistake_in_a_look_does_not_end_the_feed(feed, queue):
    task = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(GUARD_S), feed.watched():
            queue.error = KeyError("a bug")
            await queue.looked.wait()
            queue.error = None
            assert (await feed.news(feed.snapshot, GUARD_S)).live_calls == 3
    finally:
        task.cancel()


async def test_without_news_who_waits_gets_what_they_know_and_a_closed_feed_has_none(feed):
    known = feed.snapshot
    assert await feed.news(known, 0.01) is known
    waiting = asyncio.create_task(feed.news(known, GUARD_S))
    await asyncio.sleep(0)
    feed.close()
    assert await waiting is known
    assert feed.closed


async def test_a_look_that_was_cut_short_is_nobody_s(feed, queue):
    """A visitor who goes away in the middle of a look must not leave others with what there was before."""
    queue.put("a")
    gone = asyncio.create_task(feed.look())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(feed.look())
    await asyncio.sleep(0)
    gone.cancel()
    assert ids(await waiting) == [("a", "pending")]


async def test_what_waits_is_read_again_when_the_same_caller_s_other_request_is_decided(feed, queue):
    queue.put("a")
    queue.put("b")
    await feed.look()
    queue.put("a", 2, "denied")
    queue.read.clear()
    await feed.look()
    assert queue.read == [["a"], ["b"]]
