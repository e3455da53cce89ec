"""The day in figures and the state of the store, on SQLite and PostgreSQL."""

import time

import pytest

from bridge.store.daystore import DayStore, Today
from bridge.store.store import Store
from tests.store.test_historystore import T0, answered, call, keep


@pytest.fixture
async def store(database):
    async with Store(database, node="n1") as opened:
        yield opened


async def test_today_counts_calls_of_today_only_and_those_with_trouble(store):
    assert await DayStore(store).today(T0) == Today()
    await keep(
        store,
        answered(call("old", T0 - 100)),
        answered(call("good", T0 + 1)),
        answered(call("bad", T0 + 2), by="bridge", status=500, reason="x"),
    )
    found = await DayStore(store).today(T0)
    assert (found.calls, found.trouble, found.cost_usd) == (2, 1, None)


def session(call_id, at, **how):
    script = call(call_id, at).tell("session.connecting", 0.1, provider="x", model="m")
    return (
        script.tell("session.ready", 0.5, **how)
        if "session_id" in how
        else script.tell("session.failed", 0.5, **how)
    )


async def test_a_provider_tells_of_its_last_session_and_its_last_failure(store):
    await keep(
        store,
        session("a", T0, code="close_1006", message="gone"),
        session("b", T0 + 50, session_id="s1", ms=3),
        session("c", T0 + 70, code="insufficient_quota", message="pay"),
        call("d", T0 + 90),
    )
    (found,) = await DayStore(store).providers()
    assert (found.name, found.calls, found.failed) == ("x", 3, 2)
    assert (found.connected_at, found.failed_at) == (T0 + 50, T0 + 70)
    assert found.error.startswith("insufficient_quota")


async def test_the_store_tells_how_quick_and_how_large_it_is(store):
    found = await DayStore(store).condition(time.time())
    assert found.latency_ms > 0
    assert found.size_bytes > 10_000
    assert (found.unknown, found.leases) == (0, ())
