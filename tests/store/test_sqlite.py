import sqlite3

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
