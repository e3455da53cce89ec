"""A whole state goes into a file, is destroyed, and comes back; on SQLite and on PostgreSQL."""

import os
import shutil
from pathlib import Path

import pytest

from bridge.approval.chain import broken
from bridge.approval.signing import AUDIT_PUBLIC, Signer, Verifier
from bridge.backup.make import Wanted, make
from bridge.backup.restore import restore, settle
from bridge.errors import BackupError, StoreError
from bridge.outbound.job import Job, Wish
from bridge.settings import load
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.look import look
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store
from bridge.supervisor import lock
from tests.fakes.events import Script, conversation

SPOKEN = b"RIFF-of-a-call"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path):
    """The settings of one installation with something in each corner of its state."""
    path = tmp_path / "bridge.yaml"
    path.write_text("state_dir: var\n")
    (tmp_path / "dialplans").mkdir()
    (tmp_path / "dialplans" / "plan.yaml").write_text("version: 1\n")
    environ = {}
    if request.param == "postgresql":
        environ["SIPBRIDGE_STORE"] = request.getfixturevalue("cluster").fresh()
    return load(path, environ)


async def fill(settings):
    state = settings.state_dir
    for name, text in {
        "plans/abc.json": "{}",
        "run/in-force.json": '{"version": "abc"}',
        "run/serve.json": "made anew",
        "audit-heads.jsonl": "",
        "log/old.log": "x",
        "speech/x.wav": "x",
        "tools/data.json": "kept",
        "recordings/2026-01-01/call-1.wav": "RIFF-of-a-call",
        "recordings/voicemail/2026-01-01/call-1-1.wav": "RIFF-of-a-message",
    }.items():
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    async with Store(str(settings.store), node=settings.node.called) as store:
        await store.write(0, conversation())
        await store.write(0, Script("open", "b-open").tell("call.started").events)
        await GateStore(store, Signer(state / "keys")).note(NewAudit("tested", "ann", {}), "", 5.0)
        jobs = OutboundStore(store)
        await jobs.add([Job("in-campaign", Wish("+491", campaign="spring"), "seal")], "spring", "ann")
        await jobs.add([Job("alone", Wish("+492"), "seal")])


async def destroy(settings):
    shutil.rmtree(settings.state_dir)
    if not str(settings.store).startswith("sqlite"):
        import sqlalchemy as sa

        async with Store(str(settings.store)) as store:
            await store.transaction("test", lambda it: it.execute(sa.text("DROP SCHEMA public CASCADE")))
            await store.transaction("test", lambda it: it.execute(sa.text("CREATE SCHEMA public")))


async def backed_up(settings, *, recordings=True):
    target = settings.state_dir.parent / "out" / "backup.tar.gz"
    config = settings.state_dir.parent / "bridge.yaml"
    seen = await look(str(settings.store))
    return target, make(target, Wanted(settings, config, recordings), seen)


async def test_everything_is_there_again(settings):
    await fill(settings)
    target, made = await backed_up(settings)
    assert (made.calls, made.open_calls, made.recordings) == (2, 1, True)
    await destroy(settings)
    manifest, aside = restore(target, settings, await look(str(settings.store)), replace=False)
    assert (manifest, aside) == (made, "")
    settled = await settle(settings, manifest, "ann")
    assert (settled.calls_ended, settled.jobs_cancelled, settled.campaigns_paused) == (1, 1, ("spring",))
    state = settings.state_dir
    assert (state / "recordings/2026-01-01/call-1.wav").read_bytes() == SPOKEN
    assert (state / "recordings/voicemail/2026-01-01/call-1-1.wav").exists()
    assert (state / "plans/abc.json").exists()
    assert (state / "tools/data.json").read_text() == "kept"
    assert (state / "restored-config/bridge.yaml").read_text() == "state_dir: var\n"
    assert (state / "restored-config/dialplans/plan.yaml").exists()
    left_out = ("log/old.log", "speech/x.wav", "run/serve.json")
    assert [name for name in left_out if (state / name).exists()] == []
    async with Store(str(settings.store), migrate=False) as store:
        records = {one.call_id: one for one in await store.recent(10)}
        assert records["open"].end_reason == "worker_died"
        assert "the backup of" in records["open"].end_detail
        assert records["call-1"].end_reason == "normal"
        assert len(await store.events("call-1")) == len(conversation())
        chain = await GateStore(store).audit()
        assert [one["type"] for one in chain] == ["tested", "restored"]
        assert broken(chain, Verifier(state / "keys" / AUDIT_PUBLIC).verify) == []
        (campaign,) = await OutboundStore(store).campaigns()
        assert campaign.state == "paused"


async def test_what_is_there_is_neither_overwritten_nor_lost(settings):
    await fill(settings)
    target, _ = await backed_up(settings, recordings=False)
    async with Store(str(settings.store)) as store:
        await store.write(0, Script("later", "b9", at=9e9).tell("call.started").events)
    with pytest.raises(BackupError, match="--replace"):
        restore(target, settings, await look(str(settings.store)), replace=False)
    async with Store(str(settings.store)) as store:
        assert len(await store.recent(10)) == 3
    _, aside = restore(target, settings, await look(str(settings.store)), replace=True)
    async with Store(str(settings.store)) as store:
        assert len(await store.recent(10)) == 2
    assert (Path(aside) / "plans" / "abc.json").exists()
    assert (settings.state_dir / "recordings/2026-01-01/call-1.wav").read_bytes() == SPOKEN


async def test_a_running_bridge_is_left_alone(settings):
    await fill(settings)
    target, _ = await backed_up(settings)
    held = lock(str(settings.state_dir))
    try:
        with pytest.raises(BackupError, match="a bridge already runs"):
            restore(target, settings, await look(str(settings.store)), replace=True)
    finally:
        os.close(held)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
class TestOnSqlite:
    async def test_a_damaged_backup_changes_nothing(self, settings):
        await fill(settings)
        target, _ = await backed_up(settings)
        target.write_bytes(target.read_bytes()[:-500])
        before = sorted(path.name for path in settings.state_dir.iterdir())
        with pytest.raises(BackupError):
            restore(target, settings, await look(str(settings.store)), replace=True)
        after = sorted(path.name for path in settings.state_dir.iterdir() if path.name != "supervisor.pid")
        assert after == before

    async def test_a_failure_in_the_middle_is_undone(self, settings, tmp_path):
        await fill(settings)
        target, _ = await backed_up(settings)
        recordings = settings.state_dir / "recordings"
        shutil.rmtree(recordings)
        recordings.write_text("a file where a folder has to be")
        names = {path.name for path in settings.state_dir.iterdir()}
        with pytest.raises(OSError, match="recordings"):
            restore(target, settings, await look(str(settings.store)), replace=True)
        there = {path.name for path in settings.state_dir.iterdir() if not path.name.startswith("replaced-")}
        assert there - {"supervisor.pid"} == names
        async with Store(str(settings.store), migrate=False) as store:
            assert len(await store.recent(10)) == 2

    async def test_a_backup_of_a_newer_program_or_another_kind_of_store_is_refused(self, settings, cluster):
        await fill(settings)
        target, _ = await backed_up(settings)
        seen = await look(str(settings.store))
        old = type(seen)(seen.url, "0001", ("0001",))
        await destroy(settings)
        with pytest.raises(BackupError, match="newer program"):
            restore(target, settings, old, replace=False)
        path = settings.state_dir.parent / "bridge.yaml"
        other = load(path, {"SIPBRIDGE_STORE": cluster.empty()})
        with pytest.raises(BackupError, match="of the other kind"):
            restore(target, other, await look(str(other.store)), replace=False)

    async def test_nothing_is_backed_up_where_nothing_is(self, settings):
        with pytest.raises(BackupError, match="nothing to back up"):
            await backed_up(settings)

    async def test_a_copy_that_fails_leaves_no_file(self, settings):
        await fill(settings)
        seen = await look(str(settings.store))
        (settings.state_dir / "sipbridge.db").write_bytes(b"no database" * 500)
        target = settings.state_dir.parent / "out" / "b.tar.gz"
        with pytest.raises(StoreError):
            make(target, Wanted(settings, None, recordings=False), seen)
        assert list(target.parent.iterdir()) == []
