"""Recordings between two nodes over a real socket: whole, in parts, and to nobody who has no ticket."""

import asyncio
import base64
import json
import ssl
import time
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bridge.approval.signing import Signer, seal
from bridge.console.deeds import Deeds
from bridge.console.recordings import Recordings
from bridge.console.waveforms import Waveforms
from bridge.control_api_history import HistoryApi
from bridge.control_door import serve
from bridge.control_recordings import MAX_AT_ONCE, NodeRecordings, _about
from bridge.control_roads import Roads
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore
from bridge.store.historystore import HistoryStore
from bridge.store.store import Store
from bridge.store.userstore import User
from tests.doctor.test_certificates import ec, made, pem
from tests.fakes import console as consoles
from tests.fakes import databases
from tests.fakes.api import running_api
from tests.fakes.events import Script
from tests.media.test_peaks import write

KEY = b"k" * 32
PATH = "/node/recordings/c1"


class House:
    """Node b has the file and gives it; node a asks. `port`: of b; `front`: of a page of a's that plays it."""

    def __init__(self, store, folder):
        self.store, self.folder, self.roads = store, folder, Roads()
        self.b = NodeRecordings("b", store, Waveforms(folder), KEY, lambda _node: Roads())
        self.a = NodeRecordings("a", store, Waveforms(None), KEY, lambda _node: self.roads)

    async def record(self):
        (found,) = await self.store.find("c1")
        return found

    def ticket(self, node="b", call_id="c1", key=KEY, **changed):
        words = {"origin": "a", "until": time.time() + 60, "once": "1" * 32} | changed
        words["seal"] = seal(key, _about(node, call_id), words)
        return {"authorization": "Node " + base64.urlsafe_b64encode(json.dumps(words).encode()).decode()}

    async def ask(self, path=PATH, **headers):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            return await client.get(path, headers=headers)

    async def play(self, **headers):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.front}") as client:
            return await client.get("/play", headers=headers)


@pytest.fixture
async def house(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    async with Store(databases.migrated(tmp_path / "store.db"), node="b") as store:
        path = write(folder / "c1.wav", np.full(16_000, 8000), np.full(16_000, 90))
        script = Script(call_id="c1").tell("call.started").tell("recording", path=str(path), seconds=2.0)
        await store.write(0, script.tell("call.ended", 1, by="caller").events)
        async with running(House(store, folder)) as it:
            it.wav = path.read_bytes()
            yield it


@asynccontextmanager
async def running(it):
    async def play(_request):
        return it.a.answer(await it.record(), "inline")

    given = Starlette(routes=it.b.routes())
    played = Starlette(routes=[Route("/play", play), Route("/api/v1/play", play)])
    task = asyncio.create_task(it.a.run())
    async with serve(given, "127.0.0.1", 0) as it.port, serve(played, "127.0.0.1", 0) as it.front:
        it.roads = Roads("https://b.example", f"http://127.0.0.1:{it.port}/")
        try:
            yield it
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_recording_of_another_node_is_played_whole_and_in_parts(house):
    whole = await house.play()
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    assert whole.content == house.wav
    assert whole.headers["content-length"] == str(len(house.wav))
    assert whole.headers["content-disposition"] == 'inline; filename="c1.wav"'
    part = await house.play(range="bytes=44-143")
    assert (part.status_code, part.content) == (206, house.wav[44:144])
    assert part.headers["content-range"] == f"bytes 44-143/{len(house.wav)}"
    same = await house.play(range="bytes=44-143", **{"if-range": whole.headers["etag"]})
    assert same.status_code == 206
    assert (await house.play(range=f"bytes={len(house.wav)}-")).status_code == 416
    several = await house.play(range="bytes=0-9,20-29")
    assert (several.status_code, several.content) == (200, house.wav)


async def test_the_picture_of_another_node_s_recording_is_that_node_s(house):
    record, forms = await house.record(), Waveforms(house.folder)
    found = await house.a.peaks(record)
    assert found == await forms.of(await forms.file(record))
    assert max(found.caller) > 50


async def test_nobody_gets_anything_without_a_ticket_of_the_nodes_for_this_recording_now_and_once(house):
    good = house.ticket()
    wrong = [
        {},
        {"authorization": "Bearer x"},
        {"authorization": "Node x"},
        {"authorization": "Node " + "x" * 5000},
        {"authorization": "Node " + base64.urlsafe_b64encode(b"[1]").decode()},
        house.ticket(key=b"x" * 32),
        house.ticket(node="c"),
        house.ticket(call_id="c2"),
        house.ticket(until=time.time() - 100),
        house.ticket(until=time.time() + 1000),
        house.ticket(until="soon"),
        house.ticket(until="nan"),
    ]
    for headers in wrong:
        answer = await house.ask(**headers)
        assert (answer.status_code, answer.text) == (403, "no\n"), headers
        assert (await house.ask(f"{PATH}/peaks", **headers)).status_code == 403
    assert (await house.ask(**good)).content == house.wav
    assert (await house.ask(**good)).status_code == 403


async def test_a_ticket_that_was_spent_is_spent_after_a_restart_too(house):
    spent = house.ticket(until=time.time() + 57)  # made three seconds ago
    house.b._since_s -= 10
    assert (await house.ask(**spent)).status_code == 200
    anew = NodeRecordings("b", house.store, Waveforms(house.folder), KEY, lambda _node: Roads())
    async with serve(Starlette(routes=anew.routes()), "127.0.0.1", 0) as house.port:
        assert (await house.ask(**spent)).status_code == 403
        assert (await house.ask(**house.ticket(once="2" * 32))).status_code == 200


async def test_only_a_finished_call_s_file_of_the_node_s_own_folder_is_given(house):
    outside = house.folder.parent / "secret.wav"
    outside.write_bytes(b"RIFF" + bytes(4000))
    script = (
        Script(call_id="c2", boot="b2").tell("call.started").tell("recording", path=str(outside), seconds=1.0)
    )
    await house.store.write(0, script.tell("call.ended", by="caller").events)
    path = str(house.folder / "c1.wav")
    live = Script(call_id="c3", boot="b3").tell("call.started").tell("recording", path=path, seconds=1.0)
    await house.store.write(0, live.events)
    for number, call_id in enumerate(("c2", "c3", "c", "none")):
        ticket = house.ticket(call_id=call_id, once=str(number))
        assert (await house.ask(f"/node/recordings/{call_id}", **ticket)).status_code == 404, call_id


async def test_what_cannot_be_had_is_said(house):
    house.b._name = "other"  # as a node whose clock, or key, is not ours
    answer = await house.play()
    assert (answer.status_code, "clocks of the nodes" in answer.text) == (502, True)
    assert await house.a.peaks(await house.record()) is None
    house.roads = Roads("", "http://127.0.0.1:9")
    answer = await house.play()
    assert (answer.status_code, "does not answer" in answer.text) == (502, True)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.front}") as client:
        answer = await client.get("/api/v1/play")
    assert (answer.status_code, "does not answer" in answer.json()["error"]) == (502, True)
    house.roads = Roads()
    assert not house.a.reached("b")
    assert (await house.play()).status_code == 502


async def test_a_node_is_asked_where_it_said_and_never_this_one(house):
    assert house.a.reached("b")
    assert not house.a.reached("a")
    assert house.a.console("b") == "https://b.example"


async def test_a_listener_who_goes_makes_room(house):
    with (house.folder / "c1.wav").open("ab") as file:
        file.truncate(64 * 1024**2)  # more than sockets hold
    async with (
        httpx.AsyncClient() as client,
        client.stream("GET", f"http://127.0.0.1:{house.front}/play") as it,
    ):
        await anext(it.aiter_raw())
        assert house.a._asking == 1
    async with asyncio.timeout(20):
        while house.a._asking:  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0.01)


async def test_a_node_s_certificate_may_be_of_an_authority_that_this_machine_trusts(
    house, tmp_path, monkeypatch
):
    async def answer(_reader, writer):
        writer.write(b"HTTP/1.1 404 no\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    root, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    above, chain = tmp_path / "root.pem", tmp_path / "chain.pem"
    above.write_bytes(pem(made("root", "root", root, root)))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(pem(made("b", "root", key, root, names=("localhost",))) + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        house.roads = Roads("", f"https://localhost:{server.sockets[0].getsockname()[1]}")
        assert "does not answer" in (await house.play()).text
        monkeypatch.setenv("SSL_CERT_FILE", str(above))
        knows = NodeRecordings("a", house.store, Waveforms(None), KEY, lambda _node: house.roads)
        house.a, task = knows, asyncio.create_task(knows.run())
        await asyncio.sleep(0)
        assert "no such file" in (await house.play()).text
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_few_are_played_at_a_time(house):
    house.a._asking = MAX_AT_ONCE
    assert "too many" in (await house.play()).text
    house.a._asking = MAX_AT_ONCE - 1
    assert (await house.play()).status_code == 200
    assert house.a._asking == MAX_AT_ONCE - 1


async def test_strange_answers_of_a_node_are_no_picture(house):
    for body in (
        "[]",
        "{}",
        '{"seconds": 1, "caller": [1], "agent": []}',
        "x" * 2_000_000,
        '{"seconds": "x"}',
    ):

        async def odd(_request, body=body):
            return PlainTextResponse(body)

        app = Starlette(routes=[Route("/node/recordings/{id}/peaks", odd)])
        async with serve(app, "127.0.0.1", 0) as port:
            house.roads = Roads("", f"http://127.0.0.1:{port}")
            assert await house.a.peaks(await house.record()) is None


async def test_who_asks_says_how_long_a_node_may_be_silent(house):
    read = asyncio.Event()

    async def slow(_request):
        await read.wait()
        return PlainTextResponse("read")

    async with serve(Starlette(routes=[Route(f"{PATH}/peaks", slow)]), "127.0.0.1", 0) as port:
        house.roads, record = Roads("", f"http://127.0.0.1:{port}"), await house.record()
        with pytest.raises(httpx.ReadTimeout):
            async with house.a.opened(record, "/peaks", {}, 0.05):
                pass
        read.set()
        async with house.a.opened(record, "/peaks", {}, 5.0) as answer:
            assert await answer.aread() == b"read"


@asynccontextmanager
async def elsewhere(store, folder, call_id, asker):
    """A call of node b in this store, and b's control. Gives its WAV, and which calls it was asked for."""
    path = write(folder / f"{call_id}.wav", np.full(16_000, 8000), np.full(16_000, 90))
    script = Script(call_id=call_id).tell("call.started").tell("recording", path=str(path), seconds=2.0)
    await store.write(0, script.tell("call.ended", 1, by="caller").events)
    await store.transaction("test", lambda it: it.exec_driver_sql("UPDATE calls SET node = 'b'"))
    b, asked = NodeRecordings("b", store, Waveforms(folder), KEY, lambda _node: Roads()), []
    given = Starlette(routes=b.routes())

    async def door(scope, receive, send):
        asked.append(scope["path"])
        await given(scope, receive, send)

    task = asyncio.create_task(asker.run())
    async with serve(door, "127.0.0.1", 0) as port:
        asker._roads = lambda _node: Roads("", f"http://127.0.0.1:{port}")
        yield path.read_bytes(), asked
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_a_page_plays_of_another_node_is_audited_first_and_for_who_may_hear(tmp_path, monkeypatch):
    asker = NodeRecordings("a", None, Waveforms(None), KEY, lambda _node: Roads())
    page, sound = "/console/history/c1", "/console/history/c1/recording"
    async with (
        consoles.running(tmp_path, more={"far": asker}) as house,
        elsewhere(house.office.store, tmp_path, "c1", asker) as (wav, asked),
    ):
        await house.office.users.put(User("vera", frozenset({"viewer"}), frozenset()))
        vera, chief = await house.as_("vera"), await house.as_("chief")
        assert "<audio" not in (await vera.get(page)).text
        assert (await vera.get(sound)).status_code == 403
        assert (await house.browser().get(sound)).status_code == 303
        note = house.office.gates.note

        async def full(*_args):
            raise StoreError("no room")

        monkeypatch.setattr(house.office.gates, "note", full)
        assert (await chief.get(sound)).status_code == 503
        assert asked == []
        monkeypatch.setattr(house.office.gates, "note", note)
        assert "<audio" in (await chief.get(page)).text
        assert (await chief.get(sound, range="bytes=44-143")).content == wav[44:144]
        assert (await chief.get(f"{sound}?download=1")).content == wav
        told = [(one["type"], one["actor"], one["facts"]) for one in await house.office.gates.audit("c1")]
    ours = {"via": "console"}
    assert told == [("recording_played", "chief", ours), ("recording_downloaded", "chief", ours)]
    assert asked == [f"{PATH}/peaks", PATH, PATH]


async def test_what_the_api_gives_of_another_node_is_audited_and_for_who_may_hear(tmp_path):
    asker = NodeRecordings("a", None, Waveforms(None), KEY, lambda _node: Roads())
    call_id = "aaaa" * 8

    def routes(store):
        deeds = Deeds(GateStore(store, Signer(tmp_path / "keys")))
        return HistoryApi(HistoryStore(store), Recordings(Waveforms(None), "a", asker), deeds).routes()

    async with (
        running_api(tmp_path, routes) as api,
        elsewhere(api.store, tmp_path, call_id, asker) as (wav, asked),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}") as client,
    ):

        async def get(role):
            headers = {"authorization": f"Bearer {api.tokens[role]}"}
            return await client.get(f"/api/v1/calls/{call_id}/recording", headers=headers)

        assert ((await get("viewer")).status_code, asked) == (403, [])
        answer = await get("operator")
        assert (answer.status_code, answer.content) == (200, wav)
        assert answer.headers["content-disposition"].startswith("attachment")
        told = [(one["type"], one["actor"], one["call_id"]) for one in await GateStore(api.store).audit()]
    assert told == [("recording_downloaded", "a-operator", call_id)]


async def test_what_is_erased_or_gone_meanwhile_is_not_given_though_the_ticket_is_good(house):
    statement = "UPDATE calls SET recording_path = NULL WHERE call_id = 'c1'"
    await house.store.transaction("test", lambda it: it.exec_driver_sql(statement))
    assert (await house.ask(**house.ticket())).status_code == 404
