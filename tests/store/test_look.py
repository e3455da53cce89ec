import sqlite3

from bridge.store.look import look
from bridge.store.migrate import revisions
from bridge.store.store import Store
from tests.fakes.events import Script, conversation


async def test_a_database_that_is_not_there_is_not_made(tmp_path):
    seen = await look(f"sqlite:///{tmp_path}/no.db")
    assert (seen.revision, seen.error, list(tmp_path.iterdir())) == (None, "", [])


async def test_what_is_there_is_seen(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    async with Store(url) as store:
        await store.write(0, conversation())
        await store.write(0, Script("open", "b2", at=9000.0).tell("call.started").events)
    seen = await look(url)
    assert (seen.calls, seen.open_calls, seen.newest_call_at) == (2, 1, 9000.0)
    assert seen.revision == seen.head == revisions()[0]
    assert seen.revision in seen.known
    assert seen.size_bytes > 10_000
    assert seen.latency_ms > 0


async def test_an_empty_database_and_a_broken_one_are_told_apart(tmp_path):
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE x (y)").connection.close()
    assert (await look(f"sqlite:///{tmp_path}/empty.db")).revision is None
    (tmp_path / "broken.db").write_bytes(b"no database at all" * 100)
    assert "not a database" in (await look(f"sqlite:///{tmp_path}/broken.db")).error


async def test_a_url_that_cannot_be_used_is_told_without_its_password():
    seen = await look("postgresql://me:hush@127.0.0.1:1/calls")
    assert seen.error
    assert "hush" not in seen.error + seen.url
