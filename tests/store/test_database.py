import asyncio
import time

import pytest

from bridge.errors import StoreError
from bridge.store.database import few_lengths, lock, lock_key, now, parsed, plain, shown
from bridge.store.store import Store


async def test_the_clock_of_the_database_is_unix_seconds(database):
    async with Store(database) as store:
        assert abs(await store.transaction("look", now) - time.time()) < 5


async def test_who_reads_under_a_lock_sees_what_the_one_before_wrote(cluster):
    """The read-modify-write that READ COMMITTED alone would lose."""
    url = cluster.fresh()
    async with Store(url) as one, Store(url) as two:
        await one.transaction("make", lambda it: it.exec_driver_sql("CREATE TABLE n (v int)"))
        await one.transaction("fill", lambda it: it.exec_driver_sql("INSERT INTO n VALUES (0)"))

        def add(connection):
            lock(connection, "n")
            seen = connection.exec_driver_sql("SELECT v FROM n").scalar_one()
            connection.exec_driver_sql(f"UPDATE n SET v = {seen + 1}")

        await asyncio.gather(*(store.transaction("add", add) for store in (one, two) * 20))
        assert (
            await two.transaction("read", lambda it: it.exec_driver_sql("SELECT v FROM n").scalar_one()) == 40
        )


def test_a_lock_is_64_bits_and_of_its_name_only():
    assert lock_key("audit") != lock_key("boot b1")
    assert all(-(2**63) <= lock_key(name) < 2**63 for name in ("", "audit", "boot " * 50))


def test_text_that_no_database_takes_is_made_into_text_that_all_take():
    assert plain("a\0b\ud800") == "ab?"


def test_no_password_is_shown():
    assert shown("postgresql://u:secret@h/n") == "postgresql://u:***@h/n"
    assert shown("nonsense") == "(unreadable)"
    with pytest.raises(StoreError, match="unreadable"):
        parsed("nonsense")


def test_keys_of_any_number_are_asked_for_in_few_statements():
    asked = {number: few_lengths({f"k{n}" for n in range(number)}) for number in range(1001)}
    assert all({*keys} == {f"k{n}" for n in range(number)} for number, keys in asked.items())
    assert {len(keys) for keys in asked.values()} == {0, *(2**n for n in range(11))}
