"""Sessions and one-time links: only who has the secret, only as long as it holds. On both databases."""

import contextlib

import pytest
import sqlalchemy as sa

from bridge.errors import StoreError
from bridge.store.sessionstore import (
    FIRST,
    MAX_LINKS,
    MAX_SESSIONS,
    NOTED_EVERY_S,
    Began,
    LinkStore,
    SessionStore,
    link_of,
)
from bridge.store.store import Store
from bridge.store.tables import console_links, console_sessions
from bridge.store.userstore import User, UserStore

IDLE_S, LONGEST_S = 600.0, 3600.0
ANNA = User("anna", frozenset({"approver"}), frozenset({"boss"}))


@contextlib.asynccontextmanager
async def opened(url, *people):
    async with Store(url) as store:
        for person in people:
            await UserStore(store).put(person)
        yield store, SessionStore(store, IDLE_S, LONGEST_S), LinkStore(store)


async def count(store, table):
    query = sa.select(sa.func.count()).select_from(table)
    return await store.transaction("count", lambda it: it.execute(query).scalar_one())


async def test_a_session_is_its_user_s_until_it_is_ended(database):
    async with opened(database, ANNA) as (_, sessions, _links):
        secret = await sessions.begin("anna", 1000.0)
        assert (await sessions.user(secret, 1001.0)).name == "anna"
        assert await sessions.user(secret + "x", 1001.0) is None
        assert await sessions.user("", 1001.0) is None
        assert await sessions.user("\0\ud800ä", 1001.0) is None
        await sessions.end(secret)
        assert await sessions.user(secret, 1001.0) is None


async def test_the_database_does_not_hold_what_opens_a_session(database):
    async with opened(database, ANNA) as (store, sessions, links):
        secrets = [await sessions.begin("anna", 1000.0), await links.give("anna", 1000.0, 60.0)]
        rows = await store.transaction(
            "read",
            lambda it: str([it.execute(sa.select(one)).all() for one in (console_sessions, console_links)]),
        )
        assert not [secret for secret in secrets if secret in rows]


async def test_a_session_idles_out_and_use_keeps_it_but_not_for_ever(database):
    async with opened(database, ANNA) as (_, sessions, _links):
        idle, used = await sessions.begin("anna", 0.0), await sessions.begin("anna", 0.0)
        now = 0.0
        while now + IDLE_S / 2 < LONGEST_S:
            now += IDLE_S / 2
            assert await sessions.user(used, now) is not None
        assert await sessions.user(idle, IDLE_S) is None
        assert await sessions.user(used, LONGEST_S) is None


async def test_many_sessions_are_looked_at_together_by_the_same_rules_and_that_is_use(database):
    bert = User("bert", frozenset({"viewer"}), frozenset())
    async with opened(database, ANNA, bert) as (store, sessions, _links):
        anna, idle, ended = [await sessions.begin("anna", at) for at in (1000.0, 100.0, 1000.0)]
        theirs = await sessions.begin("bert", 1000.0)
        await sessions.end(ended)
        every = [anna, idle, ended, theirs, "nobody's"]
        found = await sessions.users(every, 1100.0)
        assert {secret: user.name for secret, user in found.items()} == {anna: "anna", theirs: "bert"}
        await UserStore(store).put(User("bert", bert.roles, frozenset(), disabled=True))
        assert set(await sessions.users(every, 1100.0 + IDLE_S - 1)) == {anna}, "looking was use"
        assert await sessions.users([], 1100.0) == {}


async def test_a_page_in_use_does_not_write_at_every_request(database):
    async with opened(database, ANNA) as (store, sessions, _links):
        secret = await sessions.begin("anna", 0.0)
        seen = sa.select(console_sessions.c.seen_at)
        for now, noted in ((NOTED_EVERY_S - 1, 0.0), (NOTED_EVERY_S, NOTED_EVERY_S)):
            await sessions.user(secret, now)
            assert await store.transaction("x", lambda it: it.execute(seen).scalar_one()) == noted


async def test_a_user_s_sessions_are_bounded_and_expired_ones_are_forgotten(database):
    async with opened(database, ANNA) as (store, sessions, _links):
        secrets = [await sessions.begin("anna", float(number)) for number in range(MAX_SESSIONS + 3)]
        assert await count(store, console_sessions) == MAX_SESSIONS
        assert await sessions.user(secrets[0], 30.0) is None
        assert await sessions.user(secrets[-1], 30.0) is not None
        await sessions.begin("anna", 2 * LONGEST_S)
        assert await count(store, console_sessions) == 1


@pytest.mark.parametrize("change", ["disable", "remove", "password"])
async def test_a_session_ends_with_what_made_it(database, change):
    async with opened(database, ANNA) as (store, sessions, _links):
        users, secret = UserStore(store), await sessions.begin("anna", 0.0)
        match change:
            case "disable":
                await users.put(User("anna", ANNA.roles, ANNA.groups, disabled=True))
            case "remove":
                await users.remove("anna")
                await users.put(ANNA)
            case "password":
                await users.set_password("anna", "a long password")
        assert await sessions.user(secret, 1.0) is None


# ---- links -------------------------------------------------------------------------------------------------------


async def test_the_first_admin_s_link_works_once_and_while_there_is_nobody(database):
    async with opened(database) as (store, _, links):
        one, two = [await links.give(FIRST, 0.0, 60.0) for _ in range(2)]
        assert await links.whose(one, 1.0) == FIRST
        made = await links.use(one, "root", "hash", 1.0)
        assert (made.name, made.roles, made.has_password) == ("root", {"admin"}, True)
        assert await links.use(one, "eve", "hash", 1.0) is None
        assert await links.use(two, "eve", "hash", 1.0) is None
        assert await count(store, console_links) == 0
        with pytest.raises(StoreError, match="users already"):
            await links.give(FIRST, 2.0, 60.0)


async def test_a_user_s_link_sets_that_user_s_password(database):
    async with opened(database, ANNA, User("bert", frozenset(), frozenset())) as (store, sessions, links):
        old, link = await sessions.begin("anna", 0.0), await links.give("anna", 0.0, 60.0)
        assert (await links.use(link, "bert", "hash", 1.0)).name == "anna"
        assert [user.has_password for user in await UserStore(store).users()] == [True, False]
        assert await sessions.user(old, 1.0) is None
        assert await links.whose(link, 1.0) is None


async def test_a_link_expires_and_is_nothing_for_who_is_disabled_or_unknown(database):
    async with opened(database, ANNA) as (store, _, links):
        link = await links.give("anna", 0.0, 60.0)
        assert await links.whose(link, 60.0) is None
        await UserStore(store).put(User("anna", frozenset(), frozenset(), disabled=True))
        assert await links.use(link, "anna", "hash", 1.0) is None
        with pytest.raises(StoreError, match="no user eve"):
            await links.give("eve", 0.0, 60.0)


async def test_links_are_bounded(database):
    async with opened(database, ANNA) as (store, _, links):
        for number in range(MAX_LINKS + 3):
            newest = await links.give("anna", float(number) / 10, 60.0)
        assert await count(store, console_links) == MAX_LINKS
        assert await links.whose(newest, 11.0) == "anna"


def test_a_link_leads_to_the_console():
    assert link_of("https://b", "s") == "https://b/console/link/s"


async def test_a_user_s_sessions_are_shown_without_what_opens_them_and_ended_one_by_one(database):
    async with opened(database, ANNA, User("bert", frozenset(), frozenset())) as (_, sessions, _links):
        first = await sessions.begin("anna", 1000.0, Began("password", "192.0.2.1", "Firefox"))
        second, berts = await sessions.begin("anna", 1001.0), await sessions.begin("bert", 1000.0)
        newest, oldest = await sessions.of("anna", 1002.0)
        assert (oldest.began, newest.began) == (Began("password", "192.0.2.1", "Firefox"), Began())
        assert first not in repr(oldest)
        assert await sessions.end_of("bert", oldest.session_id) == 0, "another's"
        assert await sessions.end_of("anna", oldest.session_id) == 1
        assert await sessions.user(first, 1002.0) is None
        third = await sessions.begin("anna", 1003.0)
        assert await sessions.end_of("anna", keep=third) == 1
        assert await sessions.user(second, 1004.0) is None
        assert (await sessions.user(third, 1004.0)).name == "anna"
        assert (await sessions.user(berts, 1004.0)).name == "bert"


async def test_a_factor_is_proved_in_one_session_only(database):
    async with opened(database, ANNA) as (_, sessions, _links):
        here, there = await sessions.begin("anna", 1000.0), await sessions.begin("anna", 1000.0)
        await sessions.proved(here, 1005.0)
        assert (await sessions.session(here, 1006.0)).factor_at == 1005.0
        assert (await sessions.session(there, 1006.0)).factor_at is None
        assert await sessions.session(here, 1000.0 + IDLE_S) is None
