"""Links by which somebody without an account sees one call. SQLite and PostgreSQL."""

import pytest
import sqlalchemy as sa

from bridge.store.keepstore import KeepStore
from bridge.store.peoplestore import PeopleStore
from bridge.store.sharestore import MAX_AN_HOUR, MOST_S, ShareStore
from bridge.store.store import Store
from bridge.store.tables_history import console_shares
from bridge.store.userstore import User, UserStore
from tests.fakes.events import Script

NOW = 1_795_000_000.0
ANNA = User("anna", frozenset({"operator"}), frozenset())


@pytest.fixture
async def store(database):
    async with Store(database) as opened:
        await UserStore(opened).put(ANNA)
        await opened.write(0, Script(call_id="c1").tell("call.started").events)
        yield opened


async def test_a_link_shows_its_call_until_it_expires(store):
    shares = ShareStore(store)
    secret = await shares.give("c1", "anna", NOW, 3600)
    share = await shares.find(secret, NOW + 3599)
    assert (share.call_id, share.user, share.expires_at) == ("c1", "anna", NOW + 3600)
    assert await shares.find(secret, NOW + 3600) is None
    assert await shares.find("x" * 43, NOW) is None
    assert await shares.find("", NOW) is None


async def test_a_revoked_link_shows_nothing_and_only_its_own_call_revokes_it(store):
    shares = ShareStore(store)
    secret = await shares.give("c1", "anna", NOW, 3600)
    (share,) = await shares.of_call("c1", NOW)
    assert not await shares.revoke("c2", share.share_id)
    assert await shares.find(secret, NOW) == share
    assert await shares.revoke("c1", share.share_id)
    assert not await shares.revoke("c1", share.share_id)
    assert await shares.find(secret, NOW) is None
    assert await shares.of_call("c1", NOW) == []


@pytest.mark.parametrize(
    "changed",
    [
        User("anna", frozenset({"viewer"}), frozenset()),
        User("anna", frozenset({"operator"}), frozenset(), disabled=True),
        None,
    ],
)
async def test_a_link_shows_no_more_than_its_maker_may_see_now(store, changed):
    secret = await ShareStore(store).give("c1", "anna", NOW, 3600)
    users = UserStore(store)
    await (users.put(changed) if changed else users.remove("anna"))
    assert await ShareStore(store).find(secret, NOW) is None


async def test_nobody_makes_many_and_revoking_does_not_make_room(store):
    shares = ShareStore(store)
    for _ in range(MAX_AN_HOUR):
        assert await shares.give("c1", "anna", NOW, 60)
    for share in await shares.of_call("c1", NOW):
        await shares.revoke("c1", share.share_id)
    assert await shares.give("c1", "anna", NOW + 10, 60) is None
    await UserStore(store).put(User("bert", frozenset({"operator"}), frozenset()))
    assert await shares.give("c1", "bert", NOW + 10, 60)
    assert await shares.give("c1", "anna", NOW + 3700, 60)


async def test_a_call_that_is_not_there_is_not_shared(store):
    assert await ShareStore(store).give("c2", "anna", NOW, 60) is None


async def test_the_database_has_no_link_only_its_hash_and_a_link_lasts_a_month_at_most(store):
    secret = await ShareStore(store).give("c1", "anna", NOW, 10 * MOST_S)
    rows = await store.transaction(
        "test", lambda it: [tuple(one) for one in it.execute(sa.select(console_shares))]
    )
    assert secret not in str(rows)
    (share,) = await ShareStore(store).of_call("c1", NOW)
    assert share.expires_at == NOW + MOST_S


async def test_with_its_call_a_link_goes_too(store):
    await ShareStore(store).give("c1", "anna", NOW, 60)
    await store.write(0, Script(call_id="c1", boot="b2").tell("call.ended", by="caller").events)
    await KeepStore(store).erase("c1")
    assert await store.transaction("test", lambda it: it.execute(sa.select(console_shares)).all()) == []


async def test_somebody_new_of_the_same_name_does_not_open_the_links_of_who_was_removed(store):
    shares = ShareStore(store)
    secret = await shares.give("c1", "anna", NOW, 3600)
    await UserStore(store).remove("anna")
    await UserStore(store).put(ANNA)
    assert await shares.find(secret, NOW) is None
    again = await shares.give("c1", "anna", NOW, 3600)
    await UserStore(store).put(User("root", frozenset({"admin"}), frozenset()))
    await PeopleStore(store).remove("anna")
    await UserStore(store).put(ANNA)
    assert await shares.find(again, NOW) is None
