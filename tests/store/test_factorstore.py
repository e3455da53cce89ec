"""Second factors: a code counts once, whatever node it comes to. On both databases."""

import asyncio
from dataclasses import replace

import pytest

from bridge.errors import StoreError
from bridge.store.factorstore import MAX_FACTORS, Factor, FactorStore, new_id
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore
from tests.fakes.stores import another


def totp(user="anna", **more):
    return replace(Factor(new_id(), user, "totp", "phone", "closed", False, 0, 1000.0, None), **more)


async def test_a_time_step_counts_once_and_an_earlier_one_never_again(database):
    async with Store(database) as store, another(store, database) as other:
        factor = totp()
        await FactorStore(store).add(factor)
        taken = [FactorStore(one).used(factor, 50, 1001.0) for one in (store, other) * 4]
        assert sorted(await asyncio.gather(*taken)) == [False] * 7 + [True]
        assert not await FactorStore(store).used(factor, 49, 1002.0)
        assert await FactorStore(store).used(factor, 51, 1003.0)
        (kept,) = await FactorStore(store).of("anna")
        assert (kept.confirmed, kept.counter, kept.used_at) == (True, 51, 1003.0)


async def test_a_passkey_without_a_counter_always_says_zero(database):
    async with Store(database) as store:
        factors, key = FactorStore(store), totp(kind="passkey", confirmed=True)
        await factors.add(key)
        assert await factors.used(key, 0, 1001.0)
        assert await factors.used(key, 0, 1002.0)
        assert await factors.used(key, 7, 1003.0)
        assert not await factors.used(key, 0, 1004.0), "one that counted does not stop counting"


async def test_one_that_was_never_confirmed_makes_room_for_the_next(database):
    async with Store(database) as store:
        factors = FactorStore(store)
        await factors.add(totp())
        await factors.add(totp(label="new phone"))
        assert [one.label for one in await factors.of("anna")] == ["new phone"]


async def test_there_are_only_so_many_of_one_user(database):
    async with Store(database) as store:
        factors = FactorStore(store)
        for _ in range(MAX_FACTORS):
            await factors.add(totp(kind="passkey", confirmed=True))
        with pytest.raises(StoreError, match="the most"):
            await factors.add(totp())
        await factors.add(totp("bert"))


async def test_a_recovery_code_is_used_up_by_its_use_and_goes_with_the_last_factor(database):
    async with Store(database) as store, another(store, database) as other:
        factors, factor = FactorStore(store), totp(confirmed=True)
        await factors.add(factor)
        await factors.put_codes("anna", ["h1", "h2"], 1000.0)
        used = [FactorStore(one).use_code("anna", "h1") for one in (store, other) * 3]
        assert sorted(await asyncio.gather(*used)) == [False] * 5 + [True]
        assert not await factors.use_code("bert", "h2")
        assert await factors.codes_left("anna") == 1
        await factors.put_codes("anna", ["h3"], 1001.0)
        assert not await factors.use_code("anna", "h2"), "new ones replace the old"
        assert await factors.remove("bert", factor.factor_id) is None, "another's"
        assert (await factors.remove("anna", factor.factor_id)).label == "phone"
        assert await factors.codes_left("anna") == 0


async def test_a_reset_takes_everything_and_so_does_removing_the_user(database):
    async with Store(database) as store:
        factors, users = FactorStore(store), UserStore(store)
        for take_away in (factors.reset, users.remove):
            await users.put(User("anna", frozenset(), frozenset()))
            await factors.add(totp(confirmed=True))
            await factors.put_codes("anna", ["h1"], 1000.0)
            await take_away("anna")
            assert (await factors.of("anna"), await factors.codes_left("anna")) == ([], 0)
