import asyncio

import pytest
import structlog
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from bridge.errors import LinkError
from bridge.link.messages import Ack, Event, Hello, PlaceCall, Registrar, Status, decode, encode
from bridge.link.server import HANDOVER_S
from tests.fakes.link import GUARD_S, MemoryStore, client, server, until

HELLO = Hello(0, "b1", 1, 5060, "v1", 0)


def connect(folder):
    return unix_connect(str(folder / "s"), "ws://control/link", compression=None)


def event(seq, boot="b1"):
    return Event(seq, boot, "call-1", "dtmf", 1.0, 1.0, {})


async def test_the_socket_is_for_the_owner_only_and_gone_afterwards(tmp_path):
    async with server(tmp_path, MemoryStore()):
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "s").exists()


async def test_a_socket_left_by_a_killed_control_is_no_obstacle(tmp_path):
    first = server(tmp_path, MemoryStore())
    await first.__aenter__()
    stale = (tmp_path / "s").stat().st_ino
    async with server(tmp_path, MemoryStore()):
        assert (tmp_path / "s").stat().st_ino != stale
    await first.__aexit__()


async def test_a_place_where_no_socket_can_be_says_so(tmp_path):
    with pytest.raises(LinkError, match="shorten state_dir"):
        await server(tmp_path / ("x" * 120), MemoryStore()).__aenter__()


@pytest.mark.parametrize("first", ["nonsense", encode(Status({}))])
async def test_who_does_not_say_hello_first_is_sent_away(tmp_path, first):
    async with server(tmp_path, MemoryStore()) as link_server, connect(tmp_path) as connection:
        await connection.send(first)
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        assert link_server.peers() == []


async def test_nonsense_and_events_of_a_foreign_boot_are_counted_and_the_rest_goes_on(tmp_path):
    store = MemoryStore()
    async with server(tmp_path, store) as link_server, connect(tmp_path) as connection:
        for message in (
            encode(HELLO),
            "nonsense",
            encode(Ack(3)),
            encode(event(1, "other")),
            encode(event(1)),
        ):
            await connection.send(message)
        assert decode(await connection.recv()) == Ack(1)
        assert link_server.counters.bad_messages == 3
    assert store.seqs("b1") == [1]
    assert "other" not in store.kept


async def test_an_event_is_acked_only_once_it_is_stored(tmp_path):
    store = MemoryStore()
    store.failures = 2
    async with server(tmp_path, store) as link_server, connect(tmp_path) as connection:
        await connection.send(encode(HELLO))
        await connection.send(encode(event(1)))
        assert decode(await connection.recv()) == Ack(1)
        assert link_server.counters.store_retries == 2


async def test_a_store_that_refuses_is_told_once_and_once_when_it_takes_again(tmp_path):
    store = MemoryStore()
    store.failures = 10**9
    async with server(tmp_path, store) as link_server, connect(tmp_path) as connection:
        with structlog.testing.capture_logs() as logs:
            await connection.send(encode(HELLO))
            await connection.send(encode(event(1)))
            await until(lambda: link_server.counters.store_retries >= 3)
            assert link_server.store_failing_since is not None
            store.failures = 0
            assert decode(await connection.recv()) == Ack(1)
        assert link_server.store_failing_since is None
    (refused,) = [entry for entry in logs if entry["event"] == "store.refuses"]
    (taken,) = [entry for entry in logs if entry["event"] == "store.takes_again"]
    assert (refused["log_level"], refused["reason"]) == ("warning", "database is locked")
    assert taken["refused"] == link_server.counters.store_retries
    assert taken["seconds"] >= 0


async def test_control_can_stop_while_the_store_refuses(tmp_path):
    store = MemoryStore()
    store.failures = 10**9
    link_server = server(tmp_path, store)
    async with link_server, asyncio.timeout(GUARD_S):
        connection = await connect(tmp_path)
        await connection.send(encode(HELLO))
        for seq in range(1, 1000):
            await connection.send(encode(event(seq)))
        await until(lambda: link_server.counters.store_retries)
    await connection.wait_closed()
    assert store.kept == {}


async def test_a_worker_that_comes_back_takes_its_place_and_the_status_is_known(tmp_path):
    store = MemoryStore()
    async with server(tmp_path, store) as link_server:
        async with client(tmp_path, boot="b1"):
            await until(lambda: link_server.peers() and link_server.peers()[0].status)
            assert link_server.peers()[0].status["sip_port"] == 5070
        async with client(tmp_path, boot="b2"):
            await until(lambda: [peer.hello.boot for peer in link_server.peers()] == ["b2"])
    assert store.left == ["b1", "b2"]


async def test_a_word_for_one_process_reaches_it_or_is_known_not_to(tmp_path):
    async with server(tmp_path, MemoryStore()) as link, connect(tmp_path) as wire:
        await wire.send(encode(HELLO))
        await until(lambda: bool(link.peers()))
        order = PlaceCall("c1", "+493012345678", "v1", "", {"name": "Ann"})
        assert link.tell("b1", order)
        assert not link.tell("b2", order)
        assert decode(await wire.recv()) == order


async def told(wire):
    return decode(await asyncio.wait_for(wire.recv(), GUARD_S))


async def test_the_one_worker_that_registers_is_told_so_and_the_others_that_they_do_not(tmp_path):
    """Also who comes later; and nobody is told anything before somebody was named."""
    async with server(tmp_path, MemoryStore()) as link, connect(tmp_path) as first:
        await first.send(encode(HELLO))
        await until(lambda: bool(link.peers()))
        link.name_registrar(1)
        assert await told(first) == Registrar(on=False)
        async with connect(tmp_path) as second:
            await second.send(encode(Hello(1, "b2", 1, 5061, "v1", 0)))
            assert await told(second) == Registrar(on=True)
        assert link.registrar == 1


async def test_who_registers_from_now_on_is_told_after_who_did_has_had_the_time_to_unregister(tmp_path):
    async with (
        server(tmp_path, MemoryStore()) as link,
        connect(tmp_path) as first,
        connect(tmp_path) as second,
    ):
        link.name_registrar(0)
        await first.send(encode(HELLO))
        await second.send(encode(Hello(1, "b2", 1, 5061, "v1", 0)))
        assert (await told(first), await told(second)) == (Registrar(on=True), Registrar(on=False))
        link.name_registrar(1)
        link.name_registrar(1)  # once is enough
        assert await told(first) == Registrar(on=False)
        began = asyncio.get_running_loop().time()
        assert await told(second) == Registrar(on=True)
        assert asyncio.get_running_loop().time() - began > HANDOVER_S - 0.2
        link.name_registrar(None)
        assert await told(second) == Registrar(on=False)


async def test_a_worker_that_comes_back_in_the_middle_of_a_handover_is_told_once(tmp_path):
    async with server(tmp_path, MemoryStore()) as link, connect(tmp_path) as first:
        link.name_registrar(0)
        await first.send(encode(HELLO))
        assert await told(first) == Registrar(on=True)
        link.name_registrar(1)
        assert await told(first) == Registrar(on=False)
        async with connect(tmp_path) as second:
            await second.send(encode(Hello(1, "b2", 1, 5061, "v1", 0)))
            assert await told(second) == Registrar(on=True)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(second.recv(), 0.05)
