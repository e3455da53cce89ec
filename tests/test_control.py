"""Control as it runs, with workers that carry no calls, over the real socket and a real database."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import structlog

from bridge.control import Control
from bridge.control_desk import Desk
from bridge.control_pages import Facts
from bridge.dialplan.plan import Plan
from bridge.errors import LinkError, StoreError
from bridge.link.client import LinkClient
from bridge.link.messages import Hello
from bridge.media.messagefile import save
from bridge.settings import load
from bridge.store.store import Store
from tests.fakes.events import Script, conversation
from tests.fakes.link import FAST, GUARD_S, Worker, until
from tests.test_webhook import SECRET, receiving

PLAN = """
version: 1
routes:
  - name: {name}
    do:
      - say: Good evening
      - hang_up: {{}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plans").mkdir()
    write_plan(tmp_path, "first")
    (tmp_path / "settings.yaml").write_text(
        "dialplans: plans\nstate_dir: state\nconsole: {port: 1}\nproviders: {azure: {kind: azure, model: m, "
        "url: 'wss://x.example/openai/v1/realtime', api_key_env: KEY}}\n"
    )
    return tmp_path


def write_plan(folder, name):
    (folder / "plans" / "plan.yaml").write_text(PLAN.format(name=name))


def settings(folder):
    return load(folder / "settings.yaml", {})


def store(folder):
    return Store(f"sqlite:///{folder}/state/sipbridge.db", migrate=False)


@asynccontextmanager
async def control(folder, **environ):
    """A running control whose prompts are silence."""
    running = Control(settings(folder), {"KEY": "azure-key", **environ}, speak=lambda _prompt: b"\0\0")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.run())
        async with asyncio.timeout(GUARD_S):
            await running.ready.wait()
        yield running
        running.stop()


@asynccontextmanager
async def worker(folder, index=0, boot="b1", words=None):
    link = LinkClient(
        folder / "state" / "link.sock",
        index,
        folder / "state" / "spool",
        (words or Worker()).handlers(),
        boot=boot,
        deadlines=FAST,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(link.run())
            yield link
            running.cancel()
    finally:
        link.close()


def say(link, events):
    for event in events:
        link.emit(event.call_id, event.type, event.data)


async def test_a_call_told_by_a_worker_is_one_finished_record(folder):
    async with control(folder), worker(folder) as link:
        say(link, conversation())
        assert await link.delivered(GUARD_S)
    async with store(folder) as reader:
        (record,) = await reader.recent(5)
        assert (record.ended_by, record.responses, record.barge_ins) == ("caller", 2, 1)
        assert [event.type for event in await reader.events("call-1")] == [
            event.type for event in conversation()
        ]


async def test_control_killed_in_a_call_has_the_whole_record_when_it_is_back(folder):
    events = conversation()
    async with worker(folder) as link:
        async with control(folder):
            say(link, events[:6])
            assert await link.delivered(GUARD_S)
        say(link, events[6:])
        async with control(folder):
            assert await link.delivered(GUARD_S)
    async with store(folder) as reader:
        assert len(await reader.events("call-1")) == len(events)
        assert (await reader.recent(5))[0].state == "ended"


async def test_a_control_that_comes_back_knows_whose_the_open_calls_are(folder):
    first = conversation()[0]
    mine = {"slot": "7", "call_id": first.call_id}
    async with worker(folder) as link, worker(folder, 1, "b2") as other:
        async with control(folder):
            say(link, [first])
            assert await link.delivered(GUARD_S)
        async with control(folder):
            await until(lambda: link.connected and other.connected)
            with pytest.raises(LinkError, match="another worker's"):
                await other.request("park.take", mine, GUARD_S)
            assert await link.request("park.take", mine, GUARD_S) == {"parked": None}


VICTIM = """
import asyncio, pathlib, sys
from tests.test_control import say, worker
from tests.fakes.events import conversation
async def main():
    async with worker(pathlib.Path(sys.argv[1]), boot="victim") as link:
        say(link, conversation()[:8])
        print(await link.delivered(5), flush=True)
        say(link, conversation()[8:10])
        print("said", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""


async def test_a_worker_killed_in_a_call_leaves_a_finished_record_that_says_so(folder):
    async with control(folder):
        with subprocess.Popen(  # noqa: ASYNC220  # a short start
            [sys.executable, "-c", VICTIM, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as victim:
            assert await asyncio.to_thread(victim.stdout.readline) == b"True\n"
            assert await asyncio.to_thread(victim.stdout.readline) == b"said\n"
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
        spool = folder / "state" / "spool" / "worker-0-victim.jsonl"
        spool.with_suffix(".exit").write_text("signal 9 (SIGKILL)\n")
        await until(lambda: not spool.exists())
        async with store(folder) as reader:
            (record,) = await reader.recent(5)
            events = await reader.events("call-1")
    assert (record.ended_by, record.end_reason) == ("bridge", "worker_died")
    assert record.end_detail == "the worker process ended: signal 9 (SIGKILL)"
    assert [event.type for event in events] == [e.type for e in conversation()[:10]] + ["call.ended"]


async def test_workers_get_the_plan_and_a_reload_that_fails_leaves_it(folder):
    words = Worker()
    async with control(folder) as running, worker(folder, words=words):
        await until(lambda: words.plans)
        assert Plan.from_json(words.plans[0]).routes[0].name == "first"
        (folder / "plans" / "plan.yaml").write_text("nonsense: 1\n")
        running.reload()
        await until(lambda: running._facts.plans_refused == 1)
        write_plan(folder, "second")
        running.reload()
        await until(lambda: len(words.plans) == 2)
        assert Plan.from_json(words.plans[1]).routes[0].name == "second"
        assert (folder / "state" / "run" / "plan.json").read_text() == words.plans[1]


async def test_with_a_bad_dialplan_control_comes_back_with_the_last_good_one(folder):
    async with control(folder):
        pass
    (folder / "plans" / "plan.yaml").write_text("nonsense: 1\n")
    words = Worker()
    async with control(folder), worker(folder, words=words):
        await until(lambda: words.plans)
    assert Plan.from_json(words.plans[0]).routes[0].name == "first"


async def test_credentials_are_answered_and_anything_else_is_refused(folder):
    async with control(folder), worker(folder) as link:
        await until(lambda: link.connected)
        answer = await link.request("credential", {"provider": "azure", "call_id": "c"}, GUARD_S)
        assert answer == {"value": "azure-key", "headers": {}}
        with pytest.raises(LinkError, match="knows no request 'root'"):
            await link.request("root", {}, GUARD_S)


async def test_a_worker_has_a_text_spoken_and_reads_it(folder):
    async with control(folder), worker(folder) as link:
        await until(lambda: link.connected)
        answer = await link.request("speech.say", {"text": "You are number 3", "language": "en-us"}, GUARD_S)
        assert Path(answer["path"]).read_bytes()[:4] == b"RIFF"  # noqa: ASYNC240  # a test
        assert Path(answer["path"]).parent == folder / "state" / "speech"
        with pytest.raises(LinkError, match="only English"):
            await link.request("speech.hear", {"language": "de"}, GUARD_S)


async def test_a_message_that_a_worker_tells_of_is_delivered_and_by_the_next_control_if_not_by_this(folder):
    path = folder / "state" / "recordings" / "voicemail" / "2026-11-21" / "call-1-1.wav"
    save(path, bytes(16_000))
    data = {
        "path": str(path),
        "seconds": 1.0,
        "mailbox": "sales",
        "to": ["crm"],
        "from": "sip:a@b",
        "called": "c",
    }
    async with receiving() as (receiver, url):
        text = (folder / "settings.yaml").read_text()
        (folder / "settings.yaml").write_text(
            f"{text}notify: {{channels: {{crm: {{webhook: '{url}', secret_env: HOOK}}}}}}\n"
        )
        async with worker(folder) as link:
            async with control(folder):
                say(link, Script().tell("voicemail", **data).events)
                assert await link.delivered(GUARD_S)
            assert not receiver.got  # its secret is missing
            async with control(folder, HOOK=SECRET):
                await until(lambda: len(receiver.got) == 1)
    assert json.loads(receiver.got[0][1])["data"]["mailbox"] == "sales"


async def test_health_and_metrics_tell_what_is_there(folder, unused_tcp_port):
    text = (folder / "settings.yaml").read_text()
    (folder / "settings.yaml").write_text(text.replace("port: 1}", f"port: {unused_tcp_port}}}"))
    async with control(folder) as running, httpx.AsyncClient() as client:
        base = f"http://127.0.0.1:{running.health_port}"
        sick = await client.get(base + "/healthz")
        assert (sick.status_code, sick.json()["problems"]) == (503, ["worker 0 is not connected"])
        async with worker(folder) as link:
            say(link, conversation())
            assert await link.delivered(GUARD_S)
            await until(lambda: link.connected)
            well = await client.get(base + "/healthz")
            assert (well.status_code, well.json()["status"]) == (200, "ok")
            text = (await client.get(base + "/metrics")).text
    assert "sipbridge_workers_connected 1.0\n" in text
    assert 'sipbridge_events_total{type="barge_in"} 1.0\n' in text
    assert "sipbridge_cost_usd_total 0.03\n" in text
    assert 'sipbridge_worker_events_lost{worker="0"} 0.0\n' in text


async def test_calls_that_wait_are_asked_for_over_the_link_and_shown_on_a_page(folder, unused_tcp_port):
    text = (folder / "settings.yaml").read_text()
    (folder / "settings.yaml").write_text(text.replace("port: 1}", f"port: {unused_tcp_port}}}"))
    parked = {"call_id": "c", "slot": "701", "parked_at": 0.0, "address": "127.0.0.1:5070", "token": "t"}
    async with control(folder) as running, worker(folder) as link, httpx.AsyncClient() as client:
        await until(lambda: link.connected)
        assert await link.request("park.wait", parked, GUARD_S) == {"parked": True}
        wish = {"call_id": "c", "number": "+4930123456", "after_s": 0}
        assert (await link.request("callback.request", wish, GUARD_S))["refused"]
        base = f"http://127.0.0.1:{running.health_port}"
        assert (await client.get(base + "/queues")).status_code == 404
        assert (await client.get(base + "/api/v1/queues")).status_code == 401
        socket = httpx.AsyncHTTPTransport(uds=str(folder / "state" / "api.sock"))
        async with httpx.AsyncClient(transport=socket) as ours:
            shown = (await ours.get("http://control/api/v1/queues")).json()
        assert shown["parked"][0]["slot"] == "701"
        assert "sipbridge_parked_calls 1.0\n" in (await client.get(base + "/metrics")).text


async def test_a_taken_health_port_is_no_reason_to_be_without_records(folder):
    """Port 1 cannot be bound by an ordinary user; here as root it may be, so it is taken first."""
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    text = (folder / "settings.yaml").read_text()
    (folder / "settings.yaml").write_text(text.replace("port: 1}", f"port: {port}}}"))
    async with control(folder) as running, worker(folder) as link:
        say(link, conversation())
        assert await link.delivered(GUARD_S)
        assert running.health_port == 0
    taken.close()
    await taken.wait_closed()


class Forgetful:
    """A store that keeps everything and says so only the second time: by then nothing is new."""

    def __init__(self):
        self.kept = False

    async def write(self, _worker, _events):
        if not self.kept:
            self.kept = True
            raise StoreError("the connection was lost after the commit")
        return 0


async def test_the_end_of_a_call_is_heard_when_the_store_did_not_say_that_it_kept_it():
    desk = Desk(Forgetful(), None, Facts(0.0))
    assert desk.room.take("c1", 0, ("r", 1), 0.0)
    events = Script("c1", "b").tell("call.started").tell("call.ended", by="caller").events
    with pytest.raises(StoreError):
        await desk.store(0, events)
    await desk.store(0, events)
    assert desk.room.live() == {}


def test_a_media_clock_that_stood_still_is_told_when_it_happens():
    desk, hello = Desk(None, None, Facts(0.0)), Hello(2, "b", 1, 5060, "v", 0)
    steps = [
        {},
        {"clock_restarts": 0},
        {"clock_restarts": 2, "clock_max_late_ms": 900.0},
        {"clock_restarts": 2},
    ]
    with structlog.testing.capture_logs() as logs:
        for before, now in pairwise(steps):
            desk.status(hello, before, now)
    (told,) = logs
    assert (told["event"], told["worker"], told["restarts"]) == ("worker.clock_stalled", 2, 2)


MAIN = "import sys, pathlib; from bridge.control_main import main; sys.exit(main(pathlib.Path(sys.argv[1])))"


def test_the_process_says_when_it_is_ready_and_ends_on_sigterm(folder, unused_tcp_port):
    text = (folder / "settings.yaml").read_text()
    (folder / "settings.yaml").write_text(text.replace("port: 1}", f"port: {unused_tcp_port}}}"))
    arguments = [sys.executable, "-c", MAIN, str(folder / "settings.yaml")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == f"ready: control, health on port {unused_tcp_port}\n"
        process.send_signal(signal.SIGHUP)
        process.terminate()
        _, told = process.communicate(timeout=GUARD_S)
        assert process.returncode == 0
    assert "plan.in_force" in told
    assert not Path(folder, "state", "link.sock").exists()


def test_a_store_that_cannot_be_opened_ends_the_process_with_a_sentence(folder):
    with (folder / "settings.yaml").open("a") as file:
        file.write("store: sqlite:////nowhere/at/all.db\n")
    arguments = [sys.executable, "-c", MAIN, str(folder / "settings.yaml")]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 1
    assert "cannot open the store" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_control_has_loaded_is_never_looked_through_for_garbage_again():
    """A full collection over it held the loop up by a third of a second when somebody looked at an hour's call."""
    code = (
        "import gc, sys; from bridge.control_main import settle; settle(); "
        "print(gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 10_000, sys.getswitchinterval())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "0.0005"]


def test_what_is_read_from_a_socket_leaves_no_holes_in_the_heap():
    """Each read takes 256 KiB for a moment; once something big was freed glibc took them from among what stays."""
    code = """
import ctypes
from bridge.control_main import keep_heap_whole
names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]
look = ctypes.CDLL(None).mallinfo2
look.restype = Info
keep_heap_whole()
big = bytearray(2_000_000)
del big
before = look().hblks
reads = [bytearray(256 * 1024) for _ in range(100)]  # some may find room that was free before
print(look().hblks - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 90
