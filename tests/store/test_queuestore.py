"""What the console shows beside a request. On both databases."""

import contextlib

from bridge.store.gatestore import GateStore
from bridge.store.queuestore import MAX_EARLIER, MAX_LINES, QueueStore, SpokenLine
from bridge.store.store import Store
from tests.fakes.events import Script, conversation
from tests.fakes.requests import row


@contextlib.asynccontextmanager
async def opened(url):
    async with Store(url) as store:
        yield store, GateStore(store), QueueStore(store)


async def put(gates, request_id, at, state="pending", caller="+491", call_id="call1"):
    gate = {**row(caller=caller).gate, "state": state}
    gate["request"] = {
        **gate["request"],
        "request_id": request_id,
        "function_call_id": request_id,
        "call_id": call_id,
    }
    await gates.save(gate, 0, [], at)


async def test_the_pulse_tells_what_is_open_and_moves_when_anything_does(database):
    async with opened(database) as (store, gates, queue):
        assert await queue.pulse() == await queue.pulse()
        await put(gates, "a", 2.0)
        await put(gates, "b", 1.0, "unknown", call_id="c2")
        await put(gates, "c", 3.0, "denied", call_id="c3")
        first = await queue.pulse()
        assert [name for name, _ in first.places] == ["b", "a"]
        assert (first.pending, first.live_calls) == (1, 0)
        assert [name for name, _ in (await queue.pulse(["c"])).places] == ["b", "a", "c"]
        words = Script(call_id="call1").tell("call.started", direction="in").tell("dtmf", digit="1")
        await store.write(0, words.events)
        then = await queue.pulse()
        assert then.live_calls == 1
        assert dict(then.places)["a"] != dict(first.places)["a"]
        assert dict(then.places)["b"] == dict(first.places)["b"]


async def test_the_last_words_of_a_call_are_there_and_which_were_cut(database):
    async with opened(database) as (store, gates, queue):
        await store.write(0, conversation(call_id="call1"))
        more = Script(call_id="call1", boot="b2")
        more.tell("transcript", who="agent", item_id="i3", text="It is on its")
        more.tell("transcript", who="agent", item_id="i9", text=" ")
        await store.write(0, more.events)
        await put(gates, "a", 1.0)
        (request,) = await queue.requests(["a"])
        around = (await queue.around([request]))["a"]
        assert around.display == "Alice"
        assert around.lines == (
            SpokenLine("agent", "Hello, how can I help?"),
            SpokenLine("caller", "Where is my order?"),
            SpokenLine("agent", "It is on its", interrupted=True),
        )


async def test_of_a_long_call_only_the_last_words_are_read(database):
    async with opened(database) as (store, gates, queue):
        script = Script(call_id="call1")
        for number in range(100):
            script.tell("transcript", who="caller", item_id=f"i{number}", text=f"word {number}")
        await store.write(0, script.events)
        await put(gates, "a", 1.0)
        lines = (await queue.around(await queue.requests(["a"])))["a"].lines
        assert [line.text for line in lines] == [f"word {number}" for number in range(100 - MAX_LINES, 100)]


async def test_earlier_requests_of_this_caller_and_function_are_there_the_newest_first(database):
    async with opened(database) as (_, gates, queue):
        for number in range(MAX_EARLIER + 2):
            await put(gates, f"old{number}", float(number), "denied")
        await put(gates, "other", 20.0, "denied", caller="+492")
        await put(gates, "open", 21.0)
        await put(gates, "a", 30.0)
        await put(gates, "later", 40.0, "denied")
        around = await queue.around(await queue.requests(["a"]))
        assert [one.request_id for one in around["a"].earlier] == ["old6", "old5", "old4", "old3", "old2"]


async def test_a_caller_without_a_number_has_no_past(database):
    async with opened(database) as (_, gates, queue):
        await put(gates, "old", 1.0, "denied", caller="")
        await put(gates, "a", 2.0, caller="")
        assert (await queue.around(await queue.requests(["a"])))["a"].earlier == ()
        assert await queue.requests(["none"]) == []


async def test_what_nobody_settles_does_not_hide_what_waits_for_a_person(database):
    """Requests of unknown outcome stay open until somebody looks; there may be many, and they are old."""
    async with opened(database) as (store, gates, _):
        queue = QueueStore(store, most=3)
        for number in range(4):
            await put(gates, f"u{number}", float(number), "unknown")
        await put(gates, "waits", 9.0)
        await put(gates, "done", 5.0, "denied")
        names = [name for name, _ in (await queue.pulse(["done"])).places]
        assert "waits" in names
        assert names == ["u2", "u3", "done", "waits"]
