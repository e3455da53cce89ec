import contextlib

import pytest

from bridge.errors import StoreError
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore, token_id_of

ANNA = User("anna", frozenset({"approver"}), frozenset({"boss"}), frozenset({"+491"}))


@contextlib.asynccontextmanager
async def opened(url):
    async with Store(url) as store:
        users = UserStore(store)
        await users.put(ANNA)
        yield users


async def test_a_user_is_kept_changed_and_removed(database):
    async with opened(database) as users:
        kept = await users.user("anna")
        assert (kept.roles, kept.groups, kept.numbers) == (ANNA.roles, ANNA.groups, ANNA.numbers)
        await users.put(User("anna", frozenset({"viewer"}), frozenset()))
        assert [user.roles for user in await users.users()] == [{"viewer"}]
        assert await users.remove("anna")
        assert not await users.remove("anna")
        assert await users.user("anna") is None


async def test_a_role_that_does_not_exist_is_refused(database):
    async with opened(database) as users:
        with pytest.raises(StoreError, match="no role king"):
            await users.put(User("eve", frozenset({"king"}), frozenset()))


async def test_a_disabled_user_is_nobody(database):
    async with opened(database) as users:
        token = await users.give_token("anna", "", None)
        await users.set_password("anna", "a long password")
        await users.put(User("anna", ANNA.roles, ANNA.groups, disabled=True))
        assert await users.user("anna") is None
        assert await users.by_token(token, 1.0) is None
        assert await users.by_password("anna", "a long password") is None


async def test_only_the_right_password_opens(database):
    async with opened(database) as users:
        assert await users.by_password("anna", "") is None
        with pytest.raises(StoreError, match="12"):
            await users.set_password("anna", "short")
        with pytest.raises(StoreError, match="no user"):
            await users.set_password("eve", "a long password")
        await users.set_password("anna", "a long password")
        assert (await users.by_password("anna", "a long password")).name == "anna"
        assert await users.by_password("anna", "a long Password") is None
        assert await users.by_password("eve", "a long password") is None


async def test_a_token_proves_its_user_until_it_expires_or_is_revoked(database):
    async with opened(database) as users:
        token = await users.give_token("anna", "script", 100.0)
        assert (await users.by_token(token, 99.0)).name == "anna"
        assert await users.by_token(token, 100.0) is None
        for wrong in (
            token[:-1],
            token + "x",
            "sbt__",
            "",
            "sbt_" + "0" * 8 + "_x",
            token.replace("sbt", "abc"),
        ):
            assert await users.by_token(wrong, 1.0) is None
        (one,) = await users.tokens()
        assert (one.user, one.label, one.used_at) == ("anna", "script", 99.0)
        assert await users.revoke(one.token_id)
        assert not await users.revoke(one.token_id)
        assert await users.by_token(token, 1.0) is None
        with pytest.raises(StoreError, match="no user"):
            await users.give_token("eve", "", None)


async def test_whose_tokens_these_are_is_asked_for_all_at_once(database):
    async with opened(database) as users:
        await users.put(User("anna", frozenset({"admin", "viewer"}), frozenset()))
        await users.put(User("bert", frozenset({"viewer"}), frozenset()))
        whole = await users.give_token("anna", "x", None)
        part = await users.give_token("anna", "x", 100.0, ["viewer"])
        other, gone = await users.give_token("bert", "x", None), await users.give_token("bert", "x", None)
        ids = [token_id_of(one) for one in (whole, part, other, gone)]
        await users.revoke(ids[3])
        found = await users.holders([*ids, "none"], 99.0)
        assert {key: (one.name, sorted(one.roles)) for key, one in found.items()} == {
            ids[0]: ("anna", ["admin", "viewer"]),
            ids[1]: ("anna", ["viewer"]),
            ids[2]: ("bert", ["viewer"]),
        }
        assert found[ids[1]] == await users.by_token(part, 99.0)
        await users.put(User("bert", frozenset({"viewer"}), frozenset(), disabled=True))
        assert set(await users.holders(ids, 100.0)) == {ids[0]}
        assert await users.holders([], 1.0) == {}


async def test_a_token_has_of_its_user_s_roles_those_it_was_made_with(database):
    async with opened(database) as users:
        await users.put(User("anna", frozenset({"operator", "approver"}), frozenset({"boss"})))
        whole = await users.give_token("anna", "all", None)
        part = await users.give_token("anna", "some", None, ["operator", "admin"])
        assert (await users.by_token(whole, 1000.0)).roles == {"operator", "approver"}
        assert (await users.by_token(part, 1000.0)).roles == {"operator"}
        await users.put(User("anna", frozenset({"approver"}), frozenset({"boss"})))
        assert (await users.by_token(part, 1000.0)).roles == set(), "what the user lost, the token lost"
        assert [one.roles for one in await users.tokens()] == [None, {"operator", "admin"}]
