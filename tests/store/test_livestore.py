"""Live calls with what happens in them, and what is new of a few. On both databases."""

from bridge.store import livestore
from bridge.store.livestore import LiveStore
from bridge.store.store import Store
from tests.fakes.events import Script, conversation

TELLING = ("call.started", "agent.started")


def begun(call_id, at, boot="b1"):
    return Script(call_id=call_id, boot=boot, at=at).tell("call.started", direction="in", worker="w")


async def test_live_calls_come_the_newest_first_each_with_its_newest_telling_event(database):
    async with Store(database) as store:
        older = begun("c1", 1000.0, "b1").tell("agent.started", 1, item_id="i1").tell("dtmf", 1, digit="1")
        await store.write(0, older.events)
        await store.write(1, begun("c2", 2000.0, "b2").events)
        await store.write(2, conversation(call_id="c3", boot="b3"))
        found = await LiveStore(store).calls(TELLING, 10)
        assert [(one.record.call_id, one.type) for one in found] == [
            ("c2", "call.started"),
            ("c1", "agent.started"),
        ]
        assert (found[1].at, found[1].data) == (1001.0, {"item_id": "i1"})
        assert len(await LiveStore(store).calls(TELLING, 1)) == 1
        (nothing, *_) = await LiveStore(store).calls(("hum",), 1)
        assert (nothing.type, nothing.data) == ("", None)


async def test_one_call_is_found_whether_it_is_over_or_not(database):
    async with Store(database) as store:
        await store.write(0, conversation(call_id="c3"))
        assert (await LiveStore(store).call("c3")).end_reason == "normal"
        assert await LiveStore(store).call("c") is None


async def test_what_is_new_of_calls_comes_in_order_and_in_bounds(database, monkeypatch):
    async with Store(database) as store:
        live = LiveStore(store)
        await store.write(0, conversation(call_id="c1", boot="b1"))
        await store.write(1, begun("c2", 1.0, "b2").events)
        news = await live.news({"c1": 0, "c2": 0, "none": 0})
        assert [len(news[one]) for one in ("c1", "c2", "none")] == [len(conversation()), 1, 0]
        last = news["c1"][-1]
        assert (last.type, last.data["by"]) == ("call.ended", "caller")
        assert (await live.news({"c1": last.place}))["c1"] == []
        monkeypatch.setattr(livestore, "AT_ONCE", 3)
        assert len((await live.news({"c1": 0}))["c1"]) == 3
