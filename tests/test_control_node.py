"""Controls on one PostgreSQL, as they run: what each does for the others."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.errors import StoreAwayError, ToolError
from bridge.link.client import LinkClient
from bridge.store.commandstore import CommandStore
from bridge.store.store import Store
from tests.fakes.link import FAST, Worker
from tests.fakes.nodes import Node, eventually, node, settings


def states(running):
    return {row.name: row.state for row in running.desk.rows()}


async def test_nodes_see_each_other_and_their_workers(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url) as a, node(tmp_path, "b", url) as b:
        await eventually(lambda: states(a) == states(b) == {"a": "live", "b": "live"})
        async with b.worker(0, "boot-b"):
            await eventually(lambda: [target["boot"] for target in a.desk.targets()] == ["boot-b"])
            (target,) = a.desk.targets()
            assert (target["node"], target["pool"], target["state"]) == ("b", "narrow", "active")
            assert a.control.nodes.boots() == {"boot-b"}
        await eventually(lambda: a.desk.targets() == [])


async def test_what_only_one_does_is_done_by_one_and_taken_over_at_once_when_it_leaves(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "b", url) as b:
        async with node(tmp_path, "a", url) as a, a.worker(0, "a0"), b.worker(0, "b0"):
            await eventually(lambda: a.desk.holds("retention") or b.desk.holds("retention"))
            for _ in range(20):
                assert [a.desk.holds("retention"), b.desk.holds("retention")].count(True) <= 1
                await asyncio.sleep(0.02)
        await eventually(lambda: states(b)["a"] == "left")
        async with b.worker(0, "b1"):
            await eventually(lambda: b.desk.holds("retention") and b.desk.holds("registrations"), 1.5)


async def test_one_worker_of_one_node_registers(cluster, tmp_path):
    url = cluster.fresh()
    async with (
        node(tmp_path, "a", url) as a,
        node(tmp_path, "b", url) as b,
        a.worker(1, "a1"),
        b.worker(0, "b0"),
    ):
        chosen = await eventually(lambda: [one for one in (a, b) if one.control.nodes._registrar is not None])
        assert len(chosen) == 1


async def record_of(url, call_id):
    async with Store(url, migrate=False) as reader:
        found = await reader.find(call_id)
        return found[0] if found else None


def say(link, *types, call_id="call-1", **data):
    for kind in types:
        link.emit(call_id, kind, data)


def vanish(running):
    """The control stops beating, as if its machine were gone; nothing is taken back."""
    running.control.nodes.desk._store = Away()


class Away:
    def __getattr__(self, _name):
        async def away(*_args, **_more):
            raise StoreAwayError("cut off")

        return away


async def test_the_calls_of_a_lost_node_end_in_the_record_with_the_reason(cluster, tmp_path):
    url = cluster.fresh()
    async with (
        node(tmp_path, "a", url) as a,
        node(tmp_path, "b", url) as b,
        b.worker(0, "b0"),
        a.worker(0, "a0") as link,
    ):
        say(link, "call.started", "call.answered")
        assert await link.delivered(5)
        vanish(a)
        record = await eventually(lambda: ended(url, "call-1"))
        assert (record.end_reason, record.ended_by, record.node) == ("node_lost", "bridge", "a")
        assert "node a was not heard of" in record.end_detail
        assert states(b)["a"] == "lost"


async def ended(url, call_id):
    record = await record_of(url, call_id)
    return record if record and record.ended_at else None


async def test_a_node_that_was_only_cut_off_corrects_its_records_without_doubles(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url) as a, node(tmp_path, "b", url) as b, b.worker(0, "b0"):
        async with a.worker(0, "a0") as link:
            say(link, "call.started", "call.answered")
            say(link, "call.started", "call.answered", call_id="call-2")
            assert await link.delivered(5)
            real, a.control.nodes.desk._store = a.control.nodes.desk._store, Away()
            await eventually(lambda: ended(url, "call-1"))
            say(link, "dtmf", digit="5")
            a.control.nodes.desk._store = real
            await eventually(lambda: states(b)["a"] == "live")
            # call-1 has said something since, call-2 has not: both go on
            await eventually(lambda: live(url, "call-1", "call-2"))
            say(link, "call.ended", by="caller", status=None)
            assert await link.delivered(5)
            record = await ended(url, "call-1")
            assert (record.ended_by, record.end_reason, record.dtmf_digits) == ("caller", None, 1)
        record = await eventually(lambda: ended(url, "call-2"))
        assert record.end_reason == "worker_died"
    async with Store(url, migrate=False) as reader:
        assert len(await reader.recent(9)) == 2


async def test_a_call_goes_on_in_the_record_when_its_worker_finds_the_restarted_control_only_later(
    cluster, tmp_path
):
    url, words = cluster.fresh(), Worker()
    words.calls = 1
    async with node(tmp_path, "b", url) as b, b.worker(0, "b0"):
        async with node(tmp_path, "a", url) as a:
            link = worker_of(a, "a0", words)
            running = asyncio.create_task(link.run())
            say(link, "call.started", "call.answered")
            assert await link.delivered(5)
            running.cancel()
        await eventually(lambda: ended(url, "call-1"))
        async with node(tmp_path, "a", url) as a:
            await eventually(lambda: a.desk.epoch > 1)
            await asyncio.sleep(1.2)  # it has looked for calls that go on, and its worker was not there yet
            running = asyncio.create_task(link.run())
            await eventually(lambda: live(url, "call-1"), 5)
            running.cancel()
        link.close()


def worker_of(running, boot, words):
    """A worker that lives whether its control does or not."""
    state = running.settings.state_dir
    return LinkClient(state / "link.sock", 0, state / "spool", words.handlers(), boot=boot, deadlines=FAST)


async def live(url, *call_ids):
    return all([not (await record_of(url, call_id)).ended_at for call_id in call_ids])


async def test_a_command_reaches_the_call_on_another_node_and_its_answer_comes_back(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url) as a, node(tmp_path, "b", url) as b:
        words = Worker()
        async with b.worker(0, "b0", words) as link:
            say(link, "call.started", "call.answered")
            assert await link.delivered(5)
            await eventually(lambda: "b0" in a.control.nodes.boots())
            record = await record_of(url, "call-1")
            asked = asyncio.create_task(a.control.nodes.ask(record, "hang_up", {"reason": "now"}, 60.0))
            command = await eventually(lambda: words.commands and words.commands[0])
            assert (command.call_id, command.kind, command.data) == ("call-1", "hang_up", {"reason": "now"})
            done = {"call_id": "call-1", "command_id": command.command_id, "ok": True}
            await link.request("tool.command_done", done, 5)
            began = time.monotonic()
            assert (await asked)["ok"] is True
            assert time.monotonic() - began < 10.0


async def test_a_command_that_only_the_database_was_told_is_not_done(cluster, tmp_path):
    """Who can write the database but has no key could else listen to any call, or end it, in anybody's name."""
    url = cluster.fresh()
    async with node(tmp_path, "a", url) as a, node(tmp_path, "b", url) as b:
        words = Worker()
        async with b.worker(0, "b0", words) as link, Store(url, node="a") as writer:
            say(link, "call.started", "call.answered")
            assert await link.delivered(5)
            await eventually(lambda: "b0" in a.control.nodes.boots())
            record, forged = await record_of(url, "call-1"), CommandStore(writer)
            asked = asyncio.create_task(a.control.nodes.ask(record, "hang_up", {"reason": "now"}, 60.0))
            await eventually(lambda: words.commands)
            asked.cancel()
            copied = "INSERT INTO node_commands (node, origin, call_id, kind, data, created_at, expires_at)"
            copied += " SELECT node, origin, call_id, kind, data, created_at, expires_at FROM node_commands"
            await writer.transaction("copy", lambda it: it.execute(sa.text(copied)))
            first = await forged.ask("b", "call-1", "supervise", {"by": "chief", "target": "eve"}, 5.0)
            answers = [await eventually(lambda one=one: answer_of(forged, one)) for one in (first - 1, first)]
            assert {answer["error"] for answer in answers} == {"the command does not carry the bridge's seal"}
            assert len(words.commands) == 1


async def answer_of(commands, number):
    return (await commands.answer_of(number))[1]


async def test_a_command_that_nobody_takes_is_not_done_later(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url, lost_after_s=60.0) as a, node(tmp_path, "b", url) as b:
        words = Worker()
        async with b.worker(0, "b0", words) as link:
            say(link, "call.started")
            assert await link.delivered(5)
            await eventually(lambda: "b0" in a.control.nodes.boots())
            b.control.nodes.errands._store = Away()
            record = await record_of(url, "call-1")
            with pytest.raises(ToolError, match=r"not taken the command within 0\.3 s; it was not done"):
                await a.control.nodes.ask(record, "hang_up", {}, 0.3)
            with pytest.raises(ToolError, match="node c is not there"):
                await a.control.nodes.errands.ask("c", "call-1", "hang_up", {}, 1.0)
            assert not words.commands


async def test_queues_and_notes_are_those_of_all_nodes(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url) as a, node(tmp_path, "b", url) as b:
        b.control.nodes._deps = replace(
            b.control.nodes._deps, queues=lambda: {"queues": [{"name": "sales", "waiting": 2}], "parked": []}
        )
        queues = await eventually(lambda: a.control.nodes.queues().get("queues"))
        assert queues == [{"name": "sales", "waiting": 2, "node": "b"}]
        b.control.nodes._deps = replace(b.control.nodes._deps, plan=lambda: "other")
        await eventually(lambda: any("node b has plan other" in note for note in a.control.nodes.notes()))


async def test_a_node_with_another_decision_key_is_not_let_in_and_says_why(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url):
        stranger = Node(settings(tmp_path, "b", url), {"SEAL": "cd" * 32})
        await stranger.start()
        try:
            await eventually(
                lambda: any("not that of node a" in one for one in stranger.control.nodes.problems())
            )
            assert stranger.desk.epoch == 0
        finally:
            await stranger.stop()


async def test_a_reload_for_all_nodes_is_done_by_each_with_its_own_files(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url) as a, node(tmp_path, "b", url) as b:
        await eventually(lambda: a.control.nodes.listener.listening and b.control.nodes.listener.listening)
        before = b.control.plans.plan.version
        plan = tmp_path / "plans" / "plan.yaml"
        plan.write_text(plan.read_text().replace("Good evening", "Good morning"))
        await a.control.nodes.store.tell("reload", by="anna")
        await eventually(lambda: b.control.plans.plan.version != before)
        assert a.control.plans.plan.version == before  # who asks has done it before


async def facts_of(running):
    return await running.control._outside.health.facts()


async def test_every_node_s_health_is_known_to_the_others_and_that_of_a_lost_one_as_it_was(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url) as a, a.worker(0, "a0"), node(tmp_path, "b", url) as b:
        (other,) = await eventually(lambda: others_of(a, lambda one: one.name == "b"))
        assert (other.state, other.fresh, other.age_s < 11) == ("live", True, True)
        assert [one.what for one in other.disks] == ["state"]
        assert Path(other.disks[0].path) == b.settings.state_dir
        vanish(b)
        (other,) = await eventually(lambda: others_of(a, lambda one: one.state == "lost"))
        assert (other.name, other.fresh, len(other.disks)) == ("b", False, 1)


async def others_of(running, fits):
    return [one for one in (await facts_of(running)).others if fits(one)]


async def test_a_seat_is_refused_before_it_is_asked_for_where_no_audio_would_come(cluster, tmp_path):
    url = cluster.fresh()
    async with node(tmp_path, "a", url) as a, node(tmp_path, "b", url) as b:
        words = Worker()
        async with b.worker(0, "b0", words) as link:
            say(link, "call.started", "call.answered")
            assert await link.delivered(5)
            await eventually(lambda: "b0" in a.control.nodes.boots())
            record, seat = await record_of(url, "call-1"), {"target": "seat:" + "0" * 16, "key": "ab" * 32}
            assert a.control.nodes.deaf("b") == "", "the two share one loopback device"
            asked = asyncio.create_task(a.control.nodes.ask(record, "seat", seat, 5.0))
            command = await eventually(lambda: words.commands and words.commands[0])
            done = {
                "call_id": "call-1",
                "command_id": command.command_id,
                "ok": True,
                "address": "127.0.0.1:9",
            }
            await link.request("tool.command_done", done, 5)
            assert (await asked)["address"] == "127.0.0.1:9"
            a.control.nodes._machine = "another one"
            with pytest.raises(
                ToolError, match=r"workers of node b are at 127\.0\.0\.1, which only its own machine"
            ):
                await a.control.nodes.ask(record, "seat", seat, 5.0)
            assert len(words.commands) == 1
