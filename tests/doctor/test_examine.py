"""Real installations in temporary folders, each broken in one way on purpose; and one that is whole.

Every question goes to this machine only (`offline`). What a running bridge shows: tests/system/test_doctor.py.
"""

import asyncio
import json
import os
import pwd
import resource
import socket
import sqlite3
import time
from contextlib import asynccontextmanager, suppress

import pytest

from bridge.approval.signing import Signer
from bridge.doctor.examine import Wishes, examine
from bridge.doctor.finding import Level, worst
from bridge.store.store import Store
from bridge.supervisor import lock
from tests.fakes.events import conversation
from tests.fakes.ports import free_block, free_port

PLAN = "version: 1\nroutes:\n  - name: all\n    do:\n      - hang_up: {}\n"


class Installation:
    """A whole one: settings, plan, keys, database, recordings."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "var"
        self.environ = {"PATH": os.environ["PATH"]}
        self.sip, self.console = free_port(), free_port()
        self.text = ""

    async def build(self):
        (self.folder / "plan.yaml").write_text(PLAN)
        (self.folder / "tools").mkdir()
        (self.state / "recordings").mkdir(parents=True)
        self.state.chmod(0o700)
        Signer(self.state / "keys")
        (self.state / "keys").chmod(0o700)
        async with Store(f"sqlite:///{self.state}/sipbridge.db") as store:
            await store.write(0, conversation())
        (self.state / "sipbridge.db").chmod(0o600)
        return self

    async def examine(self, *, sip="", **wishes):
        path = self.folder / "bridge.yaml"
        path.write_text(
            f"dialplans: plan.yaml\ntools: tools\nstate_dir: var\nsip: {{port: {self.sip}{sip}}}\n"
            f"console: {{port: {self.console}}}\n{self.text}"
        )
        return await examine(path, self.environ, Wishes(**{"offline": True, **wishes}))

    async def fails(self, section, words, level=Level.FAIL, **more):
        """Whether just this is found, with something to do about it."""
        found = await self.examine(**more)
        mine = [one for one in found if one.section == section and one.level is level and words in one.text]
        assert mine, [one.to_json() for one in found if one.level >= Level.WARN]
        assert all(one.do for one in mine)
        return found


@pytest.fixture
async def here(tmp_path):
    return await Installation(tmp_path).build()


async def test_a_whole_installation_has_nothing_to_mend(here):
    found = await here.examine()
    assert [one.to_json() for one in found if one.level is Level.FAIL] == []
    machine = {"clock", "kernel", "disk"}  # of whoever runs the tests
    mine = [one for one in found if one.level is Level.WARN and one.section not in machine]
    assert {one.text for one in mine} <= {"started now, the bridge would run as root"}
    assert {one.section for one in found} >= {
        "settings",
        "dialplan",
        "store",
        "ports",
        "addresses",
        "versions",
    }


async def test_1_a_mistake_in_the_settings(here):
    here.text = "workerz: 2\n"
    found = await here.fails("settings", "workerz")
    assert {one.section for one in found} >= {"settings", "versions", "clock"}


async def test_2_a_secret_that_is_nowhere(here):
    here.text = "providers: {live: {kind: azure, url: 'ws://127.0.0.1:1/x', model: m, api_key_env: MY_KEY}}\n"
    await here.fails("settings", "MY_KEY is not set, neither is MY_KEY_FILE")


async def test_3_a_secret_that_everybody_can_read(here):
    (here.folder / "key").write_text("hush")
    (here.folder / "key").chmod(0o644)
    here.environ["MY_KEY_FILE"] = str(here.folder / "key")
    here.text = "providers: {live: {kind: compatible, url: 'ws://127.0.0.1:1/x', api_key_env: MY_KEY}}\n"
    found = await here.fails("settings", "can be read by every account", Level.WARN)
    assert "hush" not in str(found)


async def test_4_a_dialplan_that_cannot_be_used(here):
    (here.folder / "plan.yaml").write_text(PLAN.replace("hang_up", "hang_upp"))
    await here.fails("dialplan", "plan.yaml:5")


async def test_5_the_sip_port_is_taken(here):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", here.sip))
        await here.fails("ports", f"127.0.0.1:{here.sip}/udp is taken by")


async def test_6_the_console_port_is_taken(here):
    with socket.socket() as other:
        other.bind(("127.0.0.1", here.console))
        other.listen()
        await here.fails("ports", f"127.0.0.1:{here.console}/tcp is taken by")


async def test_7_another_program_sits_in_the_rtp_range(here):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        port = free_block(42)
        other.bind(("127.0.0.1", port + 20))
        await here.fails("ports", f"{port + 20} (", Level.WARN, sip=f", rtp_ports: {port}-{port + 41}")


async def test_8_an_address_of_another_machine(here):
    found = await here.fails(
        "addresses", "10.213.7.9 is not an address of this machine", sip=", bind: 10.213.7.9"
    )
    assert any(one.section == "ports" and "cannot be bound" in one.text for one in found)


async def test_9_a_carrier_that_cannot_reach_the_loopback(here):
    trunk = "trunks:\n  carrier: {host: 10.1.2.3, addresses: [10.1.2.3]}\n"
    (here.folder / "plan.yaml").write_text(PLAN + trunk)
    await here.fails("addresses", "we say 127.0.0.1 in SDP and Contact, but trunk carrier is at 10.1.2.3")


async def test_another_program_sits_in_the_ports_of_browsers(here):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        port = free_block(41)
        other.bind(("127.0.0.1", port))
        here.environ["SIPBRIDGE_CONSOLE__AUDIO__PORTS"] = f"{port}-{port + 40}"
        here.environ["SIPBRIDGE_SIP__RTP_PORTS"] = "2000-2099"
        await here.fails("audio", f"{port} (", Level.WARN)


async def test_a_console_that_people_reach_without_https(here):
    here.environ["SIPBRIDGE_CONSOLE__URL"] = "http://bridge.example"
    await here.fails("audio", "no microphone to http://bridge.example", Level.WARN)


async def test_10_a_key_that_everybody_can_read(here):
    (here.state / "keys" / "audit.key").chmod(0o644)
    await here.fails("files", "audit.key) can be read by others (0644)")


async def test_11_a_state_folder_that_is_open(here):
    here.state.chmod(0o755)
    await here.fails("files", "is open to every account", Level.WARN)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_12_a_file_that_belongs_to_another_account(here):
    os.chown(here.state / "sipbridge.db", 54321, 54321)
    await here.fails("files", "belongs to account 54321")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_folders_that_serve_gave_to_the_workers_account_are_right(here):
    nobody = pwd.getpwnam("nobody").pw_uid
    (here.state / "spool").mkdir()
    os.chown(here.state / "spool", nobody, -1)
    os.chown(here.state / "recordings", nobody, -1)
    here.text += "pool: {user: nobody}\n"
    mine = [one for one in await here.examine() if one.section == "files"]
    assert [(one.level, one.text) for one in mine] == [
        (Level.NOTE, "the bridge is root's, its workers are account nobody (pool.user)")
    ]


def sql(here, order):
    with sqlite3.connect(here.state / "sipbridge.db") as connection:
        connection.execute(order)


async def test_13_a_database_of_a_newer_program(here):
    sql(here, "UPDATE alembic_version SET version_num = '9999'")
    sql(here, "DELETE FROM schema_state")
    await here.fails("store", "the database is at revision 9999")


async def test_14_a_file_that_is_no_database(here):
    (here.state / "sipbridge.db").write_bytes(b"certainly no database" * 300)
    await here.fails("store", "not a database")


async def test_15_a_disk_that_cannot_be_written(here):
    here.text = "recording: {folder: /proc/recordings}\n"
    await here.fails("disk", "recordings (/proc/recordings) cannot be written")


async def test_16_a_provider_where_nobody_listens(here):
    here.text = f"providers: {{lab: {{kind: compatible, url: 'ws://127.0.0.1:{free_port()}/x'}}}}\n"
    await here.fails("providers", "no connection")


@asynccontextmanager
async def server(answer):
    """An HTTP server that says just this."""

    async def serve(reader, writer):
        with suppress(
            asyncio.IncompleteReadError
        ):  # the first connection only looks whether somebody listens
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def test_17_a_provider_that_refuses_the_key(here):
    async with server(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n") as port:
        here.environ["OPENAI_API_KEY"] = "sk-hush"
        here.text = f"providers: {{live: {{kind: openai, url: 'ws://127.0.0.1:{port}/v1/realtime'}}}}\n"
        found = await here.fails("providers", "refuses the key (401)")
    assert "hush" not in str(found)


async def test_18_a_clock_that_is_an_hour_off_a_provider_s(here):
    then = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 3600)).encode()
    answer = b"HTTP/1.1 200 OK\r\nDate: " + then + b"\r\nContent-Length: 2\r\n\r\n{}"
    async with server(answer) as port:
        here.environ["OPENAI_API_KEY"] = "sk-hush"
        here.text = f"providers: {{live: {{kind: openai, url: 'ws://127.0.0.1:{port}/v1/realtime'}}}}\n"
        await here.fails("clock", "s off a provider's")


async def test_19_an_mcp_server_whose_program_is_not_there(here):
    here.text = "mcp: {git: {command: [no-such-program]}}\n"
    await here.fails("mcp", "the program no-such-program is not found")


async def test_20_an_mcp_server_of_which_nobody_accepted_anything(here):
    here.text = "mcp: {git: {command: [sh]}}\n"
    await here.fails("mcp", "none of its tools was accepted", Level.WARN)


async def test_21_a_lock_file_of_mcp_that_is_broken(here):
    here.text = "mcp: {git: {command: [sh]}}\n"
    (here.folder / "tools" / "mcp.lock.json").write_text("{")
    await here.fails("mcp", "cannot be read")


async def test_22_calls_from_the_future(here):
    sql(here, f"UPDATE calls SET started_at = {time.time() + 7200}")
    await here.fails("clock", "the clock was set back")


async def test_23_a_supervisor_without_control(here):
    held = lock(str(here.state))
    try:
        found = await here.fails("processes", "control does not answer")
        assert any("nobody listens" in one.text for one in found)
    finally:
        os.close(held)


async def test_24_too_few_open_files(here):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    here.text = "workers: 40\n"
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        await here.fails(
            "kernel", "1024 open files are allowed, 160 calls need", sip=", rtp_ports: 2000-3999"
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_25_a_plan_that_somebody_rolled_back_is_worth_a_note(here):
    (here.state / "run").mkdir()
    (here.state / "run" / "in-force.json").write_text(json.dumps({"rolled_back": True}))
    found = await here.examine()
    assert any("somebody rolled back" in one.text for one in found)
    assert worst(one for one in found if one.section == "dialplan") is Level.NOTE
