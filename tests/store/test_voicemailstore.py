import pytest

from bridge.store.callrows import Death
from bridge.store.store import Store
from bridge.store.voicemailstore import Delivery, VoicemailStore
from tests.fakes.events import Script


@pytest.fixture
def url(database):
    return database


def script(**more):
    data = {"path": "/rec/c1-1.wav", "seconds": 4.2, "mailbox": "sales", "to": ["office", "hook", "office"]}
    data |= {"from": "sip:a@b", "called": "sip:1@c", **more}
    return Script(call_id="c1", at=1000.0).tell("call.started").tell("voicemail", 5, **data)


async def test_a_message_is_kept_with_its_event_and_once(url):
    events = script().events
    async with Store(url) as store:
        await store.write(0, events)
        await store.write(0, events)
        (message,) = await VoicemailStore(store).messages()
        deliveries = await VoicemailStore(store).deliveries(message.voicemail_id)
        assert len(await store.events("c1")) == 2
    assert (message.path, message.seconds, message.mailbox, message.at) == (
        "/rec/c1-1.wav",
        4.2,
        "sales",
        1005.0,
    )
    assert (message.from_uri, message.called, message.transcript, message.state) == (
        "sip:a@b",
        "sip:1@c",
        None,
        "new",
    )
    assert [(one.channel, one.state, one.tries) for one in deliveries] == [
        ("hook", "pending", 0),
        ("office", "pending", 0),
    ]


async def test_a_message_in_the_spool_of_a_dead_worker_is_kept_too(url):
    async with Store(url) as store:
        await store.adopt(0, "b1", script().events, Death(1030.0, "killed"))
        assert len(await VoicemailStore(store).messages()) == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"to": None},
        {"to": "office"},
        {"seconds": "long"},
        {"mailbox": None, "from": 7},
        {"transcript": "\ud800\0" * 9},
    ],
)
async def test_odd_data_of_a_worker_never_stops_its_events(url, odd):
    async with Store(url) as store:
        assert await store.write(0, script(**odd).events) == 2
        assert len(await VoicemailStore(store).messages()) == 1


async def test_an_event_without_a_path_is_no_message(url):
    async with Store(url) as store:
        await store.write(0, script(path=None).events)
        assert await VoicemailStore(store).messages() == []


async def test_messages_are_found_marked_and_forgotten(url):
    async with Store(url) as store:
        await store.write(0, script().events)
        box = VoicemailStore(store)
        assert await box.messages(mailbox="support") == []
        assert (await box.message(1)).mailbox == "sales"
        assert await box.set_state(1, "done")
        assert await box.messages() == []
        assert [one.state for one in await box.messages(done=True)] == ["done"]
        assert await box.forget(1)
        assert (await box.message(1), await box.deliveries(1)) == (None, [])
        assert not await box.forget(1)
        assert not await box.set_state(1, "new")


async def test_what_is_due_comes_in_time_and_until_it_is_over(url):
    async with Store(url) as store:
        await store.write(0, script().events)
        box = VoicemailStore(store)
        assert await box.due(1004.9, 10) == []
        assert [delivery.channel for _, delivery in await box.due(1005.0, 10)] == ["office", "hook"]
        assert await box.next_due() == 1005.0
        await box.keep(Delivery(1, "office", "delivered", 1, 0.0, None))
        await box.keep(Delivery(1, "hook", "pending", 1, 2000.0, "refused"))
        assert await box.due(1999.0, 10) == []
        await box.hurry(1500.0)
        assert len(await box.due(1500.0, 10)) == 1
        await box.keep(Delivery(1, "hook", "pending", 1, 2000.0, "refused"))
        ((message, delivery),) = await box.due(2000.0, 10)
        assert (message.voicemail_id, delivery.error) == (1, "refused")
        await box.forget(1)
        assert (await box.due(3000.0, 10), await box.next_due()) == ([], None)


async def test_each_node_delivers_the_messages_whose_files_it_has(cluster):
    url = cluster.fresh()
    async with Store(url, node="a") as one, Store(url, node="b") as two:
        await one.write(0, script().events)
        here, there = VoicemailStore(one), VoicemailStore(two)
        assert len(await here.due(9e9, 9)) == 2
        assert (await there.due(9e9, 9), await there.next_due()) == ([], None)
        await there.hurry(1.0)
        assert await here.next_due() == 1005.0
        assert len(await there.messages()) == 1  # everybody may look
