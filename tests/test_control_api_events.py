"""The stream of events for programs: what comes, to whom, and how one goes on where one was. Real sockets."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest

from bridge.console.stream import Streams
from bridge.control_api_events import EventsApi, Limits
from bridge.control_events import EventWatch
from bridge.store.eventstore import EventStore
from bridge.store.userstore import User, UserStore, token_id_of
from tests.fakes.api import running_api
from tests.fakes.events import Script, conversation

PATH = "/api/v1/events"
GUARD_S = 15.0


@asynccontextmanager
async def stream(folder, limits=None):
    made = []

    def routes(store):
        made.append(EventWatch(EventStore(store)))
        return EventsApi(made[0], UserStore(store), limits).routes()

    async with running_api(folder, routes) as api:
        task = asyncio.create_task(made[0].run())
        try:
            yield api
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def read(api, query="", role="operator", *, until=None, after="", then=None):
    """(id, event, data) of each event until one is called `until`; `then()` once the stream is open."""
    found, lines = [], {}
    headers = {"authorization": f"Bearer {api.tokens[role]}"} | ({"last-event-id": after} if after else {})
    base = f"http://127.0.0.1:{api.port}"
    async with (
        asyncio.timeout(GUARD_S),
        httpx.AsyncClient(base_url=base, timeout=GUARD_S) as client,
        client.stream("GET", PATH + query, headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("retry:") and then is not None:
                await then()
            name, _, value = line.partition(": ")
            if line:
                lines[name] = value
            elif "event" in lines:
                found.append((lines["id"], lines["event"], json.loads(lines["data"])))
                if lines["event"] == until:
                    return found
                lines = {}
    return found


async def test_what_happens_comes_as_it_happens(tmp_path):
    async with stream(tmp_path) as api:

        async def talk():
            await api.store.write(0, conversation())

        found = await read(api, until="call.ended", then=talk)
    assert [name for _, name, _ in found] == [
        "call.started", "call.answered", "transcript", "transcript", "recording.ready", "call.ended",
    ]  # fmt: skip
    assert found[0][2]["data"]["from"] == "sip:alice@host"


async def test_a_viewer_gets_no_words_and_no_numbers(tmp_path):
    async with stream(tmp_path) as api:

        async def talk():
            await api.store.write(0, conversation())

        found = await read(api, role="viewer", until="call.ended", then=talk)
    assert "transcript" not in [name for _, name, _ in found]
    assert "alice" not in repr(found)


async def test_who_comes_again_goes_on_where_they_were(tmp_path):
    async with stream(tmp_path) as api:
        await api.store.write(0, conversation())
        everything = await read(api, "?after=c0a0", until="call.ended")
        third = everything[2][0]
        rest = await read(api, after=third, until="call.ended")
    assert [one[0] for one in rest] == [one[0] for one in everything[3:]]


async def test_only_what_was_asked_for_comes(tmp_path):
    async with stream(tmp_path) as api:
        await api.store.write(0, conversation())
        found = await read(api, "?after=c0a0&events=call.started,call.ended", until="call.ended")
    assert [name for _, name, _ in found] == ["call.started", "call.ended"]


@pytest.mark.parametrize("after", ["c99999999a0", "c0a5"])
async def test_who_missed_too_much_is_told_to_look_anew(tmp_path, after):
    """An id from before the store was restored is one as well."""
    async with stream(tmp_path) as api:
        await api.store.write(0, conversation())
        (reset,) = await read(api, after=after, until="reset")
        assert reset[2] == {"missed": True}

    (tmp_path / "b").mkdir()
    async with stream(tmp_path / "b", Limits(behind=3)) as api:
        await api.store.write(0, conversation())
        assert (await read(api, "?after=c1a0", until="reset"))[0][1] == "reset"


@pytest.mark.parametrize(
    "query", ["?events=call.sang", "?after=7", "?after=c1a", "?after=c" + "9" * 30 + "a1"]
)
async def test_a_wish_that_makes_no_sense_is_refused(tmp_path, query):
    async with stream(tmp_path) as api:
        assert (await api.ask("GET", PATH + query))[0] == 400
        assert (await api.ask("GET", PATH, role=None))[0] == 401


async def test_streams_are_bounded(tmp_path):
    async with stream(tmp_path, Limits(most=1)) as api:

        async def second():
            assert (await api.ask("GET", PATH))[0] == 429
            await api.store.write(0, Script().tell("call.started").events)

        await read(api, until="call.started", then=second)


async def test_a_stream_ends_by_itself_and_for_who_may_no_more(tmp_path):
    async with stream(tmp_path, Limits(longest_s=0.05, look_s=0.05)) as api:
        assert await read(api) == []
    (tmp_path / "b").mkdir()
    async with stream(tmp_path / "b", Limits(look_s=0.05)) as api:

        async def disable():
            await UserStore(api.store).put(
                User("a-operator", frozenset({"operator"}), frozenset(), disabled=True)
            )

        assert await read(api, then=disable) == []


async def test_a_stream_ends_when_its_token_is_taken_back_and_that_of_another_goes_on(tmp_path):
    """Two tokens of one user: it is the token that counts, not its user alone."""
    async with stream(tmp_path, Limits(look_s=0.05)) as api:
        users = UserStore(api.store)
        api.tokens["other"] = await users.give_token("a-operator", "other", None)

        async def revoke():
            await users.revoke(token_id_of(api.tokens["operator"]))

        async def after(lost):
            assert await lost == []
            await api.store.write(0, Script().tell("call.started").events)

        async with asyncio.TaskGroup() as tasks:
            lost = tasks.create_task(read(api, then=revoke))
            found = await read(api, role="other", until="call.started", then=lambda: after(lost))
        assert [name for _, name, _ in found] == ["call.started"]


def test_a_stream_outlives_its_token_by_five_seconds_at_most():
    """A look that is just not old enough, and a stream that has just looked."""
    for limits in (Limits(), Streams()):
        assert 2 * limits.look_s < 5


async def test_a_stream_ends_for_who_may_no_more_also_where_something_always_happens(tmp_path):
    async with stream(tmp_path, Limits(look_s=0.4)) as api, asyncio.TaskGroup() as tasks:

        async def talk():
            for script in (Script(f"c{n}", f"b{n}") for n in range(10_000)):
                await api.store.write(0, script.tell("call.started").events)

        async def disable():
            api.talking = tasks.create_task(talk())
            await UserStore(api.store).put(
                User("a-operator", frozenset({"operator"}), frozenset(), disabled=True)
            )

        found = await read(api, then=disable)
        api.talking.cancel()
    assert all(name == "call.started" for _, name, _ in found)
