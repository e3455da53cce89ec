import os

import pytest

from bridge.control_sweep import NOTE_KEEP_S, Sweeper
from bridge.link.messages import encode
from bridge.link.spool import Spool, exit_path, known_boots, spool_path
from bridge.store.store import Store
from tests.fakes.events import Script


@pytest.fixture
async def store(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


@pytest.fixture
def spools(tmp_path):
    return tmp_path / "spool"


def leave(spools, events, boot="b1", how="signal 9 (SIGKILL)"):
    """A worker that wrote these events and is gone."""
    spool = Spool(spool_path(spools, 0, boot))
    for event in events:
        spool.append(encode(event).encode() + b"\n")
    spool.close()
    if how:
        exit_path(spools, 0, boot).write_text(how + "\n")


async def test_a_killed_workers_last_events_are_kept_and_its_open_call_ended(store, spools):
    script = Script().tell("call.started").tell("call.answered", 1).tell("dtmf", 1, digit="5")
    await store.write(0, script.events[:1])
    leave(spools, script.events)
    assert await Sweeper(spools, store, grace_s=2).sweep(0) == ["call-1"]
    (record,) = await store.find("call-1")
    assert (record.ended_by, record.end_reason) == ("bridge", "worker_died")
    assert record.end_detail == "the worker process ended: signal 9 (SIGKILL)"
    assert record.dtmf_digits == 1
    assert known_boots(spools) == set()
    assert not list(spools.iterdir())
    assert await Sweeper(spools, store, grace_s=2).sweep(0) == []


async def test_a_living_worker_is_left_alone(store, spools):
    spool = Spool(spool_path(spools, 0, "b1"))
    await store.write(0, Script().tell("call.started").events)
    assert await Sweeper(spools, store, grace_s=0).sweep(0) == []
    assert (await store.find("call-1"))[0].state == "ringing"
    spool.close()


async def test_a_worker_without_an_exit_note_is_given_a_moment(store, spools):
    leave(spools, Script().tell("call.started").events, how=None)
    sweeper = Sweeper(spools, store, grace_s=2)
    assert await sweeper.sweep(100.0) == []
    assert await sweeper.sweep(101.9) == []
    assert known_boots(spools) == {"b1"}
    assert await sweeper.sweep(102.0) == ["call-1"]
    assert (await store.find("call-1"))[0].end_detail == "the worker process ended: how is not known"


async def test_without_a_note_a_call_ends_when_its_worker_last_wrote_not_at_its_last_event(store, spools):
    """Supervisor and worker were killed together: nobody noted the end, but the file tells more than the events."""
    leave(spools, Script().tell("call.started").tell("call.answered", 4).events, how=None)
    os.utime(spool_path(spools, 0, "b1"), (1060.0, 1060.0))
    await Sweeper(spools, store, grace_s=0).sweep(0)
    (record,) = await store.find("call-1")
    assert (record.ended_at, record.duration_s) == (1060.0, 56.0)


async def test_everything_killed_at_once_leaves_one_finished_record_a_call(store, spools):
    for number in range(3):
        events = Script(call_id=f"call-{number}", boot=f"b{number}").tell("call.started").events
        leave(spools, events, boot=f"b{number}", how=None)
    assert await Sweeper(spools, store, grace_s=0).sweep(0) == ["call-0", "call-1", "call-2"]
    assert [record.state for record in await store.recent(9)] == ["ended"] * 3


async def test_a_worker_that_ended_well_leaves_nothing(store, spools):
    leave(spools, Script().tell("call.started").tell("call.ended", by="caller").events, how="exit code 0")
    assert await Sweeper(spools, store, grace_s=2).sweep(0) == []
    assert (await store.find("call-1"))[0].ended_by == "caller"
    assert not list(spools.iterdir())


async def test_calls_of_a_boot_whose_spool_is_gone_end_when_they_were_last_heard_of(store, spools):
    spools.mkdir()
    await store.write(0, Script().tell("call.started").tell("call.answered", 4).events)
    assert await Sweeper(spools, store, grace_s=2).sweep(0) == ["call-1"]
    (record,) = await store.find("call-1")
    assert (record.ended_at, record.end_detail) == (1004.0, "the worker process and its event spool are gone")


async def test_notes_of_workers_that_never_had_a_spool_go_after_a_while(store, spools):
    spools.mkdir()
    for boot, age_s in (("old", NOTE_KEEP_S + 5), ("new", 0)):
        note = exit_path(spools, 0, boot)
        note.touch()
        os.utime(note, (note.stat().st_mtime - age_s,) * 2)
    await Sweeper(spools, store, grace_s=2).sweep(0)
    assert [path.name for path in spools.iterdir()] == ["worker-0-new.exit"]


async def test_without_a_spool_folder_there_is_nothing_to_do(store, spools):
    assert await Sweeper(spools, store, grace_s=2).sweep(0) == []
