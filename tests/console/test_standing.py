"""Open streams end soon after their session or token does; one look serves all of them."""

import asyncio

import pytest

from bridge.console.standing import Standing
from bridge.errors import StoreError
from bridge.store.userstore import User

ANNA = User("anna", frozenset({"approver"}), frozenset())
BERT = User("bert", frozenset({"viewer"}), frozenset())


class Kept:
    """A store's answer, the questions it was asked, and a clock."""

    def __init__(self, **users):
        self.users, self.asked, self.now, self.error = users, [], 0.0, None

    async def look(self, keys, _now):
        self.asked.append(sorted(keys))
        if self.error:
            raise self.error
        return {key: user for key, user in self.users.items() if key in keys}

    def standing(self):
        return Standing(self.look, 2.0, lambda: self.now)


async def test_one_look_serves_all_streams_until_it_is_old():
    kept = Kept(a=ANNA, b=BERT)
    standing = kept.standing()
    with standing.open("a", ANNA), standing.open("b", BERT), standing.open("b", BERT):
        for _ in range(5):
            assert await standing.still("a", ANNA)
            assert await standing.still("b", BERT)
        assert kept.asked == [["a", "b"]]
        kept.now = 1.9
        await standing.still("a", ANNA)
        assert len(kept.asked) == 1
        kept.now = 2.0
        await standing.still("a", ANNA)
        assert len(kept.asked) == 2


@pytest.mark.parametrize(
    "later",
    [
        {},
        {"a": BERT},
        {"a": User("anna", frozenset({"viewer"}), frozenset())},
        {"a": User("anna", ANNA.roles, frozenset(), numbers=frozenset({"+49"}))},
    ],
)
async def test_who_is_gone_or_not_who_they_were_is_out_with_the_next_look(later):
    kept = Kept(a=ANNA)
    standing = kept.standing()
    with standing.open("a", ANNA):
        assert await standing.still("a", ANNA)
        kept.users = later
        kept.now = 2.0
        assert not await standing.still("a", ANNA)


async def test_a_stream_that_began_after_the_look_waits_for_the_next():
    kept = Kept(a=ANNA)
    standing = kept.standing()
    with standing.open("a", ANNA):
        await standing.still("a", ANNA)
        with standing.open("new", BERT):
            assert await standing.still("new", BERT)
            kept.now = 2.0
            assert not await standing.still("new", BERT)


async def test_a_page_that_is_opened_anew_is_not_judged_by_a_look_at_who_they_were():
    promoted = User("anna", frozenset({"approver", "operator"}), frozenset())
    kept = Kept(a=ANNA)
    standing = kept.standing()
    with standing.open("a", ANNA):
        assert await standing.still("a", ANNA)
        kept.users, kept.now = {"a": promoted}, 1.0
        with standing.open("a", promoted):
            assert await standing.still("a", promoted)
            kept.now = 2.0
            assert not await standing.still("a", ANNA)
            assert await standing.still("a", promoted)


async def test_only_streams_that_are_open_are_asked_for():
    kept = Kept(a=ANNA, b=BERT)
    standing = kept.standing()
    with standing.open("b", BERT):
        with standing.open("a", ANNA):
            pass
        await standing.still("b", BERT)
    assert kept.asked == [["b"]]


async def test_while_the_store_is_away_nobody_is_thrown_out_and_it_is_not_asked_more_often():
    kept = Kept(a=ANNA)
    standing = kept.standing()
    with standing.open("a", ANNA):
        kept.error = StoreError("away")
        assert await standing.still("a", ANNA)
        assert await standing.still("a", ANNA)
        assert len(kept.asked) == 1
        kept.error, kept.users, kept.now = None, {}, 2.0
        assert not await standing.still("a", ANNA)


async def test_a_slow_look_holds_up_only_the_stream_that_looks():
    kept, answer = Kept(a=ANNA), asyncio.Event()

    async def slow(_keys, _now):
        await answer.wait()
        return {}

    standing = Standing(slow, 2.0, lambda: kept.now)
    with standing.open("a", ANNA):
        looks = asyncio.create_task(standing.still("a", ANNA))
        await asyncio.sleep(0)
        assert await standing.still("a", ANNA)
        answer.set()
        assert not await looks
