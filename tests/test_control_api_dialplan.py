"""The dialplan over the API, of a control as it runs, with a worker that carries no calls."""

import asyncio
import json
import wave
from contextlib import asynccontextmanager

import httpx
import pytest

from bridge.control import Control
from bridge.link.client import LinkClient
from bridge.settings import load
from tests.fakes.link import FAST, GUARD_S, Worker, until

PLAN = "version: 1\nroutes:\n  - name: {name}\n    do:\n      - say: Hello\n      - hang_up: {{}}\n"
SOUND = PLAN.format(name="x").replace("say: Hello", "play: sounds/a.wav")


JSON = {"content-type": "application/json"}


class Api:
    """Asks over the Unix socket."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, name):
        (self.folder / "plans" / "plan.yaml").write_text(PLAN.format(name=name))

    async def ask(self, method, path="", body=None):
        transport = httpx.AsyncHTTPTransport(uds=str(self.folder / "state" / "api.sock"))
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            sent = {} if body is None else {"content": json.dumps(body), "headers": JSON}
            answer = await client.request(method, f"http://control/api/v1/dialplan{path}", **sent)
            return answer.status_code, answer.json()


class Taker(Worker):
    """A worker that has each plan in force as it comes."""

    def _facts(self):
        return {**super()._facts(), "plan_version": self.version}

    version = ""

    def _plan(self, text):
        super()._plan(text)
        self.version = text.split('"')[3]
        self.link.say_status()


@asynccontextmanager
async def running(folder, extra=""):
    (folder / "plans").mkdir(exist_ok=True)
    (folder / "settings.yaml").write_text(
        f"dialplans: plans\nstate_dir: state\ntools: none\nconsole: {{port: 1}}\n{extra}"
    )
    api = Api(folder)
    if not (folder / "plans" / "plan.yaml").exists():
        api.write("first")
    control = Control(load(folder / "settings.yaml", {}), {}, speak=lambda _prompt: b"\0\0")
    taker = Taker()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(control.run())
        async with asyncio.timeout(GUARD_S):
            await control.ready.wait()
        state = folder / "state"
        taker.link = LinkClient(
            state / "link.sock", 0, state / "spool", taker.handlers(), boot="b", deadlines=FAST
        )
        link = tasks.create_task(taker.link.run())
        await until(lambda: taker.version and not control.plans.lagging())
        api.taker, api.control = taker, control
        try:
            yield api
        finally:
            link.cancel()
            taker.link.close()
            control.stop()


@pytest.fixture
async def api(tmp_path):
    async with running(tmp_path) as found:
        yield found


async def test_what_is_in_force_since_when_and_why(api):
    status, data = await api.ask("GET")
    assert status == 200
    assert (data["version"], data["how"], data["routes"], data["refused"]) == (
        api.taker.version,
        "start",
        1,
        None,
    )
    assert (data["rolled_back"], data["watched"], data["lagging"]) == (False, False, {})


async def test_a_reload_answers_when_the_workers_have_it(api):
    api.write("second")
    status, data = await api.ask("POST", "/reload")
    assert (status, data["changed"], data["lagging"]) == (200, True, {})
    assert data["version"] == api.taker.version
    assert "later" not in data["note"]


async def test_a_refused_reload_has_every_mistake_with_its_place(api):
    (api.folder / "plans" / "plan.yaml").write_text(
        "version: 1\nrutes: []\nroutes: [{name: x, do: [{sayy: a}]}]\n"
    )
    status, data = await api.ask("POST", "/reload")
    assert (status, data["version"]) == (422, api.taker.version)
    assert data["error"] == "refused, 2 mistakes; everything stays as it was"
    assert [(one["line"], one["key"]) for one in data["problems"]] == [
        (2, "rutes"),
        (3, "routes[0].do[0].sayy"),
    ]
    _, now = await api.ask("GET")
    assert [one["line"] for one in now["refused"]["problems"]] == [2, 3]


async def test_versions_and_a_rollback(api):
    first = api.taker.version
    api.write("second")
    await api.ask("POST", "/reload")
    _, data = await api.ask("GET", "/versions")
    assert [one["in_force"] for one in data["versions"]] == [True, False]
    status, data = await api.ask("POST", "/rollback", {"version": first[:5]})
    assert (status, data["version"], api.taker.version) == (200, first, first)
    assert "until the next successful reload" in data["note"]
    status, whole = await api.ask("GET", f"/versions/{first[:5]}")
    assert whole["files"] == {"plan.yaml": PLAN.format(name="first")}
    assert whole["plan"]["routes"][0]["name"] == "first"
    assert [one["action"] for one in whole["times"]] == ["load", "rollback"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/versions/zzz", None, 404),
        ("POST", "/rollback", {}, 400),
        ("POST", "/rollback", {"version": 7}, 400),
        ("POST", "/rollback", {"version": "zzz"}, 422),
        ("POST", "/check", {"path": "../settings.yaml"}, 400),
        ("POST", "/check", {"path": "/etc/passwd"}, 400),
        ("POST", "/check", {"path": "a/../../b"}, 400),
        ("POST", "/check", {"path": 7}, 400),
        ("POST", "/check", {"files": {}}, 400),
        ("POST", "/check", {"files": {"../a.yaml": ""}}, 400),
        ("POST", "/check", {"files": {"a.yaml": 7}}, 400),
        ("POST", "/check", {"files": {f"{n}.yaml": "" for n in range(201)}}, 400),
        ("POST", "/check", {"files": {"a.yaml": ""}, "path": "a.yaml"}, 400),
        ("POST", "/check", {"files": {"a.yaml": "x", "a.yaml/b.yaml": "y"}}, 400),
        ("POST", "/check", {"files": {"a.yaml/b.yaml": "y", "a.yaml": "x"}}, 400),
        ("POST", "/check", {"files": {"a.yaml": "\ud800"}}, 400),
        ("POST", "/check", {"files": {"\ud800": "x"}}, 400),
        ("POST", "/check", {"path": "customers.csv"}, 400),
        ("POST", "/rollback", {"version": "\ud800"}, 400),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_sentence(api, method, path, body, status):
    (api.folder / "plans" / "customers.csv").write_text("a")
    found, data = await api.ask(method, path, body)
    assert (found, bool(data["error"])) == (status, True)


async def test_a_check_changes_nothing(api):
    before = api.taker.version
    text = PLAN.format(name="new")
    status, good = await api.ask("POST", "/check", {"files": {"a.yaml": text}})
    assert (status, good["ok"], good["routes"], good["problems"]) == (200, True, 1, [])
    _, bad = await api.ask("POST", "/check", {"files": {"a.yaml": text + "nonsense: 1\n", "sub/b.yaml": ""}})
    assert (bad["ok"], [(one["file"], one["line"]) for one in bad["problems"]]) == (False, [("a.yaml", 7)])
    assert bad["problems"][0]["text"].startswith("a.yaml:7:1: nonsense")
    _, there = await api.ask("POST", "/check")
    assert (there["ok"], there["version"]) == (True, before)
    _, one = await api.ask("POST", "/check", {"path": "plan.yaml"})
    assert one["ok"]
    assert api.taker.version == before


async def test_a_check_reads_no_file_that_is_not_the_plans(api):
    text = (
        "version: 1\nroutes: []\noutbound: {{allow: ['+49'], target: 'sip:{{number}}@t', caller_id: '+4930', "
    )
    text += "do_not_call: {path}, do: [{{hang_up: {{}}}}]}}\n"
    for path in (api.folder / "settings.yaml", "/dev/zero", "/proc/self/environ"):
        _, bad = await api.ask("POST", "/check", {"files": {"a.yaml": text.format(path=path)}})
        assert "not in the plan's folder" in str(bad["problems"])
        assert "state_dir" not in str(bad["problems"])


async def test_files_that_are_checked_find_the_sounds_beside_the_dialplan(api):
    _, bad = await api.ask("POST", "/check", {"files": {"a.yaml": SOUND}})
    assert "sounds/a.wav" in str(bad["problems"])
    (api.folder / "plans" / "sounds").mkdir()
    with wave.open(str(api.folder / "plans" / "sounds" / "a.wav"), "wb") as made:
        made.setparams((1, 2, 8000, 0, "NONE", ""))
        made.writeframes(b"\0\0" * 80)
    _, good = await api.ask("POST", "/check", {"files": {"a.yaml": SOUND}})
    assert good["ok"], good


async def test_a_watched_file_that_changes_is_in_force_soon(tmp_path):
    async with running(tmp_path, "watch_dialplans: true\n") as api:
        first = api.taker.version
        api.write("second")
        await until(lambda: api.taker.version != first)
        _, data = await api.ask("GET")
        assert (data["how"], data["watched"]) == ("file watch", True)
