"""The local engine's socket: handshake, limits, and every scripted fault as a client meets it."""

import asyncio
import contextlib
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.sim import scenario
from bridge.sim.script import Script
from bridge.sim.server import Engine, Limits, listen

GUARD_S = 15
FRONT_DESK = scenario.load()


@contextlib.asynccontextmanager
async def client(script=None, limits=None, query="?model=gpt-realtime-2.1", **options):
    """A raw client of a server that follows `script`."""
    engine = Engine(FRONT_DESK, Script.model_validate(script or {}), limits)
    async with (
        asyncio.timeout(GUARD_S),
        listen(engine, "127.0.0.1", 0) as url,
        connect(url + query, compression=None, close_timeout=0.2, **options) as socket,
    ):
        yield Client(socket, url)


class Client:
    def __init__(self, socket, url):
        self.socket, self.url = socket, url

    async def send(self, type_, **fields):
        await self.socket.send(json.dumps({"type": type_} | fields))

    async def until(self, type_):
        """Events up to the first of a type."""
        events = []
        async for message in self.socket:
            events.append(json.loads(message))
            if events[-1]["type"] == type_:
                return events
        raise AssertionError(f"closed before {type_}: {events}")

    async def say(self, text):
        await self.send("response.create", response={"instructions": f'Say exactly: "{text}"'})

    async def closed(self):
        """The close code, after everything was read."""
        with contextlib.suppress(ConnectionClosed):
            async for _ in self.socket:
                pass
        return self.socket.close_code


async def test_the_model_of_the_address_is_the_sessions():
    async with client() as peer:
        (created,) = await peer.until("session.created")
        assert created["session"]["model"] == "gpt-realtime-2.1"
        assert created["session"]["expires_at"] > 1_700_000_000


@pytest.mark.parametrize(
    ("script", "limits", "query", "status"),
    [
        ({"connect": {"status": 503, "delay_ms": 1}}, None, "", 503),
        ({}, Limits(connections=0), "", 429),
        ({}, None, "/elsewhere", 404),
    ],
)
async def test_a_handshake_can_be_refused(script, limits, query, status):
    with pytest.raises(InvalidStatus) as refused:
        async with client(script, limits, query):
            pass
    assert refused.value.response.status_code == status


async def test_two_conversations_do_not_mix():
    async with client() as one:
        await one.until("session.created")
        async with connect(one.url) as socket:
            other = Client(socket, one.url)
            await other.until("session.created")
            await one.say("First.")
            await other.say("Second.")
            first, second = await one.until("response.done"), await other.until("response.done")
    assert "First." in json.dumps(first)
    assert "Second." in json.dumps(second)
    assert "Second." not in json.dumps(first)


async def test_g711_voices_and_speed_change_the_audio():
    async with client() as peer:
        lengths = {}
        for voice, speed in (("marin", 1.0), ("shimmer", 1.0), ("marin", 1.5)):
            session = {
                "type": "realtime",
                "audio": {"output": {"format": {"type": "audio/pcma"}, "speed": speed}},
            }
            await peer.send("session.update", session=session)
            output = {"voice": voice}
            part = {"instructions": 'Say exactly: "One two three four."', "audio": {"output": output}}
            await peer.send("response.create", response=part)
            events = await peer.until("response.done")
            sound = "".join(
                event["delta"] for event in events if event["type"] == "response.output_audio.delta"
            )
            lengths[voice, speed] = sound
    assert len(lengths["marin", 1.5]) < len(lengths["marin", 1.0])
    assert lengths["marin", 1.0] != lengths["shimmer", 1.0]


async def test_leaving_in_the_middle_frees_the_place():
    engine = Engine(FRONT_DESK, Script(), Limits(connections=1))
    async with asyncio.timeout(GUARD_S), listen(engine, "127.0.0.1", 0) as url:
        for _ in range(3):
            async with connect(url) as socket:
                peer = Client(socket, url)
                await peer.until("session.created")
                await peer.say("A long line, which nobody will hear to its end.")
                await peer.until("response.created")
            while engine.open_connections:  # noqa: ASYNC110  # the server tells nobody; the guard bounds it
                await asyncio.sleep(0)


async def test_the_server_going_down_says_so():
    engine = Engine(FRONT_DESK, Script())
    async with asyncio.timeout(GUARD_S):
        async with listen(engine, "127.0.0.1", 0) as url:
            socket = await connect(url)
            await socket.recv()
        assert await Client(socket, url).closed() == 1001


# -- faults -----------------------------------------------------------------------------------------------------


async def test_fault_dropped_connection():
    fault = {"sending": "response.output_audio.delta", "nth": 2, "do": "drop"}
    async with client({"faults": [fault]}) as peer:
        await peer.say("This line is cut in the middle of its words, which is what we want to see.")
        assert await peer.closed() == 1006


async def test_fault_close_with_a_code():
    async with client({"faults": [{"after_ms": 20, "do": "close", "code": 1011, "reason": "oops"}]}) as peer:
        assert await peer.closed() == 1011
        assert peer.socket.close_reason == "oops"


async def test_fault_session_expired_early():
    async with client({"faults": [{"receiving": "response.create", "do": "expire"}]}) as peer:
        await peer.send("response.create")
        assert (await peer.until("error"))[-1]["error"]["code"] == "session_expired"
        assert await peer.closed() == 1001


async def test_fault_session_seconds_expire_the_session():
    async with client({"session_seconds": 1}) as peer:
        assert (await peer.until("error"))[-1]["error"]["code"] == "session_expired"
        assert await peer.closed() == 1001


async def test_fault_malformed_event():
    async with client(
        {"faults": [{"sending": "session.created", "do": "send", "text": '{"type": '}]}
    ) as peer:
        await peer.socket.recv()
        assert await peer.socket.recv() == '{"type": '


async def test_fault_error_event():
    wanted = {"type": "invalid_request_error", "code": "insufficient_quota", "message": "no money"}
    async with client({"faults": [{"receiving": "session.update", "do": "error", "error": wanted}]}) as peer:
        await peer.send("session.update", session={"type": "realtime"})
        assert (await peer.until("error"))[-1]["error"]["code"] == "insufficient_quota"


async def test_fault_failed_response_then_a_good_one():
    fail = {"nth": 1, "fail": {"code": "inference_rate_limit_exceeded"}}
    async with client({"responses": [fail]}) as peer:
        await peer.say("Hello.")
        assert (await peer.until("response.done"))[-1]["response"]["status"] == "failed"
        await peer.say("Hello.")
        assert (await peer.until("response.done"))[-1]["response"]["status"] == "completed"


async def test_fault_slow_first_audio_and_slow_deltas():
    loop = asyncio.get_running_loop()
    async with client({"responses": [{"first_audio_ms": 150, "delta_gap_ms": 60}]}) as peer:
        await peer.say("One two three four five six.")
        await peer.until("response.created")
        started = loop.time()
        await peer.until("response.output_audio.delta")
        assert loop.time() - started >= 0.13
        first = loop.time()
        assert len(await peer.until("response.output_audio.delta")) == 1
        assert loop.time() - first >= 0.05


async def test_fault_silence_instead_of_audio():
    async with client({"responses": [{"silence": True}]}) as peer:
        await peer.say("Hello.")
        delta = (await peer.until("response.output_audio.delta"))[-1]["delta"]
        assert set(delta.rstrip("=")) == {"A"}


async def test_fault_half_open_socket_answers_no_ping():
    fault = {"receiving": "response.create", "do": "half_open", "seconds": 30}
    async with client({"faults": [fault]}, Limits(close_s=0.2), ping_interval=None) as peer:
        await peer.until("session.created")
        await (await peer.socket.ping())
        await peer.send("response.create")
        await peer.until("response.created")
        pong = await peer.socket.ping()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pong


async def test_fault_half_open_socket_is_cut_after_its_time():
    fault = {"receiving": "response.create", "do": "half_open", "seconds": 0.05}
    async with client({"faults": [fault]}) as peer:
        await peer.send("response.create")
        assert await peer.closed() == 1006
