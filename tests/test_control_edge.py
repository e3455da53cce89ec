"""The keeper against a stand-in for Kamailio's socket: what it writes, what it asks."""

import asyncio
import json
import os
import socket
from contextlib import asynccontextmanager
from types import SimpleNamespace

from bridge.control_edge import EdgeKeeper, open_edge, targets_of
from bridge.dialplan.plan import HangUpStep, Plan, Route
from bridge.edge.folder import EdgeFolder
from bridge.edge.prepare import write_first
from bridge.edge.rpc import FIFO
from bridge.edge.target import Target
from bridge.link.messages import Hello
from bridge.settings import load
from bridge.trunk import Digest, Registration, Trunk

ONE = "sip:127.0.0.1:15060"
GUARD_S = 10.0


def settings(folder, text="edge: {enabled: true}\n"):
    (folder / "bridge.yaml").write_text(f"state_dir: state\n{text}")
    return load(folder / "bridge.yaml", {})


def plan(*trunks):
    return Plan((Route("all", (), (HangUpStep(486, "busy"),)),), (), trunks=trunks)


class Kamailio:
    """Knows its dispatcher list from the file, obeys set_state, and remembers what it was asked."""

    def __init__(self, folder):
        self.folder = folder
        self.asked = []
        self.states = {}
        self.tables = {"count": {"full": 3}}
        self.read()

    def read(self):
        self.states = {}
        for line in (self.folder / "dispatcher.list").read_text().splitlines()[1:]:
            number, uri, flags, *_ = line.split()
            self.states[int(number), uri] = "AX" if flags == "0" else "IX"

    def answer(self, asked):
        method, params = asked["method"], asked["params"]
        if method == "dispatcher.list":
            records = [
                {"SET": {"ID": number, "TARGETS": [{"DEST": {"URI": uri, "FLAGS": flags}}]}}
                for (number, uri), flags in self.states.items()
            ]
            return {"result": {"RECORDS": records}}
        if method == "htable.dump":
            slots = [{"name": name, "value": value} for name, value in self.tables.get(params[0], {}).items()]
            return {"result": [{"entry": 1, "slot": slots}]}
        self.asked.append((method, *params))
        if method == "dispatcher.set_state":
            self.states[params[1], params[2]] = {"ap": "AP", "i": "IX"}[params[0]]
        if method == "dispatcher.reload":
            self.read()
        return {"result": "ok"}

    def active(self):
        return {uri for (_, uri), flags in self.states.items() if flags[0] == "A"}


@asynccontextmanager
async def kept(folder, chosen, trunks=(), environ=None):
    """The keeper beside the stand-in; `targets` is a list to change."""
    place = EdgeFolder(chosen, folder / "edge")
    place.make()
    write_first(chosen, place)
    kamailio = Kamailio(place.path)

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            transport.sendto(json.dumps(kamailio.answer(json.loads(data))).encode(), addr)

    def long_answers():
        for line in os.read(fifo, 65536).splitlines():
            asked = json.loads(line)
            (place.path / asked["reply_name"]).write_text(json.dumps(kamailio.answer(asked)))

    os.mkfifo(place.path / FIFO, 0o600)
    fifo = os.open(place.path / FIFO, os.O_RDWR | os.O_NONBLOCK)
    asyncio.get_running_loop().add_reader(fifo, long_answers)
    plans, targets = [plan(*trunks)], []
    keeper = EdgeKeeper(chosen, lambda: plans[-1], environ or {}, lambda: targets, place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(place.path / "kamailio.sock"))
        ours.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Protocol, sock=ours)
        running = asyncio.create_task(keeper.run())
        try:
            yield SimpleNamespace(
                keeper=keeper, kamailio=kamailio, plans=plans, targets=targets, path=place.path
            )
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            transport.close()
            asyncio.get_running_loop().remove_reader(fifo)
            os.close(fifo)


async def until(condition):
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110  # files
            await asyncio.sleep(0.01)


async def test_a_worker_on_the_link_gets_calls_and_the_file_says_so_too(tmp_path):
    async with kept(tmp_path, settings(tmp_path)) as edge:
        edge.targets.append(Target(ONE, boot="x"))
        edge.keeper.poke()
        await until(lambda: edge.kamailio.active() == {f"{ONE};g=0"})
        assert f"1 {ONE};g=0 0 0 " in (edge.path / "dispatcher.list").read_text()
        edge.targets[:] = [Target(ONE, boot="x", state="draining")]
        edge.keeper.poke()
        await until(lambda: edge.kamailio.active() == set())
        assert ("dispatcher.reload",) not in edge.kamailio.asked, "a reload would forget the calls"


async def test_trunks_passwords_and_tokens_reach_kamailio_as_hashes_in_files(tmp_path):
    trunks = (
        Trunk("carrier", addresses=("198.51.100.0/24",), codecs=("PCMA", "G722")),
        Trunk("pbx", login=Digest("alice", "", "PBX")),
        Trunk("desk", register=Registration("192.0.2.9", "1001"), digest=Digest("1001", "", "DESK")),
        Trunk("six", register=Registration("[fd00::9]:5070", "1002"), proxy="[fd00::8]"),
    )
    environ = {"PBX": "s3cret", "DESK": "0ther"}
    async with kept(tmp_path, settings(tmp_path), trunks, environ) as edge:
        await until(lambda: ("htable.reload", "lines") in edge.kamailio.asked)
        addresses = (edge.path / "address.list").read_text()
        assert "1 198.51.100.0 24 0 carrier" in addresses
        assert "1 192.0.2.9 32 0 desk" in addresses, "the registrar's calls are the trunk's"
        assert "1 fd00::8 128 0 six\n1 fd00::9 128 0 six" in addresses
        files = {
            name: (edge.path / "tables" / name).read_text() for name in ("users", "logins", "lines", "wide")
        }
        assert "alice:0:0:" in files["users"]
        assert "alice:0:0:pbx:0" in files["logins"]
        assert ":0:0:desk:0" in files["lines"]
        assert "carrier:0:0:1:0" in files["wide"]
        assert not [text for text in files.values() if "s3cret" in text or "0ther" in text]
        assert ("permissions.addressReload",) in edge.kamailio.asked
        asked = len(edge.kamailio.asked)
        edge.plans.append(plan())
        edge.keeper.poke()
        await until(lambda: "alice" not in (edge.path / "tables" / "users").read_text())
        await until(lambda: ("htable.reload", "users") in edge.kamailio.asked[asked:])


async def test_what_kamailio_was_not_there_to_hear_it_is_told_later(tmp_path):
    chosen = settings(tmp_path)
    place = EdgeFolder(chosen, tmp_path / "edge")
    place.make()
    write_first(chosen, place)
    keeper = EdgeKeeper(chosen, lambda: plan(Trunk("t", addresses=("10.0.0.0/8",))), {}, list, place)
    running = asyncio.create_task(keeper.run())
    await until(lambda: "10.0.0.0 8 0 t" in (place.path / "address.list").read_text())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "address" in keeper._reloads


async def test_metrics_say_what_is_carried_and_refused(tmp_path):
    async with kept(tmp_path, settings(tmp_path)) as edge:
        edge.targets.append(Target(ONE, boot="x"))
        edge.keeper.poke()
        await until(lambda: edge.keeper._counts == {"full": 3})
        values = {
            one.name: dict(one.samples[0][0]) | {"": one.samples[0][1]} for one in edge.keeper.metrics()
        }
        assert values["sipbridge_edge_up"][""] == 1.0
        assert values["sipbridge_edge_workers"][""] == 1.0
        events = edge.keeper.metrics()[-1]
        assert ({"what": "full"}, 3.0) in events.samples


async def test_callers_of_a_lost_worker_are_hung_up_and_nobody_elses(tmp_path):
    async with kept(tmp_path, settings(tmp_path)) as edge:
        edge.kamailio.tables["legs"] = {
            "one@x": "127.0.0.1:15060;g=0 from1 to1",
            "out@x": "127.0.0.1:15060;g=o from2 to2",
            "new@x": "127.0.0.1:15060;g=1 from3 to3",
            "other@x": "127.0.0.1:15061;g=0 from4 to4",
        }
        await edge.keeper._hang_up([(ONE, 0)])
        ended = [asked[1:] for asked in edge.kamailio.asked if asked[0] == "dlg.terminate_dlg"]
        assert ended == [("one@x", "from1", "to1"), ("out@x", "from2", "to2")]
        assert ("htable.delete", "legs", "one@x") in edge.kamailio.asked


def test_targets_are_what_the_links_say(tmp_path):
    hello = Hello(3, "boot", 1, 15063, "v", 0, "wide", False)
    peer = SimpleNamespace(hello=hello, status={"draining": True})
    assert targets_of([peer], settings(tmp_path), "a") == [
        Target("sip:127.0.0.1:15063", "wide", "draining", 4, "a", 3, "boot")
    ]


async def test_without_an_edge_there_is_nothing_to_keep(tmp_path):
    nothing = open_edge(settings(tmp_path, ""), lambda: None, {}, None)
    nothing.poke()
    await nothing.run()
