"""What goes into a backup and what does not; that it comes back whole: test_restore.py."""

import tarfile

import pytest

from bridge.backup.make import Wanted, make
from bridge.settings import load
from bridge.store.look import look
from bridge.store.store import Store
from tests.fakes.events import conversation

STATE = ("keys/audit.key", "plans/a.json", "run/in-force.json", "run/plan.json", "run/worker-0.json", "log/x.log",
         "spool/worker-0-b.jsonl", "spent.lock", "api.sock.lock", "supervisor.pid", "replaced-2020/x", ".draft",
         "recordings/2026-01-01/c.wav", "recordings/voicemail/2026-01-01/c-1.wav", "speech/s.wav", "edge/kamailio.cfg",
         "edge/tables/users")  # fmt: skip


@pytest.fixture
async def names(tmp_path):
    config = tmp_path / "bridge.yaml"
    config.write_text("state_dir: var\n")
    for name in ("dialplans/p.yaml", "tools/t.py", "tools/__pycache__/t.pyc", "tools/mcp.lock.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for name in STATE:
        path = tmp_path / "var" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    settings = load(config, {})
    async with Store(str(settings.store)) as store:
        await store.write(0, conversation())

        async def names(*, recordings):
            make(tmp_path / "b.tar.gz", Wanted(settings, config, recordings), await look(str(settings.store)))
            with tarfile.open(tmp_path / "b.tar.gz") as tar:
                return tar.getnames()

        yield names


async def test_what_cannot_be_made_again_is_in_it_and_the_rest_is_not(names):
    found = await names(recordings=False)
    assert sorted(found) == [
        "config/bridge.yaml",
        "config/dialplans/p.yaml",
        "config/tools/mcp.lock.json",
        "config/tools/t.py",
        "database.sqlite",
        "manifest.json",
        "recordings/voicemail/2026-01-01/c-1.wav",
        "state/keys/audit.key",
        "state/plans/a.json",
        "state/run/in-force.json",
        "state/run/plan.json",
        "state/spool/worker-0-b.jsonl",
    ]


async def test_the_spool_comes_before_the_database_and_the_keys_after(names):
    found = await names(recordings=True)
    assert found[0].startswith("state/spool/")
    assert found.index("database.sqlite") < found.index("state/keys/audit.key")
    assert "recordings/2026-01-01/c.wav" in found
