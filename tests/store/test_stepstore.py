"""A step of signing in is taken once, in time, by who can name it. On both databases."""

import asyncio

import sqlalchemy as sa

from bridge.store import stepstore
from bridge.store.stepstore import StepStore
from bridge.store.store import Store
from bridge.store.tables import console_steps
from tests.fakes.stores import another


async def test_what_was_kept_is_taken_once_whoever_asks_at_the_same_moment(database):
    async with Store(database) as store, another(store, database) as other:
        await StepStore(store).keep("state", {"nonce": "n"}, 1000.0, 60.0)
        taken = await asyncio.gather(*(StepStore(one).take("state", 1001.0) for one in (store, other) * 5))
        assert [one for one in taken if one is not None] == [{"nonce": "n"}]


async def test_what_is_too_old_or_was_replaced_or_never_was_is_not_there(database):
    async with Store(database) as store:
        steps = StepStore(store)
        await steps.keep("state", {"a": "1"}, 1000.0, 60.0)
        assert await steps.take("state", 1060.0) is None
        await steps.keep("state", {"a": "1"}, 1000.0, 60.0)
        await steps.keep("state", {"a": "2"}, 1000.0, 60.0)
        assert await steps.take("state", 1001.0) == {"a": "2"}
        assert await steps.take("other", 1001.0) is None


async def test_there_are_only_so_many_and_the_database_does_not_name_them(database, monkeypatch):
    monkeypatch.setattr(stepstore, "MAX_STEPS", 3)
    async with Store(database) as store:
        steps = StepStore(store)
        for number in range(6):
            await steps.keep(f"state{number}", {}, 1000.0 + number, 60.0)
        rows = await store.transaction("read", lambda it: it.execute(sa.select(console_steps)).all())
        assert len(rows) == 3
        assert "state5" not in str(rows)
        assert await steps.take("state5", 1010.0) == {}
        assert await steps.take("state0", 1010.0) is None


async def test_who_begins_to_sign_in_very_often_takes_no_challenge_of_who_has_signed_in(
    database, monkeypatch
):
    """The way to a provider is open to anybody, and what waits for a passkey ends sooner."""
    monkeypatch.setattr(stepstore, "MAX_STEPS", 3)
    async with Store(database) as store:
        steps = StepStore(store)
        await steps.keep("prove s1", {"challenge": "c"}, 1000.0, 60.0)
        for number in range(6):
            await steps.keep(f"oidc {number}", {}, 1000.0 + number, 600.0)
        assert await steps.take("prove s1", 1010.0) == {"challenge": "c"}
        assert await steps.take("oidc 0", 1010.0) is None
