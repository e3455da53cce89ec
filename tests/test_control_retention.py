"""A store and folders as a bridge leaves them, looked at many days later. No clock is waited for: `now` is given."""

import asyncio
import os

import pytest
import structlog

from bridge.approval.gate import Gate
from bridge.approval.request import Ask, CallerFacts, Ruling, ToolRequest
from bridge.approval.signing import Signer
from bridge.control_retention import Places, RetentionJob, bound_logs, remove_inside
from bridge.records.retention import DAY_S
from bridge.settings_ops import Retention
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.keepstore import Hold, KeepStore
from bridge.store.store import Store
from tests.fakes.events import Script

ENDED = 1_000_000.0


class House:
    """One bridge's state: `call` puts a whole call in, with its recording."""

    def __init__(self, folder, store):
        self.folder, self.store = folder, store
        self.recordings = folder / "recordings"
        self.gates = GateStore(store, Signer(folder / "keys"))
        self.keep = KeepStore(store)

    def file(self, name, at=ENDED):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 100)
        os.utime(path, (at, at))
        return path

    async def call(self, call_id, *, over=True, message=False):
        path = self.file(f"recordings/2001-01-01/{call_id}.wav")
        script = Script(call_id=call_id, boot=f"b-{call_id}", at=ENDED).tell("call.started")
        script.tell("transcript", text="my name is Anna").tell("recording", path=str(path))
        if message:
            spoken = self.file(f"recordings/voicemail/2001-01-01/{call_id}-1.wav")
            script.tell("voicemail", path=str(spoken), seconds=4.0, mailbox="m", to=[])
        if over:
            script.tell("call.ended", by="caller")
        await self.store.write(0, script.events)
        return path

    async def request(self, call_id, *, over=True):
        asked = ToolRequest(
            f"r-{call_id}", call_id, "f", "refund", "d", {"amount": 40}, "money", False, "bind", "p", 0.0,
            caller=CallerFacts("+491"),
        )  # fmt: skip
        gate, actions = Gate.open(asked, Ruling("ask", "refunds", "because", ask=Ask("boss")), 1.0)
        version = 0
        for moved in (actions, gate.tick(1e9) if over else []):
            audit = [
                NewAudit(a.type, a.actor, {**a.facts, "state": gate.state.value}, a.personal)
                for a in moved
                if hasattr(a, "personal")
            ]
            version = await self.gates.save(gate.to_json(), version, audit, 1.0) if audit else version

    def job(self, mine=lambda: True, **days):
        settings = Retention(batch=2, pause_ms=0, every_s=10, **days)
        places = Places(self.recordings, self.folder, self.folder / "logs" / "bridge.log")
        return RetentionJob(self.keep, self.gates, settings, places, mine)


@pytest.fixture
async def house(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        yield House(tmp_path, store)


def later(days):
    return ENDED + days * DAY_S


async def test_nothing_is_deleted_as_long_as_everything_is_off(house):
    path = await house.call("c1", message=True)
    tally = await house.job().once(later(10_000))
    assert (tally.shown(), path.exists()) == ({}, True)


async def test_each_artefact_goes_in_its_time_and_the_rest_stays(house):
    paths = [await house.call(f"c{number}", message=True) for number in range(5)]
    job = house.job(recordings_days=10, transcripts_days=20, voicemail_days=30, calls_days=40)
    assert (await job.once(later(9))).shown() == {}
    assert (await job.once(later(11))).shown() == {"bytes": 500, "recordings": 5}
    assert not any(path.exists() for path in paths)
    assert not paths[0].parent.exists()
    assert (await house.store.find("c1"))[0].recording_path is None
    assert (await job.once(later(21))).shown() == {"events": 5}
    assert (await job.once(later(31))).shown() == {"bytes": 500, "voicemail_files": 5, "voicemails": 5}
    assert (await job.once(later(41))).shown() == {"calls": 5, "events": 20}
    assert await house.store.recent(10) == []


async def test_a_plan_says_the_same_and_deletes_nothing(house):
    path = await house.call("c1", message=True)
    await house.request("c1")
    job = house.job(calls_days=10)
    planned = (await job.once(later(11), dry_run=True)).shown()
    assert path.exists()
    done = (await job.once(later(11))).shown()
    assert planned == done
    assert done["audit_payloads"] == 1


async def test_a_held_call_and_one_that_goes_on_keep_everything(house):
    held, running = await house.call("held", message=True), await house.call("running", over=False)
    os.utime(running)
    await house.keep.hold(Hold("held", "case 7", "ann", 1.0))
    tally = await house.job(calls_days=10, recordings_days=10, voicemail_days=10).once(later(11))
    assert (tally.shown(), tally.held) == ({}, 1)
    assert held.exists()
    assert running.exists()
    await house.keep.release("held")
    assert (await house.job(calls_days=10, voicemail_days=10).once(later(11))).counts["calls"] == 1


async def test_what_is_personal_in_the_audit_goes_and_the_chain_stays(house):
    await house.call("c1")
    await house.request("c1")
    before = len(await house.gates.audit())
    assert (await house.job(audit_payloads_days=10).once(later(11))).shown() == {"audit_payloads": 1}
    chain = await house.gates.audit()
    assert (len(chain), chain[-1]["type"], chain[-1]["actor"]) == (before + 1, "erased", "retention")
    assert all(payload is None for _, payload in (await house.gates.payloads()).values())
    assert (await house.job(audit_payloads_days=10).once(later(12))).shown() == {}


async def test_a_call_whose_request_is_not_over_waits_for_it(house):
    await house.call("c1")
    await house.request("c1", over=False)
    with structlog.testing.capture_logs() as logs:
        tally = await house.job(calls_days=10).once(later(11))
    assert "calls" not in tally.shown()
    assert [line["event"] for line in logs] == ["retention.kept"]
    assert len(await house.store.find("c1")) == 1


async def test_without_the_lease_only_files_of_this_machine_go(house):
    path = await house.call("c1", message=True)
    tally = await house.job(lambda: False, calls_days=10).once(later(11))
    assert tally.shown() == {"bytes": 200, "recordings": 1, "voicemail_files": 1}
    assert not path.exists()
    assert len(await house.store.find("c1")) == 1


async def test_spoken_texts_and_rotated_logs_go_and_live_logs_stay(house):
    spoken = house.file("speech/abc.wav")
    rotated, live = house.file("logs/bridge.log.3"), house.file("logs/bridge.log")
    library, other = house.file("log/pjsip-worker-0.log.1"), house.file("log/notes.log.txt")
    tally = await house.job(speech_days=5, logs_days=5).once(later(6))
    assert tally.shown() == {"bytes": 300, "logs": 2, "speech": 1}
    assert [path.exists() for path in (spoken, rotated, live, library, other)] == [
        False, False, True, False, True,
    ]  # fmt: skip


async def test_the_job_looks_at_once_and_says_what_it_did(house):
    await house.call("c1")
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(house.job(calls_days=10).run())
        async with asyncio.timeout(20):
            while not any(line["event"] == "retention.deleted" for line in logs):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        task.cancel()
    (line,) = [line for line in logs if line["event"] == "retention.deleted"]
    assert (line["calls"], line["held"]) == (1, 0)


async def test_a_round_with_nothing_to_do_says_nothing(house):
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(house.job(calls_days=10, voicemail_days=10, outbound_days=10).run())
        await asyncio.sleep(0.2)
        task.cancel()
    assert logs == []


def test_a_file_outside_of_the_recordings_is_never_deleted(tmp_path):
    outside, folder = tmp_path / "passwd", tmp_path / "recordings"
    outside.write_text("x")
    (folder / "day").mkdir(parents=True)
    (folder / "day" / "link.wav").symlink_to(outside)
    assert not remove_inside(outside, folder)
    assert not remove_inside(folder / ".." / "passwd", folder)
    assert not remove_inside(folder / "day" / "link.wav", folder)
    assert not remove_inside(folder / "day" / "gone.wav", folder)
    assert outside.exists()
    (folder / "day" / "link.wav").unlink()
    (folder / "day" / "c1.wav").write_bytes(b"x")
    assert remove_inside(folder / "day" / "c1.wav", folder)
    assert not (folder / "day").exists()


def test_root_cuts_no_log_through_a_link_of_the_workers(tmp_path):
    (tmp_path / "log").mkdir()
    theirs, mine = tmp_path / "log" / "pjsip-worker-0.log", tmp_path / "mine"
    mine.write_bytes(b"x" * 6000)
    theirs.symlink_to(mine)
    bound_logs(tmp_path / "log", 5000)
    theirs.unlink()
    theirs.write_bytes(b"y" * 6000)
    theirs.with_name(theirs.name + ".1").symlink_to(mine)
    bound_logs(tmp_path / "log", 5000)
    assert mine.read_bytes() == b"x" * 6000
    assert theirs.with_name(theirs.name + ".1").read_bytes() == b"y" * 2500


def test_a_log_of_the_sip_library_is_cut_and_its_newest_part_stays_beside(tmp_path):
    path = tmp_path / "pjsip-worker-0.log"
    with path.open("ab", buffering=0) as writer:  # as the library has it open
        writer.write(b"old" * 1000 + b"new" * 1000)
        bound_logs(tmp_path, 5000)
        writer.write(b"after")
    assert path.read_bytes() == b"after"
    assert (tmp_path / "pjsip-worker-0.log.1").read_bytes()[-3:] == b"new"
    bound_logs(tmp_path, 5000)
    assert path.read_bytes() == b"after"
