import asyncio
import json
import os
import shutil

import pytest
from typer.testing import CliRunner

from bridge.approval.signing import Signer, seal, secret
from bridge.cli.main import app
from bridge.errors import BackupError
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.nodestore import NodeStore
from bridge.store.store import Store
from tests.fakes.events import Script, conversation


@pytest.fixture
def run(tmp_path):
    config = tmp_path / "bridge.yaml"
    config.write_text("state_dir: var\n")
    (tmp_path / "var").mkdir()

    async def fill():
        async with Store(f"sqlite:///{tmp_path}/var/sipbridge.db") as store:
            await store.write(0, conversation())
            await store.write(0, Script("open", "b2").tell("call.started").events)

    asyncio.run(fill())
    nice = os.nice

    def run(*words):
        os.nice = lambda _: 0  # the tests' own process would stay nice
        try:
            return CliRunner().invoke(app, [*words, "--config", str(config)])
        finally:
            os.nice = nice

    run.folder = tmp_path
    return run


def test_a_backup_goes_into_a_dated_file_and_old_ones_go(run):
    out = run.folder / "out"
    out.mkdir()
    for day in range(1, 4):
        (out / f"sipbridge-2020010{day}T000000Z.tar.gz").touch()
    (out / "something-else.tar.gz").touch()
    done = run("backup", str(out), "--keep", "2")
    assert done.exit_code == 0, done.output
    assert "2 calls, without recordings" in done.output
    assert done.output.count("deleted sipbridge-2020") == 2
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 3
    assert names[0] == "sipbridge-20200103T000000Z.tar.gz"
    assert names[2] == "something-else.tar.gz"


def test_it_is_looked_at_and_put_back(run):
    target = run.folder / "b.tar.gz"
    assert json.loads(run("backup", str(target), "--json").output)["calls"] == 2
    assert "is whole: of " in run("restore", str(target), "--check").output
    assert json.loads(run("restore", str(target), "--check", "--json").output) == {"whole": True, "calls": 2}
    refused = run("restore", str(target))
    assert isinstance(refused.exception, BackupError)
    shutil.rmtree(run.folder / "var")
    done = run("restore", str(target))
    assert done.exit_code == 0, done.output
    assert "1 calls that were going on then are ended in the record" in done.output
    assert "the audit holds" in done.output
    assert run("audit", "verify").exit_code == 0
    again = run("restore", str(target), "--replace", "--json")
    assert "replaced-" in json.loads(again.output)["aside"]


def test_what_other_nodes_have_signed_holds_after_a_restore(run):
    """The database of several nodes has one chain; each signs with a key of its own (ops/nodes.md)."""
    other = Signer(run.folder / "other")
    words = {"key_id": other.key_id, "node": "b", "public": other.public}
    common = secret(run.folder / "var" / "keys" / "decisions.key")

    async def signed_elsewhere():
        async with Store(f"sqlite:///{run.folder}/var/sipbridge.db") as store:
            await NodeStore(store).keep_key({**words, "seal": seal(common, "audit key", words), "at": 1.0})
            await GateStore(store, other).note(NewAudit("tested", "ann", {}), "", 5.0)

    asyncio.run(signed_elsewhere())
    target = run.folder / "b.tar.gz"
    assert run("backup", str(target)).exit_code == 0
    shutil.rmtree(run.folder / "var")
    done = run("restore", str(target))
    assert done.exit_code == 0, done.output
    assert "the audit holds" in done.output


def test_a_folder_that_cannot_be_written_is_told(run):
    refused = run("backup", "/proc/nowhere/b.tar.gz")
    assert isinstance(refused.exception, BackupError)
    assert "cannot be written" in str(refused.exception)


def test_keep_is_for_a_folder_only(run):
    assert isinstance(run("backup", str(run.folder / "b.tar.gz"), "--keep", "3").exception, BackupError)
