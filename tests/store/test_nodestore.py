import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from bridge.errors import StoreError
from bridge.store.callrows import Death, StoredEvent
from bridge.store.gatestore import GateStore
from bridge.store.nodestore import Card, NodeStore, Pulse, guard
from bridge.store.store import Store
from bridge.store.tables import calls, leases, nodes, tool_requests

A = Card("a", "machine-1", "10.0.0.1", "1.0", "key")
B = Card("b", "machine-2", "10.0.0.2", "1.0", "key")
LOST_S = 5.0


@pytest.fixture
async def store(database):
    async with Store(database) as opened:
        yield opened


async def age(store, name, seconds):
    """As if it had not been seen for so long."""
    older = sa.update(nodes).where(nodes.c.name == name).values(seen_at=nodes.c.seen_at - seconds)
    await store.transaction("age", lambda it: it.execute(older))


async def run_out(store):
    await store.transaction("expire", lambda it: it.execute(sa.update(leases).values(until=1.0)))


async def test_a_node_is_seen_with_what_it_says(store):
    them = NodeStore(store)
    epoch = await them.join(A, LOST_S)
    beat = await them.beat("a", epoch, Pulse("plan-1", [{"uri": "sip:x"}], {"calls": 3}))
    (row,) = beat.nodes
    assert (row.name, row.state, row.epoch, row.address, row.plan_version) == (
        "a",
        "live",
        1,
        "10.0.0.1",
        "plan-1",
    )
    assert (row.targets, row.facts) == (({"uri": "sip:x"},), {"calls": 3})
    assert row.age_s < 5


async def test_a_second_machine_of_the_same_name_is_refused_and_the_same_one_comes_back_as_a_new_life(store):
    them = NodeStore(store)
    assert await them.join(A, LOST_S) == 1
    with pytest.raises(StoreError, match=r"node a already, at 10\.0\.0\.1"):
        await them.join(replace(A, instance="machine-9"), LOST_S)
    assert await them.join(A, LOST_S) == 2
    await age(store, "a", 10)
    assert await them.join(replace(A, instance="machine-9"), LOST_S) == 3


async def test_nodes_with_different_decision_keys_do_not_come_together(store):
    them = NodeStore(store)
    await them.join(A, LOST_S)
    with pytest.raises(StoreError, match=r"not that of node a .*decision_key_env"):
        await them.join(replace(B, key_print="other"), LOST_S)
    await age(store, "a", 10)
    assert await them.join(replace(B, key_print="other"), LOST_S) == 1


async def test_who_was_declared_lost_is_told_so_and_its_leases_are_free(store):
    them = NodeStore(store)
    one, two = await them.join(A, LOST_S), await them.join(B, LOST_S)
    assert (await them.beat("a", one, Pulse(), ["reaper"])).held == {"reaper": 1}
    assert not await them.lose("a", one, LOST_S)  # it has been seen
    await age(store, "a", 10)
    assert await them.lose("a", one, LOST_S)
    assert await them.beat("a", one, Pulse(), ["reaper"]) is None
    beat = await them.beat("b", two, Pulse(), ["reaper"])
    assert beat.held == {"reaper": 2}
    assert {row.name: row.state for row in beat.nodes} == {"a": "lost", "b": "live"}
    again = await them.join(A, LOST_S)
    assert (await them.beat("a", again, Pulse(), ["reaper"])).held == {}


async def test_a_lease_is_held_by_one_until_it_runs_out_and_its_token_grows(store):
    them = NodeStore(store)
    one, two = await them.join(A, LOST_S), await them.join(B, LOST_S)
    assert (await them.beat("a", one, Pulse(), ["x", "y"])).held == {"x": 1, "y": 1}
    assert (await them.beat("b", two, Pulse(), ["x"])).held == {}
    assert (await them.beat("a", one, Pulse(), ["x"])).held == {"x": 1}
    assert (await them.beat("b", two, Pulse(), ["x", "y"])).held == {"y": 2}  # not wanted any more
    await run_out(store)
    assert (await them.beat("b", two, Pulse(), ["x"])).held == {"x": 2}
    assert (await them.beat("a", one, Pulse(), ["x"])).held == {}
    with pytest.raises(StoreError, match="another node has the lease x"):
        await store.transaction("guarded", lambda it: guard(it, "x", 1))
    await store.transaction("guarded", lambda it: guard(it, "x", 2))


async def test_a_beat_asks_as_often_for_three_leases_as_for_one(store):
    them, said = NodeStore(store), []
    epochs = {card.name: await them.join(card, LOST_S) for card in (A, B)}
    await them.beat("a", epochs["a"], Pulse(), ["one", "two", "three"])
    watch = ("before_cursor_execute", lambda *facts: said.append(facts[2]))
    sa.event.listen(sa.Engine, *watch)
    try:
        beat = await them.beat("a", epochs["a"], Pulse(), ["one", "two", "three"])
        assert beat.held == {"one": 1, "two": 1, "three": 1}
        assert sum("leases" in words for words in said) == 2
        said.clear()
        assert (await them.beat("b", epochs["b"], Pulse(), ["one", "two", "three"])).held == {}
        assert sum("leases" in words for words in said) == 1
    finally:
        sa.event.remove(sa.Engine, *watch)


async def test_a_node_that_drains_gives_its_leases_up_and_gets_them_when_it_does_no_more(store):
    them = NodeStore(store)
    one = await them.join(A, LOST_S)
    await them.beat("a", one, Pulse(), ["x"])
    assert await them.set_state("a", ["live"], "draining")
    beat = await them.beat("a", one, Pulse(), ["x"])
    assert (beat.state, beat.held) == ("draining", {})
    assert await them.join(A, LOST_S) == 2  # control was restarted meanwhile: the wish is still there
    assert (await them.beat("a", 2, Pulse(), ["x"])).state == "draining"
    assert await them.set_state("a", ["draining"], "live")
    assert (await them.beat("a", 2, Pulse(), ["x"])).held == {"x": 2}
    assert not await them.set_state("nobody", ["live"], "draining")


async def test_a_node_that_leaves_is_not_lost_and_can_be_forgotten(store):
    them = NodeStore(store)
    one = await them.join(A, LOST_S)
    with pytest.raises(StoreError, match="node a lives"):
        await them.forget("a", LOST_S)
    await them.leave("a", one)
    assert [row.state for row in await them.nodes()] == ["left"]
    await age(store, "a", 100)
    assert not await them.lose("a", one, LOST_S)
    assert await them.forget("a", LOST_S)
    assert not await them.forget("a", LOST_S)


async def test_facts_that_are_too_long_or_no_json_are_left_out(store):
    them = NodeStore(store)
    one = await them.join(A, LOST_S)
    beat = await them.beat("a", one, Pulse("p" * 99, [{"uri": "x" * 300_000}], {"calls": 1}))
    assert (beat.nodes[0].targets, beat.nodes[0].facts) == ((), {"calls": 1})
    spoilt = sa.update(nodes).values(targets="[1, {", facts="[]")
    await store.transaction("spoil", lambda it: it.execute(spoilt))
    (row,) = await them.nodes()
    assert (row.targets, row.facts) == ((), {})


async def test_public_keys_are_kept_once_each(store):
    them = NodeStore(store)
    key = {"key_id": "k1", "node": "a", "public": "ff", "seal": "s", "at": 1.0}
    await them.keep_key(key)
    await them.keep_key({**key, "at": 2.0})
    assert await them.keys() == [{**key, "at": 2.0}]


async def test_nothing_is_taken_from_a_node_that_has_come_back_meanwhile(store):
    """Who buries it has seen it lost a moment ago; what it sees is up to a heartbeat old."""
    them = NodeStore(store)
    await store.write(0, [StoredEvent(1, "boot-1", "call-1", "call.started", 1.0, 1.0, {"direction": "in"})])
    await store.transaction("own", lambda it: it.execute(sa.update(calls).values(node="a")))
    epoch = await them.join(A, LOST_S)
    await age(store, "a", LOST_S + 1)
    assert await them.lose("a", epoch, LOST_S)
    await them.join(A, LOST_S)
    assert await store.end_lost("a", Death(2.0, "not heard of")) == []
    (record,) = await store.live(9)
    assert record.state == "ringing"
    request = {name: name for name in ("request_id", "call_id", "function_call_id", "tool")}
    gate = {"state": "pending", "request": {**request, "caller": {"number": ""}}}
    gates = GateStore(store)
    await gates.save(gate, 0, [], 1.0)
    await store.transaction("own", lambda it: it.execute(sa.update(tool_requests).values(node="a")))
    assert await gates.take_from("a") == []
    await them.leave("a", epoch + 1)
    assert await store.end_lost("a", Death(2.0, "not heard of")) == ["call-1"]
    assert [row.request_id for row in await gates.take_from("a")] == ["request_id"]


async def test_of_many_that_want_a_lease_at_the_same_moment_one_gets_it(cluster):
    url = cluster.fresh()
    async with Store(url) as first, Store(url) as second:
        them = [NodeStore(first), NodeStore(second)]
        epochs = await asyncio.gather(
            *(them[n % 2].join(replace(A, name=f"n{n}", instance=f"m{n}"), LOST_S) for n in range(6))
        )
        beats = await asyncio.gather(
            *(them[n % 2].beat(f"n{n}", epoch, Pulse(), ["x"]) for n, epoch in enumerate(epochs))
        )
        assert sum("x" in beat.held for beat in beats) == 1
