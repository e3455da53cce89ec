import pytest

from bridge.errors import StoreError
from bridge.outbound.job import Job, Wish
from bridge.records.cdr import CallRecord
from bridge.store.eventstore import EventStore, Position
from bridge.store.gatestore import GateStore
from bridge.store.keepstore import Forgotten, Hold, KeepStore
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store
from bridge.store.voicemailstore import VoicemailStore
from tests.fakes.events import Script


@pytest.fixture
async def store(database):
    async with Store(database) as opened:
        yield opened


def call(call_id, at=1000.0, *, ended=True, path=""):
    script = Script(call_id=call_id, boot=f"b-{call_id}", at=at).tell("call.started")
    script.tell("transcript", 1, role="caller", text="my name is Anna")
    script.tell("dtmf", 2, digit="4")
    if path:
        script.tell("recording", 2, path=path)
    if ended:
        script.tell("call.ended", 9, by="caller")
    return script.events


def job(job_id, state):
    return Job(job_id, Wish("+493012345678"), "seal", state=state)


def hold(call_id):
    return Hold(call_id, "case 7", "ann", 5.0)


async def test_pages_show_every_old_call_once_and_what_is_there_of_it(store):
    for number in range(5):
        await store.write(0, call(f"c{number}", 1000.0 if number < 3 else 2000.0, path=f"/rec/{number}.wav"))
    keep = KeepStore(store)
    await keep.hold(hold("c1"))
    seen, after = [], (0.0, "")
    while page := await keep.page(after, 1500.0, 2):
        seen += page
        after = (page[-1].started_at, page[-1].call_id)
    assert [(one.call_id, one.held, one.words, one.events) for one in seen] == [
        ("c0", False, 2, 5),
        ("c1", True, 2, 5),
        ("c2", False, 2, 5),
    ]
    assert seen[0].recording_path == "/rec/0.wav"
    assert seen[0].ended_at == 1014.0


async def test_words_go_before_the_timeline_and_the_record_goes_last(store):
    await store.write(0, call("c1", path="/rec/1.wav"))
    keep = KeepStore(store)
    assert await keep.forget(words=["c1"], recordings=["c1"]) == Forgotten(events=2, recordings=1)
    assert [one.type for one in await store.events("c1")] == ["call.started", "recording", "call.ended"]
    (record,) = await store.find("c1")
    assert record.recording_path is None
    assert (await keep.forget(events=["c1"])).events == 3
    assert await store.events("c1") == []
    assert isinstance((await store.find("c1"))[0], CallRecord)
    assert await keep.forget(calls_=["c1"]) == Forgotten(calls=1)
    assert await store.find("c1") == []


async def test_a_delivery_that_comes_twice_does_not_bring_forgotten_events_back(store):
    events = call("c1")
    await store.write(0, events)
    await KeepStore(store).forget(calls_=["c1"])
    assert await store.write(0, events) == 0
    assert await store.find("c1") == []


async def test_a_call_that_was_held_meanwhile_stays(store):
    await store.write(0, call("c1"))
    keep = KeepStore(store)
    assert await keep.hold(hold("c1"))
    assert not await keep.hold(hold("c1"))
    assert await keep.forget(words=["c1"], calls_=["c1"]) == Forgotten()
    with pytest.raises(StoreError, match=r"is held \(case 7\)"):
        await keep.erase("c1")
    assert [one.by for one in await keep.holds()] == ["ann"]
    assert await keep.release("c1")
    assert not await keep.release("c1")
    assert (await keep.erase("c1")).calls == 1


async def test_what_is_not_there_or_goes_on_is_neither_held_nor_erased(store):
    keep = KeepStore(store)
    with pytest.raises(StoreError, match="there is no call"):
        await keep.hold(hold("nobody"))
    with pytest.raises(StoreError, match="there is no call"):
        await keep.erase("nobody")
    await store.write(0, call("c1", ended=False))
    with pytest.raises(StoreError, match="goes on"):
        await keep.erase("c1")


async def test_messages_go_when_they_are_old_and_nobody_waits_for_their_delivery(store):
    for number, to in ((1, []), (2, ["office"]), (3, [])):
        script = Script(call_id=f"c{number}", boot=f"b{number}", at=1000.0).tell("call.started")
        script.tell("voicemail", 5, path=f"/rec/{number}.wav", seconds=4.0, mailbox="m", to=to)
        await store.write(0, script.tell("call.ended", 9).events)
    keep = KeepStore(store)
    await keep.hold(hold("c3"))
    old = await keep.old_messages(2000.0, 10)
    assert [(one.call_id, one.path) for one in old] == [("c1", "/rec/1.wav")]
    assert await keep.old_messages(1000.0, 10) == []
    assert await keep.forget_messages([one.voicemail_id for one in old]) == 1
    assert [one.call_id for one in await VoicemailStore(store).messages()] == ["c3", "c2"]
    assert [one.path for one in await keep.messages_of("c2")] == ["/rec/2.wav"]
    assert (await keep.erase("c2")).voicemails == 1


async def test_what_is_held_while_retention_is_at_work_stays(store):
    """Between its look and its deletion the call was held."""
    script = Script(call_id="c1", boot="b1", at=1000.0).tell("call.started")
    script.tell("voicemail", 5, path="/rec/1.wav", seconds=4.0, mailbox="m", to=[])
    await store.write(0, script.tell("call.ended", 9).events)
    keep = KeepStore(store)
    old = await keep.old_messages(2000.0, 10)
    await keep.hold(hold("c1"))
    assert await keep.forget_messages([one.voicemail_id for one in old]) == 0
    with pytest.raises(StoreError, match="is held"):
        await GateStore(store).erase("c1", "retention", 5.0)
    assert [one.call_id for one in await VoicemailStore(store).messages()] == ["c1"]


async def test_outbound_jobs_go_when_they_are_over_and_others_stay(store):
    outbound, keep = OutboundStore(store), KeepStore(store)
    await outbound.add([job("done", "done"), job("waits", "queued")])
    assert await keep.forget_outbound(1.0, 10) == 0
    assert await keep.count_outbound(9e9) == 1
    assert await keep.forget_outbound(9e9, 10) == 1
    assert [one.job_id for one in await outbound.jobs()] == ["waits"]


async def test_the_number_of_an_event_that_was_erased_never_comes_again(store):
    """Webhooks, their receivers and the API's stream know events by it; nobody is told of the row that holds it."""
    feed, keep = EventStore(store), KeepStore(store)
    for name in ("c1", "c2", "c3"):
        await store.write(0, call(name))
        before = await feed.head()
        await keep.erase(name)
        assert await feed.head() == before
    await store.write(0, call("c4"))
    told, _ = await feed.between(Position(), await feed.head(), 100)
    assert {one.call_id for one in told} == {"c4"}
    assert min(one.number for one in told) > before.calls
    assert len(await store.events("")) == 1
