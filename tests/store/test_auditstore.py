"""The audit to look through: newest first, by call, kind, who; in pages; what is personal apart."""

import pytest

from bridge.store.auditstore import AuditStore, Sought
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.store import Store
from tests.fakes import databases


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
    ],
)
async def test_entries_are_found_newest_first(audit, sought, seqs):
    assert [entry.seq for entry in await audit.listed(sought)] == seqs


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
