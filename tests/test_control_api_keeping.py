"""Legal holds over the API: admins set and lift them, everybody sees them, and why is for who may see persons."""

import pytest

from bridge.approval.signing import Signer
from bridge.console.deeds import Deeds
from bridge.console.keeping import Keeping
from bridge.control_api_keeping import KeepingApi
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore
from bridge.store.keepstore import KeepStore
from tests.fakes.api import running_api
from tests.fakes.events import conversation

CALL = "aaaa" * 8
HOLD, HOLDS = f"/api/v1/calls/{CALL}/legal_hold", "/api/v1/legal_holds"
WHY = {"reason": "case 7"}


@pytest.fixture
async def api(tmp_path):
    def routes(store):
        deeds = Deeds(GateStore(store, Signer(tmp_path / "keys")))
        return KeepingApi(Keeping(KeepStore(store), deeds)).routes()

    async with running_api(tmp_path, routes) as found:
        await found.store.write(0, conversation(call_id=CALL))
        yield found


async def test_a_call_is_held_and_released_and_cannot_be_erased_in_between(api):
    assert await api.ask("GET", HOLD) == (200, {"hold": None})
    status, made = await api.ask("POST", HOLD, WHY, "admin")
    assert (status, made["hold"]["by"], made["hold"]["reason"]) == (201, "a-admin", "case 7")
    assert await api.ask("GET", HOLD) == (200, made)
    assert await api.ask("GET", HOLDS) == (200, {"holds": [made["hold"]]})
    assert (await api.ask("POST", HOLD, {"reason": "again"}, "admin"))[0] == 409
    with pytest.raises(StoreError, match="held"):
        await KeepStore(api.store).erase(CALL)
    assert await api.ask("DELETE", HOLD, role="admin") == (200, {"call_id": CALL, "released": True})
    assert (await api.ask("DELETE", HOLD, role="admin"))[0] == 404
    told = [(one["type"], one["actor"], one["facts"]) for one in await GateStore(api.store).audit(CALL)]
    assert told == [("held", "a-admin", {"via": "api"}), ("released", "a-admin", {"via": "api"})]


async def test_on_the_machine_it_is_noted_as_such(api):
    assert (await api.ask("POST", HOLD, WHY, ""))[0] == 201
    (entry,) = await GateStore(api.store).audit(CALL)
    assert entry["facts"] == {"via": "cli"}


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
async def test_only_an_admin_sets_or_lifts_a_hold(api, role):
    await api.ask("POST", HOLD, WHY, "admin")
    for method, body in (("POST", WHY), ("DELETE", None)):
        assert (await api.ask(method, HOLD, body, role))[0] == 403
    _, data = await api.ask("GET", HOLD, role=role)
    assert data["hold"]["reason"] == ("" if role == "viewer" else "case 7")


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": 7}, {"reason": "x" * 301}, {**WHY, "x": 1}]
)
async def test_a_hold_without_a_reason_is_none(api, body):
    assert (await api.ask("POST", HOLD, body, "admin"))[0] == 400


@pytest.mark.parametrize(("call_id", "status"), [("f" * 32, 404), ("xyz!", 400)])
async def test_what_is_no_call_is_not_held(api, call_id, status):
    path = f"/api/v1/calls/{call_id}/legal_hold"
    assert (await api.ask("POST", path, WHY, "admin"))[0] == status
    assert (await api.ask("DELETE", path, role="admin"))[0] == status
