"""What is on its way in calls comes to the pages of this node, and of the node that asked."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

from bridge.control_glimpses import GLIMPSE, MAX_DATA_BYTES, WATCH, Glimpses
from bridge.link.messages import Watch
from bridge.records.cdr import CallRecord

RECORD = CallRecord("c1", "b1", 1.0)
DATA = {"words": [["agent", "i1", "Hello"]], "levels": {"caller": 1, "agent": 2}}
POSTGRES = SimpleNamespace(name="postgresql")


class Node:
    """One control: workers in `boots`; what it tells is heard by all of `others`, itself too, as PostgreSQL does."""

    shared = True

    def __init__(self, name, boots, others, now):
        self.node, self.boots, self.others = name, boots, others
        self.asked, self.seen, self.told = [], [], []
        self.glimpses = Glimpses(self, self._worker, lambda: now[0])
        self.glimpses.page = lambda call_id, data: self.seen.append((call_id, data))
        others.append(self)

    def _worker(self, boot, message):
        self.asked += [message] if boot in self.boots else []
        return boot in self.boots

    async def transaction(self, _words, work):
        """Store.transaction."""
        work(SimpleNamespace(dialect=POSTGRES, execute=lambda _query, given: self._notified(given["text"])))

    def _notified(self, text):
        words = json.loads(text)
        self.told.append(words["topic"])
        assert len(text) < 8000
        for node in self.others:
            node.glimpses.told(words["topic"], words)


@asynccontextmanager
async def two_nodes():
    nodes, now = [], [0.0]
    first, second = Node("n1", {"b1"}, nodes, now), Node("n2", {"b2"}, nodes, now)
    tasks = [asyncio.create_task(one.glimpses.run()) for one in nodes]
    try:
        yield first, second, now
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def rest():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_worker_of_this_node_is_asked_and_its_words_come_to_the_pages_here_alone():
    async with two_nodes() as (first, second, _):
        first.glimpses.ask(RECORD, 12.0)
        first.glimpses.take("c1", DATA)
        await rest()
        assert first.asked == [Watch("c1", 12.0)]
        assert (first.seen, second.seen) == ([("c1", DATA)], [])
        assert first.told == []


async def test_a_page_of_another_node_sees_them_as_long_as_it_asks():
    async with two_nodes() as (first, second, now):
        second.glimpses.ask(RECORD, 12.0)
        await rest()
        assert (first.asked, second.asked) == ([Watch("c1", 12.0)], [])
        first.glimpses.take("c1", DATA)
        await rest()
        assert second.seen == [("c1", DATA)]
        now[0] = 13.0
        first.glimpses.take("c1", DATA)
        await rest()
        assert len(second.seen) == 1
        assert (len(first.seen), first.told) == (2, [GLIMPSE])


async def test_more_words_than_the_database_carries_are_left_to_the_record():
    async with two_nodes() as (first, second, _):
        second.glimpses.ask(RECORD, 12.0)
        await rest()
        first.glimpses.take(
            "c1", {"words": [["agent", "i1", "x" * MAX_DATA_BYTES]], "levels": DATA["levels"]}
        )
        await rest()
        assert second.seen == [("c1", {"levels": DATA["levels"]})]


async def test_a_word_from_a_stranger_changes_nothing():
    async with two_nodes() as (first, _, _):
        for words in ({}, {"boot": "b1", "call_id": "c1", "seconds": "soon"}, {"call_id": "c1", "data": "{"}):
            first.glimpses.told(WATCH, words)
            first.glimpses.told(GLIMPSE, words)
        first.glimpses.told(GLIMPSE, {"call_id": "c1", "data": "[1]"})
        assert (first.asked, first.seen) == ([], [])
