"""What was asked of people before. On both databases."""

import contextlib

from bridge.store import paststore
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.paststore import PastStore, Wanted
from bridge.store.store import Store
from tests.fakes.requests import row


@contextlib.asynccontextmanager
async def opened(url):
    async with Store(url) as store:
        yield store, GateStore(store), PastStore(store)


async def put(gates, request_id, at, state="denied", audit=(), **more):
    gate = {**row(caller=more.get("caller", "+491")).gate, "state": state}
    names = {
        "request_id": request_id,
        "function_call_id": request_id,
        "call_id": more.get("call_id", "call1"),
    }
    gate["request"] = {**gate["request"], **names, "tool": more.get("tool", "refund")}
    gate["ruling"] = {**gate["ruling"], "rule": more.get("rule", "refunds")}
    if not more.get("asked", True):
        gate["ruling"] = {**gate["ruling"], "ask": None, "effect": "allow"}
    await gates.save(gate, 0, list(audit), at)


def ids(found):
    return [one.request_id for one in found.rows]


async def test_old_requests_are_found_by_state_function_rule_and_caller_the_newest_first(database):
    async with opened(database) as (_, gates, past):
        await put(gates, "a", 1.0)
        await put(gates, "b", 2.0, "succeeded", caller="+492")
        await put(gates, "c", 3.0, tool="pay", rule="big")
        await put(gates, "d", 4.0, "succeeded", asked=False)
        assert ids(await past.search(Wanted())) == ["c", "b", "a"]
        assert ids(await past.search(Wanted(everything=True))) == ["d", "c", "b", "a"]
        assert ids(await past.search(Wanted(state="denied"))) == ["c", "a"]
        assert ids(await past.search(Wanted(tool="refund"))) == ["b", "a"]
        assert ids(await past.search(Wanted(rule="big"))) == ["c"]
        assert ids(await past.search(Wanted(caller="+491"))) == ["c", "a"]
        assert ids(await past.search(Wanted(caller="+491", tool="pay", state="denied"))) == ["c"]
        assert ids(await past.search(Wanted(caller="+499"))) == []
        assert await past.functions() == ["pay", "refund"]


async def test_without_a_request_there_is_nothing_to_find(database):
    async with opened(database) as (_, _gates, past):
        assert (await past.search(Wanted(caller="+491")), await past.functions()) == (
            paststore.Found((), None),
            [],
        )


async def test_pages_follow_each_other_without_a_gap_also_at_the_same_moment(database):
    async with opened(database) as (_, gates, past):
        for number in range(paststore.PAGE + 5):
            await put(gates, f"r{number:03}", 7.0)
        first = await past.search(Wanted())
        second = await past.search(Wanted(), first.older)
        assert (len(first.rows), len(second.rows), second.older) == (paststore.PAGE, 5, None)
        assert len({*ids(first), *ids(second)}) == paststore.PAGE + 5


async def test_who_decided_and_what_the_audit_has_about_one_request(database):
    async with opened(database) as (_, gates, past):
        said = NewAudit("denied", "anna", {"via": "console", "state": "denied"}, {"reason": "no receipt"})
        await put(gates, "a", 1.0, audit=[NewAudit("requested", "model", {"rule": "refunds"}), said])
        await put(gates, "b", 2.0, audit=[NewAudit("expired", "system", {})])
        rows = (await past.search(Wanted())).rows
        assert await past.deciders(rows) == {"a": ("anna",)}
        first, second = await past.trail("a", "call1")
        assert (first.type, first.personal) == ("requested", None)
        assert (second.actor, second.facts["via"], second.personal) == (
            "anna",
            "console",
            {"reason": "no receipt"},
        )
        await gates.erase("call1", "chief", 9.0)
        assert (await past.trail("a", "call1"))[1].personal is None


async def test_the_audit_since_a_moment_is_in_order_and_says_when_it_is_not_whole(database):
    async with opened(database) as (_, gates, past):
        for number in range(6):
            audit = [NewAudit("requested", "model", {"n": number}), NewAudit("executing", "system", {})]
            await put(gates, f"r{number}", 100.0 * number, audit=audit)
        entries, whole = await past.audit_since(200.0, 100)
        assert ([entry.facts["n"] for entry in entries], whole) == ([2, 3, 4, 5], True)
        entries, whole = await past.audit_since(0.0, 3)
        assert ([entry.facts["n"] for entry in entries], whole) == ([3, 4, 5], False)
