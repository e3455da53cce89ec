"""The audit over the API: for who may read it, newest first, page by page."""

import pytest

from bridge.control_api_audit import AuditApi
from bridge.store.auditstore import AuditStore
from bridge.store.gatestore import GateStore, NewAudit
from tests.fakes.api import running_api

PATH = "/api/v1/audit"


@pytest.fixture
async def api(tmp_path):
    async with running_api(tmp_path, lambda store: AuditApi(AuditStore(store)).routes()) as found:
        gates = GateStore(found.store)
        await gates.note(NewAudit("calls_exported", "anna", {"kind": "csv"}), "", 1.0)
        await gates.note(NewAudit("held", "bert", {}, {"reason": "case 7"}), "", 2.0, "c1")
        await gates.note(NewAudit("call_shared", "anna", {"share_id": "ab"}), "", 3.0, "c1")
        yield found


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ("", [3, 2, 1]),
        ("?call=c1", [3, 2]),
        ("?type=calls_exported", [1]),
        ("?by=anna", [3, 1]),
        ("?before=3&limit=1", [2]),
        ("?since=2&until=1970-01-01T00:00:02.5%2B00:00", [2]),
    ],
)
async def test_entries_are_found_by_call_kind_and_who(api, query, seqs):
    _, data = await api.ask("GET", PATH + query)
    assert [entry["seq"] for entry in data["entries"]] == seqs


async def test_pages_follow_one_another_to_the_first_entry(api):
    _, first = await api.ask("GET", f"{PATH}?limit=2")
    assert (first["next"], first["cut"]) == (2, False)
    _, rest = await api.ask("GET", f"{PATH}?limit=2&before={first['next']}")
    assert ([entry["seq"] for entry in rest["entries"]], rest["next"]) == ([1], None)
    assert rest["entries"][0]["facts"] == {"kind": "csv"}
    assert first["entries"][1]["personal"] == {"reason": "case 7"}


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("approver", 403), ("operator", 200)])
async def test_the_audit_is_for_who_may_read_it(api, role, status):
    assert (await api.ask("GET", PATH, role=role))[0] == status


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=501", "?before=0", "?before=x", "?since=yesterday", "?type=4711"]
)
async def test_a_page_that_makes_no_sense_is_refused(api, query):
    assert (await api.ask("GET", PATH + query))[0] == 400
