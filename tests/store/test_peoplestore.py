"""Users are changed, and there is always an admin who can sign in. On both databases."""

import asyncio
import contextlib
import time
from dataclasses import replace
from functools import partial

import pytest

from bridge.errors import StoreError, StoreRefusedError
from bridge.store.peoplestore import PeopleStore
from bridge.store.sessionstore import SessionStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore, keep_password
from tests.fakes.stores import another

ROOT = User("root.admin", frozenset({"admin"}), frozenset())
ANNA = User("anna", frozenset({"approver"}), frozenset({"boss"}), frozenset({"+491"}))
CARL = User("carl", frozenset({"approver"}), frozenset({"boss"}), subject="https://id.example 17")


@contextlib.asynccontextmanager
async def opened(url):
    async with Store(url) as store:
        people = PeopleStore(store)
        for person in (ROOT, ANNA):
            await people.add(person)
            await store.transaction("test", partial(keep_password, name=person.name, hashed="$argon2id$"))
        yield store, people


async def test_a_user_is_added_once_and_changed(database):
    async with opened(database) as (store, people):
        with pytest.raises(StoreError, match="already"):
            await people.add(ANNA)
        with pytest.raises(StoreError, match="no role"):
            await people.add(replace(ANNA, name="eve", roles=frozenset({"god"})))
        before = await people.change(replace(ANNA, roles=frozenset({"viewer"}), groups=frozenset()))
        assert (before.roles, before.groups) == (ANNA.roles, ANNA.groups)
        found = await UserStore(store).user("anna")
        assert (found.roles, found.numbers, found.has_password) == ({"viewer"}, {"+491"}, True)
        with pytest.raises(StoreError, match="no user"):
            await people.change(replace(ANNA, name="nobody"))


async def test_who_is_disabled_is_signed_out(database):
    async with opened(database) as (store, people):
        sessions, now = SessionStore(store, 3600, 3600), time.time()
        secret = await sessions.begin("anna", now)
        await people.change(replace(ANNA, disabled=True))
        await people.change(ANNA)
        assert await sessions.user(secret, now) is None


@pytest.mark.parametrize("how", ["role", "disabled", "removed"])
async def test_the_last_admin_stays(database, how):
    async with opened(database) as (store, people):
        other = replace(ROOT, name="other")
        await people.add(other)  # has no password yet: cannot sign in
        change = {"role": replace(ROOT, roles=frozenset()), "disabled": replace(ROOT, disabled=True)}.get(how)
        act = partial(people.change, change) if change else partial(people.remove, "root.admin")
        with pytest.raises(StoreError, match="last admin"):
            await act()
        assert (await UserStore(store).user("root.admin")).roles == {"admin"}
        await store.transaction("test", partial(keep_password, name="other", hashed="$argon2id$"))
        await act()


async def test_two_admins_who_take_each_other_s_role_at_the_same_moment_do_not_both_succeed(database):
    async with opened(database) as (store, people), another(store, database) as elsewhere:
        other = replace(ROOT, name="other")
        await people.add(other)
        await store.transaction("test", partial(keep_password, name="other", hashed="$argon2id$"))
        done = await asyncio.gather(
            people.remove("other"), PeopleStore(elsewhere).remove("root.admin"), return_exceptions=True
        )
        assert [type(one) for one in done if one is not None] == [StoreRefusedError]


async def test_who_comes_from_the_provider_is_made_with_a_role_and_changes_with_it(database):
    async with opened(database) as (store, people):
        assert await people.from_provider(replace(CARL, roles=frozenset())) is None
        assert await UserStore(store).user("carl") is None
        made = await people.from_provider(CARL)
        assert (made.name, made.roles, made.subject) == ("carl", {"approver"}, CARL.subject)
        renamed = await people.from_provider(replace(CARL, name="karl", roles=frozenset({"viewer"})))
        assert (renamed.name, renamed.roles) == ("carl", {"viewer"}), (
            "who they are is the subject, not the name"
        )


async def test_who_has_no_role_at_the_provider_any_more_is_out(database):
    async with opened(database) as (store, people):
        await people.from_provider(CARL)
        sessions, now = SessionStore(store, 3600, 3600), time.time()
        secret = await sessions.begin("carl", now)
        assert await people.from_provider(replace(CARL, roles=frozenset())) is None
        assert await sessions.user(secret, now) is None
        assert (await UserStore(store).user("carl")).roles == set()


async def test_nobody_becomes_another_user_by_the_name_the_provider_gives_them(database):
    async with opened(database) as (_, people):
        with pytest.raises(StoreError, match="another user anna"):
            await people.from_provider(replace(CARL, name="anna", roles=frozenset({"admin"})))
        await people.from_provider(CARL)
        with pytest.raises(StoreError, match="another user carl"):
            await people.from_provider(replace(CARL, subject="https://id.example 18"))


async def test_a_disabled_user_stays_out_whatever_the_provider_says(database):
    async with opened(database) as (_, people):
        await people.from_provider(CARL)
        await people.change(replace(CARL, disabled=True))
        assert await people.from_provider(CARL) is None
