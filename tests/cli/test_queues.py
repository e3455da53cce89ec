import asyncio
import json
import os
import time

from typer.testing import CliRunner

from bridge.cli.main import app
from bridge.control_api import Door, application, get
from bridge.control_api_docs import Doc
from bridge.control_door import serve_unix
from bridge.control_waiting import WaitingRoom
from bridge.dialplan.queue import Queue
from bridge.errors import BridgeError
from bridge.store.store import Store
from bridge.store.userstore import UserStore
from bridge.strictjson import encode
from bridge.waiting.queues import Place

SALES = Queue("sales", ("ann", "bob"), "in_order", 20, 5, 20, 3, 600, "", "", 45, "en")


async def ask(tmp_path, room, *words):
    (tmp_path / "state").mkdir(exist_ok=True)
    file = tmp_path / "settings.yaml"
    file.write_text("state_dir: state\ndialplans: plans\n")
    async with Store(f"sqlite:///{tmp_path}/x.db") as store:

        async def shown(_call):
            return room.overview()

        door = Door(UserStore(store), os.geteuid())
        app_ = application({}, [get("/api/v1/queues", "look", shown, Doc("Who waits."))], door)
        async with serve_unix(app_, tmp_path / "state" / "api.sock"):
            command = ["queues", "--config", str(file), *words]
            return await asyncio.to_thread(CliRunner().invoke, app, command)


async def test_an_admin_sees_who_waits_for_whom(tmp_path):
    now = time.time()
    room = WaitingRoom(wall=lambda: now)
    place = encode(Place("a", SALES, now - 90, "waiting"))
    await room.answer("queue.wait", place)
    talking = {"call_id": "b", "state": "talking", "member": "ann", "offer": "x", "admitted": True}
    await room.answer("queue.wait", place | talking)
    parked = {"call_id": "c", "slot": "701", "parked_at": now - 5, "address": "h:1", "token": "t"}
    await room.answer("park.wait", parked)
    lines = (await ask(tmp_path, room)).output.splitlines()
    assert lines[0] == "sales: 1 waiting, the longest for 90 s; 1 free (ann talking, bob free)"
    assert lines[1] == "parked on 701: call c for 5 s"
    assert json.loads((await ask(tmp_path, room, "--json")).output)["queues"][0]["waiting"] == 1


async def test_nothing_is_said_plainly(tmp_path):
    assert "nobody has waited" in (await ask(tmp_path, WaitingRoom())).output


def test_a_bridge_that_does_not_run_is_named(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("state_dir: state\ndialplans: plans\n")
    result = CliRunner().invoke(app, ["queues", "--config", str(file)])
    assert isinstance(result.exception, BridgeError)
    assert "the bridge is not running" in str(result.exception)
