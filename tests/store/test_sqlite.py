import sqlite3
import threading

import pytest

from bridge.errors import StoreError
from bridge.store.store import Store
from tests.fakes.events import conversation


async def test_a_locked_database_is_a_store_error_and_nothing_is_lost(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await store.transaction("", lambda plain: plain.exec_driver_sql("PRAGMA busy_timeout=10"))
        with pytest.raises(StoreError, match="locked"):
            await store.write(0, conversation())
        other.execute("ROLLBACK")
        other.close()
        assert await store.write(0, conversation()) == len(conversation())


async def test_who_reads_and_then_writes_what_another_program_changed_meanwhile_begins_anew(tmp_path):
    """SQLite refuses such a writer at once, without waiting: SQLITE_BUSY_SNAPSHOT (sqlite.org/isolation.html)."""
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
        await store.transaction("", lambda plain: plain.exec_driver_sql("CREATE TABLE sums (value INTEGER)"))
        other.execute("INSERT INTO sums VALUES (1)")
        found = []

        def work(plain):
            found.append(plain.exec_driver_sql("SELECT value FROM sums").scalar_one())
            if len(found) == 1:
                other.execute("UPDATE sums SET value = 40")
            plain.exec_driver_sql(f"UPDATE sums SET value = {found[-1] + 2}")

        await store.transaction("", work)
        assert found == [1, 40]
        assert other.execute("SELECT value FROM sums").fetchall() == [(42,)]
        other.close()


async def test_who_reads_and_then_writes_while_another_program_does_waits_for_it(tmp_path):
    """SQLite lets a reader that becomes a writer wait for nobody (sqlite.org/c3ref/busy_handler.html)."""
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
        await store.transaction("", lambda plain: plain.exec_driver_sql("CREATE TABLE sums (value INTEGER)"))
        other.execute("INSERT INTO sums VALUES (1)")
        found = []
        commit = threading.Timer(0.2, other.execute, ("COMMIT",))

        def work(plain):
            found.append(plain.exec_driver_sql("SELECT value FROM sums").scalar_one())
            if len(found) == 1:
                other.execute("BEGIN IMMEDIATE")
                other.execute("UPDATE sums SET value = 40")
                commit.start()
            plain.exec_driver_sql(f"UPDATE sums SET value = {found[-1] + 2}")

        await store.transaction("", work)
        commit.join()
        assert found == [1, 40]
        assert other.execute("SELECT value FROM sums").fetchall() == [(42,)]
        other.close()
