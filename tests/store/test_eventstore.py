from bridge.store.eventstore import EventStore, Position
from bridge.store.store import Store
from tests.fakes import office as offices
from tests.fakes.events import Script, conversation


async def test_what_may_be_told_is_read_in_pages_and_in_order(database):
    events = conversation()
    async with Store(database) as store:
        await store.write(0, events)
        feed = EventStore(store)
        head = await feed.head()
        assert (len(await feed.numbers(0, 100)), head.audit) == (len(events), 0)
        told, place, types = [], Position(), []
        while place != head:
            told, place = await feed.between(place, head, 4)
            types += [one.type for one in told]
        assert types == [
            "call.started", "call.answered", "transcript", "transcript", "recording", "call.ended",
        ]  # fmt: skip
        assert told[-1].call["from_uri"] == "sip:alice@host"
        one = await feed.one("c", told[-1].number)
        assert (one.type, one.facts["by"], one.call["route"]) == ("call.ended", "caller", "reception")
        assert await feed.one("c", 999) is None
        assert await feed.one("t", 1) is None


async def test_an_event_of_a_call_without_a_record_is_told_all_the_same(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/x.db") as store:
        await store.write(0, Script().tell("call.ended", by="caller").events)
        (told,), _ = await EventStore(store).between(Position(), Position(10, 0), 5)
        assert told.type == "call.ended"


async def test_entries_of_the_audit_come_with_their_request(tmp_path):
    async with offices.running(tmp_path) as office:
        opened = await office.call()
        await office.decide(opened["request_id"])
        await office.settled(opened["request_id"])
        feed = EventStore(office.store)
        told, _ = await feed.between(Position(), await feed.head(), 100)
        assert [one.type for one in told] == ["requested", "approved", "succeeded"]
        assert told[1].facts["actor"] == "anna"
        assert told[0].request["request"]["tool"] == "pay"
        assert (await feed.one("a", told[0].number)).request_id == opened["request_id"]
