import asyncio
import json
import os

import pytest

from bridge.doctor import gather_parts
from bridge.settings_console import Oidc
from bridge.settings_model import Provider
from bridge.settings_tools import McpServer
from bridge.store.look import Look
from bridge.supervisor import lock
from tests.fakes import oidc


def test_who_holds_the_lock_of_a_state_folder_runs(tmp_path):
    assert gather_parts.supervisor(tmp_path) is None
    held = lock(str(tmp_path))
    assert gather_parts.supervisor(tmp_path) == os.getpid()
    os.close(held)
    assert gather_parts.supervisor(tmp_path) is None


async def test_nothing_runs_and_nobody_is_asked(tmp_path):
    facts = await gather_parts.processes(tmp_path, 3)
    assert (facts.pid, facts.health, facts.workers) == (None, None, 3)


def test_ports_are_read_from_what_the_workers_were_told(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "worker-0.json").write_text(json.dumps({"sip": {"bind": "127.0.0.1", "port": 5070}}))
    (run / "worker-0-wide.json").write_text(json.dumps({"sip": {"bind": "127.0.0.1", "port": 5070}}))
    (run / "worker-1.json").write_text("{")
    assert gather_parts.sip_ports(tmp_path) == [("127.0.0.1", 5070)]
    for index in (10, 2):
        (run / f"worker-{index}.json").write_text(
            json.dumps({"sip": {"bind": "127.0.0.1", "port": 5070 + index}})
        )
    assert [port for _, port in gather_parts.sip_ports(tmp_path)] == [
        5070,
        5072,
        5080,
    ]  # by slot, not by spelling
    assert gather_parts.console_port(tmp_path, 8080) == 8080
    programs = [{"environ": {}}, {"environ": {"SIPBRIDGE_CONSOLE__PORT": "8099"}}]
    (run / "serve.json").write_text(json.dumps({"programs": programs}))
    assert gather_parts.console_port(tmp_path, 8080) == 8099


def test_versions_of_what_is_installed_are_known():
    found = gather_parts.versions()
    assert found["pjproject"] == "2.15.1"
    assert found["openssl-of-pjproject"] == "1.0.2k"
    assert found["python"].startswith("3.1")
    assert found["kamailio"] is None or found["kamailio"][0].isdigit()


def test_what_was_seen_of_the_store_is_taken_over():
    facts = gather_parts.store(
        Look("sqlite:///x", "0008", ("0008",), revision="0008", latency_ms=2.0, open_calls=1)
    )
    assert (facts.url, facts.revision, facts.latency_ms, facts.open_calls) == ("sqlite:///x", "0008", 2.0, 1)


async def test_a_provider_that_speaks_no_tls_is_told_as_such():
    async def deaf(_reader, writer):
        writer.write(b"220 hello\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(gather_parts.ReachError) as failed:
            await gather_parts.reach("127.0.0.1", port, tls=True)
        assert failed.value.stage == "tls"
        assert await gather_parts.reach("127.0.0.1", port, tls=False) is None


async def test_offline_nobody_far_away_is_asked():
    named = {
        "live": Provider(kind="openai", url="wss://api.example.com/v1/realtime"),
        "local": Provider(kind="local"),
    }
    facts, offset = await gather_parts.providers(named, {}, offline=True)
    assert ([one.stage for one in facts], offset) == (["skipped", "embedded"], None)
    server = McpServer(url="https://mcp.example.com/mcp")
    (found,) = await gather_parts.mcp({"web": server}, {"web": 2}, offline=True)
    assert (found.error, found.accepted, found.where) == ("", 2, "mcp.example.com:443")


def test_accepted_definitions_are_counted_by_server():
    assert gather_parts.accepted([("a", "x"), ("a", "y"), ("b", "x")]) == {"a": 2, "b": 1}


async def test_nodes_are_read_from_a_shared_store_only(cluster):
    from bridge.store.nodestore import Card, NodeStore
    from bridge.store.store import Store

    url = cluster.fresh()
    async with Store(url) as store:
        await NodeStore(store).join(Card("a", "i", "10.0.0.1", "0.1.0", "print"), 10.0)
    (facts,) = await gather_parts.nodes(url)
    assert (facts.name, facts.state, facts.version, facts.problems) == ("a", "live", "0.1.0", ())
    assert await gather_parts.nodes("sqlite:////nowhere/x.db") == []


async def test_the_provider_that_signs_people_in_is_asked_what_it_says_of_itself():
    async with oidc.running() as there:
        settings = Oidc(issuer=there.issuer, client_id="x", roles={"staff": ["viewer"]})
        assert await gather_parts.oidc(settings) == ""
        there.lie = "other issuer"
        assert "calls itself" in await gather_parts.oidc(settings)
    assert "GET" in await gather_parts.oidc(settings)
