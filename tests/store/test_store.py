import asyncio
import contextlib
import json
from dataclasses import fields

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import StoreAwayError, StoreError
from bridge.link.messages import Event
from bridge.records.cdr import CallRecord, fold
from bridge.store.callrows import Death
from bridge.store.store import Store
from bridge.store.tables import calls
from tests.fakes.events import Script, conversation
from tests.fakes.nodes import eventually

DEATH = Death(1030.0, "the worker process ended: signal 9 (SIGKILL)")


@pytest.fixture
def url(database):
    return database


def test_a_row_of_calls_is_exactly_a_record():
    assert [column.name for column in calls.columns] == [field.name for field in fields(CallRecord)]


async def test_a_call_comes_back_as_it_was_told(url):
    events = conversation()
    async with Store(url) as store:
        assert await store.write(0, events) == len(events)
        assert await store.recent(5) == [fold(events)]
        back = await store.events("call-1")
    assert [(e.seq, e.type, e.at, e.mono, e.data) for e in back] == [
        (e.seq, e.type, e.at, e.mono, e.data) for e in events
    ]


async def test_what_was_stored_survives_closing_and_opening_again(url):
    async with Store(url) as store:
        await store.write(0, conversation())
    async with Store(url) as store:
        assert await store.write(0, conversation()) == 0
        assert len(await store.recent(5)) == 1
    async with Store(url, migrate=False) as reader:
        assert (await reader.recent(5))[0].ended_by == "caller"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)), max_size=8))
async def test_deliveries_that_overlap_are_kept_once_and_in_order(tmp_path_factory, deliveries):
    """After a lost connection a worker sends again what was not acked: (boot, seq) tells what is there already."""
    events = conversation()
    folder = tmp_path_factory.mktemp("store")
    async with Store(f"sqlite:///{folder}/store.db") as store:
        reached = 0
        for back, length in deliveries:
            start = max(reached - back, 0)
            part = events[start : start + length]
            new = await store.write(0, part)
            assert new == max(start + len(part) - reached, 0)
            reached = max(reached, start + len(part))
        assert [event.seq for event in await store.events("call-1")] == list(range(1, reached + 1))
        records = await store.recent(5)
        assert (records[0] if records else None) == fold(events[:reached])


async def test_a_refused_write_changes_nothing_and_can_be_done_again(url, tmp_path):
    events = conversation()
    broken = [*events[:3], Event(4, "b1", "call-1", "dtmf", 1.0, 1.0, {}), events[3]]
    async with Store(url) as store:
        with pytest.raises(StoreError, match="cannot write events"):
            await store.write(0, broken)  # two events with seq 4
        assert await store.recent(5) == []
        assert await store.write(0, events) == len(events)


async def test_an_event_without_a_call_is_kept_and_makes_no_record(url):
    async with Store(url) as store:
        await store.write(0, Script().tell("worker.note", call_id="").events)
        assert await store.recent(5) == []
        assert len(await store.events("")) == 1


async def test_strange_text_is_stored_in_readable_form(url):
    script = Script(call_id="c\ud800").tell("call.started", **{"from": "\ud83d", "to": "x" * 1000})
    async with Store(url) as store:
        await store.write(3, [json_round_trip(event) for event in script.events])
        record = (await store.recent(1))[0]
        assert (record.call_id, record.from_uri, len(record.to_uri), record.worker) == (
            "c?",
            "?",
            500,
            "worker-3",
        )
        assert (await store.events("c?"))[0].data["from"] == "\ud83d"


def json_round_trip(event):
    return Event(
        event.seq,
        event.boot,
        event.call_id,
        event.type,
        event.at,
        event.mono,
        json.loads(json.dumps(event.data)),
    )


async def test_adopting_ends_what_the_dead_process_left_open_and_only_that(url):
    script = Script()
    script.tell("call.started", call_id="open").tell("call.started", call_id="done").tell(
        "call.answered", 1, call_id="open"
    )
    script.tell("call.ended", 1, call_id="done", by="caller")
    async with Store(url) as store:
        await store.write(0, script.events[:2])
        await store.write(0, Script(call_id="other", boot="b2").tell("call.started").events)
        assert await store.adopt(0, "b1", script.events, DEATH) == ["open"]
        open_, done, other = [(await store.find(name))[0] for name in ("open", "done", "other")]
        assert (open_.ended_by, open_.end_reason, open_.end_detail) == ("bridge", "worker_died", DEATH.detail)
        assert (open_.ended_at, open_.duration_s) == (1030.0, 29.0)
        assert (done.ended_by, other.state) == ("caller", "ringing")
        assert await store.open_boots() == [(0, "b2")]


async def test_adopting_twice_and_late_doubles_change_nothing(url):
    """The dead worker's last words can still be in a socket while its spool is adopted."""
    events = Script().tell("call.started").tell("call.answered", 1).events
    async with Store(url) as store:
        assert await store.adopt(0, "b1", events, DEATH) == ["call-1"]
        assert await store.adopt(0, "b1", events, DEATH) == []
        assert await store.write(0, events) == 0
        assert [event.type for event in await store.events("call-1")] == [
            "call.started",
            "call.answered",
            "call.ended",
        ]


async def test_a_call_is_found_by_the_beginning_of_its_id(url):
    async with Store(url) as store:
        for name, at in (("abc", 1000.0), ("abcd", 2000.0), ("a_c", 3000.0)):
            await store.write(0, Script(call_id=name, boot=name, at=at).tell("call.started").events)
        assert [record.call_id for record in await store.find("ab")] == ["abcd", "abc"]
        assert [record.call_id for record in await store.find("abc")] == ["abc"]
        assert [record.call_id for record in await store.find("a_")] == ["a_c"]
        assert [record.call_id for record in await store.recent(2)] == ["a_c", "abcd"]


async def test_writers_do_not_disturb_each_other(url):
    async with Store(url) as store:
        boots = [Script(call_id=f"call-{n}", boot=f"b{n}").tell("call.started").events for n in range(8)]
        await asyncio.gather(*(store.write(n, events) for n, events in enumerate(boots)))
        assert len(await store.recent(20)) == 8


async def test_migrations_make_the_tables_the_code_speaks_of(url):
    def described(connection):
        found, dialect = sa.inspect(connection), connection.dialect
        double = "DOUBLE PRECISION" if dialect.name == "postgresql" else "FLOAT"
        differs = {}
        for table in calls.metadata.tables.values():
            columns = {
                c["name"]: (c["type"].compile(dialect), c["nullable"]) for c in found.get_columns(table.name)
            }
            wanted = {
                c.name: (c.type.compile(dialect).replace("FLOAT", double), c.nullable) for c in table.columns
            }
            unique = {one["name"] for one in found.get_unique_constraints(table.name)}
            indexes = {i["name"] for i in found.get_indexes(table.name)} - unique
            differs |= {(table.name, *one): "column" for one in columns.items() ^ wanted.items()}
            differs |= {(table.name, name): "index" for name in indexes ^ {i.name for i in table.indexes}}
            key = found.get_pk_constraint(table.name)["constrained_columns"]
            differs |= {} if key == [c.name for c in table.primary_key] else {table.name: key}
        return differs

    async with Store(url) as store:
        assert await store.transaction("look", described) == {}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("sqlite:////nowhere/at/all/x.db", "cannot open the store .*unable to open"),
        ("nonsense", "cannot be used"),
        ("dbase:///x", "cannot be used"),
        ("postgresql://user:secret@127.0.0.1:1/db", "cannot open the store postgresql.*Connect call failed"),
    ],
)
async def test_a_store_that_cannot_be_opened_says_why_and_keeps_the_password(bad, says):
    with pytest.raises(StoreError, match=says) as caught:
        await Store(bad).__aenter__()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_reader_of_a_store_without_tables_is_told_what_to_do(kind, cluster, tmp_path):
    url = cluster.empty() if kind == "postgresql" else f"sqlite:///{tmp_path}/store.db"
    with pytest.raises(StoreError, match="no tables yet"):
        await Store(url, migrate=False).__aenter__()


async def test_a_store_that_is_not_open_says_so(url):
    with pytest.raises(StoreError, match="not open"):
        await Store(url).recent(1)


async def test_live_calls_are_those_without_an_end_the_newest_first(url):
    async with Store(url) as store:
        await store.write(0, conversation())
        for call_id, at in (("old", 1.0), ("new", 2.0)):
            await store.write(0, Script(call_id=call_id, boot=call_id, at=at).tell("call.started").events)
        assert [record.call_id for record in await store.live(9)] == ["new", "old"]
        assert [record.call_id for record in await store.live(1)] == ["new"]


async def test_two_controls_that_tell_the_same_boot_keep_every_event_once(cluster):
    """A node that was only cut off delivers while another adopts what it left."""
    url, events = cluster.fresh(), conversation()
    async with Store(url) as one, Store(url) as two:
        told = [*(one.write(0, events[:cut]) for cut in range(1, len(events) + 1)), two.write(0, events)]
        told += [two.adopt(0, "b1", events, DEATH), one.adopt(0, "b1", events, DEATH)]
        await asyncio.gather(*told)
        assert [event.seq for event in await one.events("call-1")] == list(range(1, len(events) + 1))
        assert await two.recent(5) == [fold(events)]


async def test_a_transaction_is_done_to_its_end_when_nobody_waits_any_more(cluster):
    url = cluster.fresh()
    async with Store(url) as store:
        told = [
            asyncio.create_task(
                store.write(n, Script(boot=f"b{n}", call_id=f"c{n}").tell("call.started").events)
            )
            for n in range(9)
        ]
        await asyncio.sleep(0)
        for task in told:
            task.cancel()
        await asyncio.gather(*told, return_exceptions=True)
    async with Store(url) as store:
        for record in await store.recent(9):
            assert len(await store.events(record.call_id)) == 1


async def found(store):
    """What it reads, once it is there: for a moment after a try that failed everybody is told the same."""
    with contextlib.suppress(StoreAwayError):
        return [await store.recent(1)]


async def test_a_patient_store_begins_without_its_database_and_finds_it_later(cluster):
    folder = cluster.folder
    hidden = folder / "hidden"
    socket = folder / ".s.PGSQL.5432"
    url = cluster.fresh()
    socket.rename(hidden)
    try:
        async with Store(url, patient=True) as store:
            with pytest.raises(StoreAwayError, match="cannot open the store"):
                await store.recent(1)
            hidden.rename(socket)
            assert await eventually(lambda: found(store)) == [[]]
    finally:
        if hidden.exists():
            hidden.rename(socket)


async def test_whoever_counts_is_told_of_every_event_once_however_often_it_is_delivered(url):
    events, told = conversation(), []
    async with Store(url) as store:
        store.on_stored = told.extend
        await store.write(0, events[:6])
        await store.write(0, events[3:8])
        await store.write(0, events[:8])
        assert await store.adopt(0, "b1", events[5:10], DEATH) == ["call-1"]
        await store.adopt(0, "b1", events[5:10], DEATH)
    assert [event.seq for event in told] == list(range(1, 12))
    assert (told[-1].type, told[-1].data["reason"]) == ("call.ended", "worker_died")


async def test_the_calls_of_a_lost_node_end_in_pieces_each_in_few_statements(url):
    """A node of thousands: one statement after the other for each call would outlast the transaction's deadline."""
    said = []

    def watch(*facts):
        said.append(facts[2])

    async with Store(url, node="a") as store:
        for boot in range(12):
            told = Script(f"c{boot}", f"b{boot}")
            for number in range(50):
                told.tell("call.started", call_id=f"c{boot}-{number}")
            await store.write(boot, told.events)
        sa.event.listen(sa.Engine, "before_cursor_execute", watch)
        try:
            ended = [await store.end_lost("a", Death(2000.0, "not heard of")) for _ in range(3)]
            back = [await store.go_on([f"b{boot}" for boot in range(12)]) for _ in range(3)]
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", watch)
        assert [len(some) for some in (*ended, *back)] == [500, 100, 0, 500, 100, 0]
        assert len({*ended[0], *ended[1]}) == 600
        assert len(said) < 120
        assert len(await store.live(1000)) == 600


async def test_what_links_bring_together_is_written_in_few_statements_however_many_calls_it_speaks_of(url):
    """Every connection keeps every statement that it has seen, and so does the server."""
    said = set()

    def watch(*facts):
        said.add(facts[2])

    async with Store(url, node="a") as store:
        sa.event.listen(sa.Engine, "before_cursor_execute", watch)
        try:
            for count in range(1, 34):
                told = Script(f"c{count}", f"b{count}")
                for number in range(count):
                    told.tell("call.started", call_id=f"c{count}-{number}")
                assert await store.write(0, told.events) == count
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", watch)
        assert len(await store.live(1000)) == 33 * 34 / 2
    assert len(said) < 20
