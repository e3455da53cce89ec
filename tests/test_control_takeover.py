"""Tool desks of two nodes on one PostgreSQL: who may decide, who runs it, what becomes of a lost node's requests."""

import asyncio
import contextlib
import time

import pytest

from bridge.approval.chain import broken, unapproved
from bridge.control_takeover import raced
from bridge.errors import StoreAwayError, StoreError, StoreRaceError
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from tests.fakes.nodes import eventually
from tests.fakes.office import running


@contextlib.asynccontextmanager
async def two(cluster, tmp_path):
    """Nodes a and b. Each has its own tools, so that one sees where something was run."""
    url = cluster.fresh()
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    async with running(folders[0], url, "a") as a, running(folders[1], url, "b") as b:
        await asyncio.gather(*(office.office.answer("tool.offer", {"names": []}) for office in (a, b)))
        yield a, b


async def requested(office, name="pay", **more):
    return (await office.call(name, **more))["request_id"]


async def test_a_decision_made_anywhere_is_executed_where_the_call_is_and_once(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, b):
        request_id = await requested(a)
        assert (await b.decide(request_id)).startswith("taken: the request is")
        assert await a.settled(request_id) == "succeeded"
        assert ([one[0] for one in a.done], b.done) == (["pay"], [])
        assert (await a.decide(request_id, by="bert")).startswith("refused: already_decided")
        chain = await b.gates.audit()
        assert broken(chain) == unapproved(chain) == []


async def test_decisions_of_two_people_on_two_nodes_at_once_run_it_once(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, b):
        request_id = await requested(a)
        answers = await asyncio.gather(
            a.decide(request_id), b.decide(request_id, by="bert"), b.decide(request_id, by="bert")
        )
        assert sorted(answer.partition(":")[0] for answer in answers) == ["refused", "refused", "taken"]
        assert await a.settled(request_id) == "succeeded"
        assert len(a.done) == 1


async def test_a_decision_about_nothing_is_answered_too(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, b):
        words = {"by": "anna", "verdict": "approve", "binding": "x"}
        assert "refused" in await b.leave("nobody-knows", words)
        del a


async def test_what_waits_at_a_lost_node_goes_on_elsewhere_when_its_rule_keeps_it(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, b):
        request_id = await requested(a, "kept")
        assert await b.office.takeover.from_node("a") == 1
        assert ("asked", "boss", "kept") in b.notices
        assert (await b.decide(request_id)).startswith("taken")
        assert await b.settled(request_id) == "succeeded"
        assert ([one[0] for one in b.done], a.done) == (["kept"], [])


async def test_what_a_lost_node_was_executing_is_unknown_and_not_tried_again(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, b):
        a.release.clear()
        request_id = await requested(a, "look")  # a reading tool: elsewhere it would be tried again
        await eventually(lambda: state_is(b, request_id, "executing"))
        assert await b.office.takeover.from_node("a") == 1
        assert await b.state(request_id) == "unknown"
        a.release.set()
        await asyncio.sleep(0.3)
        assert await b.state(request_id) == "unknown"
        assert b.done == []
        assert ("reconcile", "", "look") in [(kind, "", tool) for kind, _, tool in b.notices]


async def test_none_of_several_that_a_lost_node_was_executing_is_tried_again_elsewhere(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, b):
        a.release.clear()
        asked = [await requested(a, "look", function_call_id=f"f{number}") for number in range(6)]
        for request_id in asked:
            await eventually(lambda one=request_id: state_is(b, one, "executing"))
        assert await b.office.takeover.from_node("a") == 6
        await asyncio.sleep(0.2)
        assert [await b.state(request_id) for request_id in asked] == ["unknown"] * 6
        assert b.done == []


async def test_what_a_lost_node_was_executing_is_not_tried_again_by_a_control_that_died_while_it_took_over(
    cluster, tmp_path
):
    url = cluster.fresh()
    async with running(folder_of(tmp_path), url, "a") as a:
        a.release.clear()
        request_id = await requested(a, "look")
        await eventually(lambda: state_is(a, request_id, "executing"))
        async with Store(url, node="b") as store:
            assert len(await GateStore(store).take_from("a")) == 1
        async with running(folder_of(tmp_path), url, "b") as b:
            assert await b.settled(request_id) == "unknown"
            assert b.done == []


async def test_a_takeover_that_the_store_cut_in_half_is_gone_on_with(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, b):
        request_id = await requested(a, "kept")
        proved = b.gates.proved_states

        async def away(_ids):
            b.office.takeover._deps.store.proved_states = proved
            raise StoreAwayError("cut off")

        b.office.takeover._deps.store.proved_states = away
        with pytest.raises(StoreAwayError):
            await b.office.takeover.from_node("a")
        assert (await b.decide(request_id)).startswith("taken")
        assert await b.settled(request_id) == "succeeded"
        assert ([one[0] for one in b.done], a.done) == (["kept"], [])


async def test_what_is_asked_for_while_a_node_looks_what_was_taken_from_it_stays_its_own(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, _):
        store, asked = a.office.takeover._deps.store, []
        mine = store.mine

        async def slow(states):
            rows = await mine(states)
            asked.append(await requested(a))
            return rows

        store.mine = slow
        await a.office.takeover.let_go()
        store.mine = mine
        assert (await a.decide(asked[0])).startswith("taken")
        assert await a.settled(asked[0]) == "succeeded"


async def state_is(office, request_id, state):
    return await office.state(request_id) == state


async def test_a_node_that_was_cut_off_executes_nothing_that_another_has_taken(cluster, tmp_path):
    async with two(cluster, tmp_path) as (a, b):
        request_id = await requested(a, "kept")
        assert await b.office.takeover.from_node("a") == 1
        # a does not know yet: the decision is not for it, and what it tries by itself is not taken
        gate = next(gate for gate in a.office._gates if gate.request.request_id == request_id)
        with pytest.raises(StoreError, match="another process"):
            await a.office._gates.keep(gate, gate.tick(time.time() + 1000))
        assert (await a.decide(request_id)).startswith("taken")
        assert await b.settled(request_id) == "succeeded"
        assert ([one[0] for one in b.done], a.done) == (["kept"], [])
        await a.office.takeover.let_go()
        assert request_id not in [one.request.request_id for one in a.office._gates]
        assert a.updates[-1][1]["state"] == "succeeded"


async def test_half_amounts_asked_for_on_two_nodes_at_once_see_each_other(cluster, tmp_path):
    """Rule `much`: not more than 100 on one call; each of the two alone is allowed."""
    for _ in range(3):
        async with two(cluster, folder_of(tmp_path)) as (a, b):
            answers = await asyncio.gather(
                a.call("book", '{"amount": 60}', function_call_id="f1"),
                b.call("book", '{"amount": 60}', function_call_id="f2"),
            )
            assert sorted(answer["state"] for answer in answers) == ["confirming", "denied"]


def folder_of(folder):
    made = folder / f"n{len(list(folder.iterdir()))}"
    made.mkdir()
    return made


async def test_a_step_that_always_comes_too_late_says_so():
    tries = []

    async def late():
        tries.append(1)
        raise StoreRaceError("again")

    with pytest.raises(StoreRaceError):
        await raced(late)
    assert len(tries) == 5
