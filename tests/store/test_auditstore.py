"""The audit to look through: newest first, by call, kind, who; in pages; what is personal apart."""

import pytest

from bridge.store.auditstore import AuditStore, Sought
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.store import Store
from tests.fakes import databases
from tests.fakes import office as offices


@pytest.fixture
async def audit(tmp_path):
    async with Store(databases.migrated(f"{tmp_path}/s.db")) as store:
        gates = GateStore(store)
        for number, (what, by, call_id, request_id) in enumerate(
            (
                ("user_added", "anna", "", ""),
                ("held", "anna", "c1", ""),
                ("approved", "bert", "c1", "r1"),
                ("calls_exported", "bert", "", ""),
            )
        ):
            personal = {"reason": "case 7"} if what == "held" else {}
            await gates.note(NewAudit(what, by, {"n": number}, personal), request_id, 10.0 + number, call_id)
        found = AuditStore(store)
        found.gates = gates
        yield found


@pytest.mark.parametrize(
    ("sought", "seqs"),
    [
        (Sought(), [4, 3, 2, 1]),
        (Sought(before=3), [2, 1]),
        (Sought("c1"), [3, 2]),
        (Sought("c1", deeds=True), [2]),
        (Sought(type="calls_exported"), [4]),
        (Sought(actor="anna"), [2, 1]),
        (Sought("c1", actor="anna", type="approved"), []),
        (Sought(since=11.0, until=12.0), [3, 2]),
        (Sought(since=13.5), []),
    ],
)
async def test_entries_are_found_newest_first(audit, sought, seqs):
    assert [entry.seq for entry in await audit.listed(sought)] == seqs
    assert [entry.seq for entry in (await audit.page(sought, 10)).entries] == seqs


async def test_pages_follow_one_another_however_few_entries_are_looked_at_at_a_time(audit):
    for window in (1, 2, 3, 100):
        store, seen, sought = AuditStore(audit._store, window), [], Sought(actor="anna")
        while True:
            found = await store.page(sought, 1)
            assert not found.cut
            seen += [entry.seq for entry in found.entries]
            if not found.next:
                break
            sought = sought.below(found.next)
        assert seen == [2, 1], window


async def test_a_page_that_takes_too_long_says_how_far_it_looked(audit):
    store = AuditStore(audit._store, 2)
    found = await store.page(Sought(type="user_added"), 5, within_s=0.0)
    assert (found.entries, found.next, found.cut) == ((), 3, True)
    found = await store.page(Sought(type="user_added", before=found.next), 5, within_s=0.0)
    assert ([entry.seq for entry in found.entries], found.next, found.cut) == ([1], 0, False)


async def test_a_number_beyond_the_end_is_the_newest(audit):
    found = await audit.page(Sought(before=999_999_999), 1)
    assert ([entry.seq for entry in found.entries], found.next, await audit.end()) == ([4], 4, 4)


async def test_of_requests_that_are_gone_no_function_is_known(tmp_path):
    async with offices.running(tmp_path) as office:
        await office.call()
        (request,) = await office.gates.requests()
        audit = AuditStore(office.store)
        assert await audit.tools({request.request_id, "gone"}) == {request.request_id: "pay"}
        assert await audit.tools(()) == {}


async def test_the_chain_is_read_in_its_order_with_its_hashes(audit):
    first, second = await audit.chain(1, 2)
    assert (first["seq"], second["seq"], second["prev_hash"]) == (2, 3, first["hash"])


def test_what_was_looked_for_is_told_without_what_was_typed():
    sought = Sought("c1", "held", "anna", 7, since=5.0)
    assert sought.told() == {"call_id": True, "type": "held", "actor": True, "since": 5.0}
    assert Sought().told() == {}


async def test_an_entry_has_its_facts_and_what_is_personal_until_that_is_erased(audit):
    (entry,) = await audit.listed(Sought(type="held"))
    assert (entry.actor, entry.at, entry.facts, entry.personal) == (
        "anna",
        11.0,
        {"n": 1},
        {"reason": "case 7"},
    )
    (other,) = await audit.listed(Sought(type="user_added"))
    assert other.personal is None
    await audit.gates.erase("c1", "root", 20.0)
    (entry,) = await audit.listed(Sought(type="held"))
    assert entry.personal is None


async def test_a_page_has_as_many_as_were_asked_for(audit):
    assert [entry.seq for entry in await audit.listed(Sought(), 2)] == [4, 3]
