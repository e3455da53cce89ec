import asyncio
import os
import signal
import subprocess
import sys

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import LinkError
from bridge.link.client import LinkClient, new_boot
from bridge.link.outbox import Outbox
from bridge.link.spool import dead_spools, spool_path
from tests.fakes.link import GUARD_S, MemoryStore, Worker, client, server, until


async def test_events_arrive_in_order_and_the_spool_is_empty_afterwards(tmp_path):
    store = MemoryStore()
    async with server(tmp_path, store), client(tmp_path) as link:
        for number in range(600):
            link.emit("call-1", "dtmf", {"digit": number})
        assert await link.delivered(GUARD_S)
    assert store.seqs("b1") == list(range(1, 601))
    assert [event.data["digit"] for event in store.kept["b1"]] == list(range(600))
    assert spool_path(tmp_path / "spool", 0, "b1").stat().st_size == 0
    assert store.doubles == 0


async def test_events_said_while_control_is_away_wait_on_disk_and_arrive_later(tmp_path):
    store = MemoryStore()
    async with client(tmp_path) as link:
        link.emit("call-1", "call.started", {})
        assert not link.connected
        assert not await link.delivered(0.01)
        async with server(tmp_path, store):
            assert await link.delivered(GUARD_S)
        await until(lambda: not link.connected)
        link.emit("call-1", "call.ended", {})
        async with server(tmp_path, store):
            assert await link.delivered(GUARD_S)
    assert [event.type for event in store.kept["b1"]] == ["call.started", "call.ended"]


async def test_a_store_that_fails_for_a_while_loses_nothing(tmp_path):
    store = MemoryStore()
    store.failures = 3
    async with server(tmp_path, store) as link_server, client(tmp_path) as link:
        for _ in range(10):
            link.emit("call-1", "dtmf", {})
        assert await link.delivered(GUARD_S)
        assert link_server.counters.store_retries == 3
    assert store.seqs("b1") == list(range(1, 11))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(0, 3))
async def test_however_often_control_dies_nothing_is_lost_or_doubled(tmp_path, bursts, failures):
    store, boot = MemoryStore(), new_boot()
    store.failures = failures
    async with client(tmp_path, boot=boot) as link:
        for burst in bursts:
            async with server(tmp_path, store) as link_server:
                for _ in range(burst):
                    link.emit("call-1", "dtmf", {})
                await until(lambda: link.connected)
                for peer in link_server.peers():
                    peer.connection.transport.abort()
        async with server(tmp_path, store):
            assert await link.delivered(GUARD_S)
    assert store.seqs(boot) == list(range(1, sum(bursts) + 1))


async def test_a_request_gets_its_answer_and_a_refusal_its_reason(tmp_path):
    async with server(tmp_path, MemoryStore()), client(tmp_path) as link:
        await until(lambda: link.connected)
        answers = await asyncio.gather(*(link.request("echo", {"n": n}, GUARD_S) for n in range(20)))
        assert [answer["n"] for answer in answers] == list(range(20))
        with pytest.raises(LinkError, match="no such request 'dance'"):
            await link.request("dance", {}, GUARD_S)
        with pytest.raises(LinkError, match="did not answer 'never' within"):
            await link.request("never", {}, 0.02)


async def test_a_refusal_says_whether_asking_again_is_of_use_and_the_log_names_the_call(tmp_path):
    async with server(tmp_path, MemoryStore()), client(tmp_path) as link:
        await until(lambda: link.connected)
        with structlog.testing.capture_logs() as logs:
            for kind, fatal in (("refused", True), ("dance", False)):
                with pytest.raises(LinkError) as caught:
                    await link.request(kind, {"call_id": "c1"}, GUARD_S)
                assert caught.value.fatal is fatal
    assert [entry["call_id"] for entry in logs if entry["event"] == "request.failed"] == ["c1", "c1"]


async def test_whether_control_is_there_can_be_waited_for(tmp_path):
    async with client(tmp_path) as link:
        assert not await link.there(0.01)
        async with server(tmp_path, MemoryStore()):
            assert await link.there(GUARD_S)
        await until(lambda: not link.connected)
        assert not await link.there(0.01)


async def test_without_control_a_request_fails_at_once(tmp_path):
    async with client(tmp_path) as link:
        with pytest.raises(LinkError, match="control is away") as caught:
            await link.request("echo", {}, GUARD_S)
        assert not caught.value.unsure


async def test_control_that_dies_before_it_answered_fails_the_request(tmp_path):
    async with client(tmp_path) as link:
        async with server(tmp_path, MemoryStore()) as link_server:
            await until(lambda: link.connected)
            asking = asyncio.ensure_future(link.request("never", {}, GUARD_S))
            await until(lambda: link_server.counters.requests == 1)
        with pytest.raises(LinkError, match="control went away") as caught:
            await asking
        assert caught.value.unsure


async def test_a_request_that_finds_a_bug_of_control_is_refused_and_the_link_stays(tmp_path):
    async with server(tmp_path, MemoryStore()), client(tmp_path) as link:
        await until(lambda: link.connected)
        with pytest.raises(LinkError, match="internal error"):
            await link.request("crash", {}, GUARD_S)
        assert await link.request("echo", {"a": 1}, GUARD_S) == {"a": 1}


async def test_plan_drain_and_hang_up_reach_the_worker(tmp_path):
    worker = Worker()
    async with server(tmp_path, MemoryStore()) as link_server:
        link_server.push_plan("first")
        async with client(tmp_path, worker):
            await until(lambda: worker.plans == ["first"])
            link_server.push_plan("second")
            link_server.drain()
            assert link_server.hang_up(0, "call-1", "an admin said so")
            assert not link_server.hang_up(7, "call-1", "nobody there")
            await until(lambda: worker.hang_ups)
    assert (worker.plans, worker.drains) == (["first", "second"], 1)
    assert worker.hang_ups == [("call-1", "an admin said so")]


async def test_a_message_of_a_newer_control_is_counted_and_survived(tmp_path):
    async with server(tmp_path, MemoryStore()) as link_server, client(tmp_path) as link:
        await until(link_server.peers)
        await link_server.peers()[0].connection.send('{"message":"dance"}')
        await until(lambda: link.counters.bad_messages == 1)
        assert (await link.request("echo", {"still": "here"}, GUARD_S)) == {"still": "here"}


async def test_a_spool_that_somebody_cut_loses_its_events_and_not_the_ones_after(tmp_path):
    store = MemoryStore()
    async with client(tmp_path) as link:
        link.emit("call-1", "call.started", {})
        os.truncate(spool_path(tmp_path / "spool", 0, "b1"), 0)
        async with server(tmp_path, store):
            await until(lambda: link.refused == 1)
            link.emit("call-1", "call.ended", {})
            assert await link.delivered(GUARD_S)
    assert [event.type for event in store.kept["b1"]] == ["call.ended"]


async def test_a_closed_spool_counts_lost_events_instead_of_raising(tmp_path):
    link = LinkClient(tmp_path / "s", 0, tmp_path, Worker().handlers(), boot="b1")
    link.close()
    link.emit("call-1", "dtmf", {})
    assert link.refused == 1


async def test_a_full_spool_is_told_once_an_outage(tmp_path):
    async with client(tmp_path) as link:
        link._outbox = Outbox(max_bytes=300)
        for outage in (1, 2):
            with structlog.testing.capture_logs() as logs:
                for _ in range(20):
                    link.emit("call-1", "dtmf", {})
            told = [entry for entry in logs if entry["event"] == "event.lost"]
            assert [(entry["reason"], entry["call_id"]) for entry in told] == [
                ("the spool is full", "call-1")
            ]
            assert link.refused >= 15 * outage
            async with server(tmp_path, MemoryStore()):
                assert await link.delivered(GUARD_S)
            await until(lambda: not link.connected)


VICTIM = """
import asyncio, pathlib, sys
from bridge.records.log import configure
from tests.fakes.link import client
configure()
async def main():
    async with client(pathlib.Path(sys.argv[1]), boot="victim") as link:
        print("ready", flush=True)
        for number in range(int(sys.argv[2])):
            link.emit("call-1", "dtmf", {"n": number})
            if number % 7 == 0:
                await asyncio.sleep(0)
        print("emitted", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("with_control", [True, False])
async def test_after_sigkill_store_and_spool_together_hold_every_event_once(tmp_path, with_control):
    """The promise of the link: killed at any moment, what was said before is on disk or in the store."""
    store = MemoryStore()
    async with server(tmp_path, store) if with_control else asyncio.timeout(None):
        arguments = [sys.executable, "-c", VICTIM, str(tmp_path), "400"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as victim:  # noqa: ASYNC220  # a short start
            assert await asyncio.to_thread(victim.stdout.readline) == b"ready\n"
            if with_control:
                await store.until(150, "victim")
            else:
                assert await asyncio.to_thread(victim.stdout.readline) == b"emitted\n"
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
    with next(dead_spools(tmp_path / "spool")) as dead:
        rest = dead.events()
    if rest:
        await store.store(0, rest)
    seqs = store.seqs("victim")
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= (150 if with_control else 400)
