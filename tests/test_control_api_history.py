"""Searching and hearing calls over the API: the console's search, and nobody hears who may not."""

import pytest

from bridge.approval.signing import Signer
from bridge.console.deeds import Deeds
from bridge.console.recordings import Recordings
from bridge.console.waveforms import Waveforms
from bridge.control_api_history import HistoryApi
from bridge.store.gatestore import GateStore
from bridge.store.historystore import HistoryStore
from tests.fakes.api import running_api
from tests.fakes.events import Script, conversation

HISTORY = "/api/v1/history"
HEARD, OTHER = "aaaa" * 8, "bbbb" * 8


@pytest.fixture
async def api(tmp_path):
    folder = tmp_path / "rec"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"RIFF" + bytes(4000))
    (tmp_path / "outside.wav").write_bytes(b"RIFF" + bytes(4000))

    def routes(store):
        deeds = Deeds(GateStore(store, Signer(tmp_path / "keys")))
        return HistoryApi(HistoryStore(store), Recordings(Waveforms(folder), "a"), deeds).routes()

    async with running_api(tmp_path, routes) as found:
        events = Script(HEARD, "b1").tell("call.started", **{"from": "+49170123", "to": "sip:100@u"})
        events.tell("recording", path=str(folder / "a.wav"), seconds=1.0).tell("call.ended", by="caller")
        await found.store.write(0, events.events)
        script = conversation(call_id=OTHER, boot="b2", at=5000.0)
        await found.store.write(0, script)
        out = (
            Script("cccc" * 8, "b3", at=10.0)
            .tell("call.started")
            .tell("recording", path=str(tmp_path / "outside.wav"), seconds=1.0)
        )
        await found.store.write(0, out.tell("call.ended", by="caller").events)
        yield found


async def test_calls_are_found_page_by_page(api):
    _, first = await api.ask("GET", f"{HISTORY}?limit=2")
    assert [one["call_id"] for one in first["calls"]] == [OTHER, HEARD]
    _, rest = await api.ask("GET", HISTORY, params={"limit": "2", "after": first["next"]})
    assert ([one["call_id"] for one in rest["calls"]], rest["next"]) == (["cccc" * 8], None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("number=170123", [HEARD]),
        ("route=reception", [OTHER]),
        ("words=order", [OTHER]),
        ("direction=outbound", []),
    ],
)
async def test_the_filter_is_the_consoles(api, query, found):
    _, data = await api.ask("GET", f"{HISTORY}?{query}")
    assert [one["call_id"] for one in data["calls"]] == found


async def test_a_viewer_finds_calls_and_no_persons(api):
    _, data = await api.ask("GET", HISTORY, role="viewer")
    assert len(data["calls"]) == 3
    assert "170123" not in repr(data)
    assert "alice" not in repr(data)
    for query in ("number=170", "words=order", "reason=normal"):
        assert (await api.ask("GET", f"{HISTORY}?{query}", role="viewer"))[0] == 400


@pytest.mark.parametrize(
    "query", ["outcome=odd", "since=yesterday", "limit=0", "limit=999", "after=x", "shortest_s=nan"]
)
async def test_what_cannot_be_understood_is_said(api, query):
    assert (await api.ask("GET", f"{HISTORY}?{query}"))[0] == 400


async def test_a_recording_is_heard_by_who_may(api):
    async def get(call_id, role="operator"):
        import httpx

        headers = {"authorization": f"Bearer {api.tokens[role]}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", headers=headers) as client:
            return await client.get(f"/api/v1/calls/{call_id}/recording")

    answer = await get(HEARD)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    assert answer.content.startswith(b"RIFF")
    assert (await get(HEARD, "viewer")).status_code == 403
    assert (await get("cccc" * 8)).status_code == 404  # the store names a file outside of the folder
    assert (await get("dddd" * 8)).status_code == 404
    assert (await get("zz")).status_code == 400
    told = [
        (one["type"], one["actor"], one["call_id"], one["facts"])
        for one in await GateStore(api.store).audit()
    ]
    assert told == [("recording_downloaded", "a-operator", HEARD, {"via": "api"})]


async def test_what_was_said_is_read_by_who_may(api):
    path = "/api/v1/calls/{}/transcript"
    status, told = await api.ask("GET", path.format(OTHER))
    assert (status, told["call_id"], told["words"], told["complete"]) == (200, OTHER, "there", True)
    first, second = told["lines"]
    assert (first["who"], first["heard"], first["unheard"]) == ("agent", "Hello, how can I help?", "")
    assert (second["who"], second["heard"]) == ("caller", "Where is my order?")
    assert first["end_s"] <= second["start_s"]
    _, silent = await api.ask("GET", path.format(HEARD))
    assert (silent["words"], silent["lines"]) == ("none", [])
    assert (await api.ask("GET", path.format(OTHER), role="viewer"))[0] == 403
    assert (await api.ask("GET", path.format("ffff" * 8)))[0] == 404
    assert (await api.ask("GET", path.format("xyz")))[0] == 400
