import asyncio
import json
import time

from typer.testing import CliRunner

from bridge.cli.main import app
from bridge.control_api import application
from bridge.control_door import serve
from bridge.control_waiting import WaitingRoom
from bridge.dialplan.queue import Queue
from bridge.errors import LinkError
from bridge.strictjson import encode
from bridge.waiting.queues import Place

SALES = Queue("sales", ("ann", "bob"), "in_order", 20, 5, 20, 3, 600, "", "", 45, "en")


async def ask(tmp_path, room, *words):
    async with serve(application({"/queues": room.page}, (), None), "127.0.0.1", 0) as port:
        file = tmp_path / "settings.yaml"
        file.write_text(f"state_dir: state\ndialplans: plans\nconsole: {{port: {port}}}\n")
        command = ["queues", "--config", str(file), *words]
        return await asyncio.to_thread(CliRunner().invoke, app, command)


async def test_an_admin_sees_who_waits_for_whom(tmp_path):
    room = WaitingRoom()
    place = encode(Place("a", SALES, time.time() - 90, "waiting"))
    await room.answer("queue.wait", place)
    talking = {"call_id": "b", "state": "talking", "member": "ann", "offer": "x", "admitted": True}
    await room.answer("queue.wait", place | talking)
    parked = {"call_id": "c", "slot": "701", "parked_at": time.time() - 5, "address": "h:1", "token": "t"}
    await room.answer("park.wait", parked)
    lines = (await ask(tmp_path, room)).output.splitlines()
    assert lines[0] == "sales: 1 waiting, the longest for 90 s; 1 free (ann talking, bob free)"
    assert lines[1] == "parked on 701: call c for 5 s"
    assert json.loads((await ask(tmp_path, room, "--json")).output)["queues"][0]["waiting"] == 1


async def test_nothing_is_said_plainly(tmp_path):
    assert "nobody has waited" in (await ask(tmp_path, WaitingRoom())).output


def test_a_bridge_that_does_not_run_is_named(tmp_path, unused_tcp_port):
    file = tmp_path / "settings.yaml"
    file.write_text(f"state_dir: state\ndialplans: plans\nconsole: {{port: {unused_tcp_port}}}\n")
    result = CliRunner().invoke(app, ["queues", "--config", str(file)])
    assert isinstance(result.exception, LinkError)
    assert f":{unused_tcp_port}/queues does not answer" in str(result.exception)
