import sqlite3

import pytest

from bridge.errors import StoreError
from bridge.store import copying
from bridge.store.store import Store
from tests.fakes.events import conversation


async def test_a_copy_is_made_while_somebody_writes_and_is_of_one_moment(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    async with Store(url) as store:
        await store.write(0, conversation())
        with sqlite3.connect(tmp_path / "store.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE calls SET codec = 'half done'")
            copying.copy(url, tmp_path / "copy")
            other.execute("ROLLBACK")
        other.close()
    async with Store(f"sqlite:///{tmp_path}/copy", migrate=False) as store:
        (record,) = await store.recent(5)
    assert record.codec == "PCMU"
    assert not (tmp_path / "copy-wal").exists()


def test_what_is_not_there_or_no_database_is_not_copied(tmp_path):
    with pytest.raises(StoreError, match="there is no database"):
        copying.copy(f"sqlite:///{tmp_path}/no.db", tmp_path / "copy")
    assert not (tmp_path / "no.db").exists()
    (tmp_path / "x.db").write_bytes(b"no database" * 200)
    with pytest.raises(StoreError, match="not a database"):
        copying.copy(f"sqlite:///{tmp_path}/x.db", tmp_path / "copy")
    with pytest.raises(StoreError, match="not a database"):
        copying.check(tmp_path / "x.db")


def test_a_password_goes_by_the_environment():
    environ = copying._environment("postgresql://me:hush@db.example:5433/calls?sslmode=require")
    assert environ["PGPASSWORD"] == "hush"
    assert (environ["PGHOST"], environ["PGPORT"], environ["PGUSER"]) == ("db.example", "5433", "me")
    assert (environ["PGDATABASE"], environ["PGSSLMODE"]) == ("calls", "require")
    assert copying._environment("postgresql:///calls?host=/run/pg")["PGHOST"] == "/run/pg"


def test_a_server_that_is_away_is_told_in_its_tool_s_words(tmp_path):
    with pytest.raises(StoreError, match=r"pg_dump: .*connection") as failed:
        copying.copy("postgresql://me:hush@127.0.0.1:9/calls", tmp_path / "copy")
    assert "hush" not in str(failed.value)
    assert copying.file_name("postgresql:///x") == "database.dump"
