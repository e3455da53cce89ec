"""Demands: reference 1.1 and 1.9; style: every await has a deadline. Real sockets on 127.0.0.1, no sleeps.

The peer is a `websockets` server in the same loop, or a bare TCP server where the peer must misbehave.
"""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from bridge.errors import FailureKind, RemoteSessionError
from bridge.realtime.websocket import SMALL_FRAME, Bounds, Deadlines, WebSocketTransport, connect

SHORT = Deadlines(open_s=2.0, send_s=0.2, close_s=0.2, ping_interval_s=5.0, ping_timeout_s=5.0)
Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def session(
    handler: Handler, deadlines: Deadlines = SHORT, bounds: Bounds | None = None, **server
) -> AsyncIterator[WebSocketTransport]:
    server.setdefault("close_timeout", 0.2)
    async with serve(handler, "127.0.0.1", 0, **server) as listening:
        transport = await connect(url_of(listening), {}, deadlines, bounds)
        async with transport:
            yield transport


def url_of(listening) -> str:
    return f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/realtime?model=m"


@asynccontextmanager
async def tcp(handler) -> AsyncIterator[str]:
    gone: list[asyncio.StreamWriter] = []

    async def keep(reader, writer):
        gone.append(writer)
        await handler(reader, writer)

    async with await asyncio.start_server(keep, "127.0.0.1", 0) as listening:
        yield url_of(listening)
        for writer in gone:
            writer.transport.abort()


async def refusal(url: str, deadlines: Deadlines = SHORT) -> tuple[FailureKind, str]:
    with pytest.raises(RemoteSessionError) as caught:
        await connect(url, {}, deadlines)
    return caught.value.kind, caught.value.code


async def ending(transport: WebSocketTransport) -> tuple[FailureKind, str]:
    with pytest.raises(RemoteSessionError) as caught:
        await read_all(transport)
    return caught.value.kind, caught.value.code


async def read_all(transport: WebSocketTransport) -> None:
    while True:
        await transport.recv()


async def send_much(transport: WebSocketTransport) -> None:
    for _ in range(1000):
        await transport.send("x" * 100_000)


async def silent(connection: ServerConnection) -> None:
    await connection.wait_closed()


# --- frames ---


async def test_frames_go_both_ways_in_order_without_compression():
    seen = {}

    async def echo(connection):
        seen["extensions"] = connection.request.headers.get("Sec-WebSocket-Extensions")
        seen["path"] = connection.request.path
        async for frame in connection:
            await connection.send(frame)

    async with session(echo) as transport:
        await transport.send('{"type":"a"}')
        await transport.send('{"type":"ü"}')
        assert [await transport.recv(), await transport.recv()] == ['{"type":"a"}', '{"type":"ü"}']
    assert seen == {"extensions": None, "path": "/v1/realtime?model=m"}


async def test_our_headers_are_sent_and_no_beta_header():
    seen = {}

    async def look(connection):
        seen.update(connection.request.headers.raw_items())

    async with serve(look, "127.0.0.1", 0) as listening:
        transport = await connect(url_of(listening), {"Authorization": "Bearer k"}, SHORT)
        assert await ending(transport)
    assert seen["Authorization"] == "Bearer k"
    assert "OpenAI-Beta" not in seen


async def test_neither_key_nor_words_reach_a_debug_log(caplog):
    async def echo(connection):
        await connection.send(await connection.recv())
        await connection.wait_closed()

    quiet = logging.getLogger("test.server")
    quiet.setLevel(logging.WARNING)
    caplog.set_level(logging.DEBUG)
    async with serve(echo, "127.0.0.1", 0, logger=quiet) as listening:
        transport = await connect(url_of(listening), {"api-key": "secret"}, SHORT)
        await transport.send("my words")
        assert await transport.recv() == "my words"
        await transport.close()
    assert "secret" not in caplog.text
    assert "my words" not in caplog.text


async def test_binary_frames_are_passed_on_as_bytes():
    async def binary(connection):
        await connection.send(b"\x01")
        await connection.wait_closed()

    async with session(binary) as transport:
        assert await transport.recv() == b"\x01"


async def test_a_peer_is_held_back_when_we_do_not_read():
    sent = []

    async def flood(connection):
        for index in range(400):
            await connection.send("x" * 50_000)
            sent.append(index)

    async with session(flood, bounds=Bounds(max_queue=4), write_limit=1024) as transport:
        for _ in range(50):
            await asyncio.sleep(0)
        early = len(sent)
        for _ in range(400):
            await transport.recv()
        assert early < 400


# --- ends ---


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1000, FailureKind.RETRY),
        (1001, FailureKind.RETRY),
        (1008, FailureKind.FATAL),
        (1011, FailureKind.RETRY),
        (1013, FailureKind.RETRY),
        (4999, FailureKind.RETRY),
    ],
)
async def test_a_close_of_the_peer_says_its_code_to_reader_and_sender(code, kind):
    async def leave(connection):
        await connection.close(code, "reason\x1b")

    async with session(leave) as transport:
        with pytest.raises(RemoteSessionError) as caught:
            await transport.recv()
        assert (caught.value.kind, caught.value.code) == (kind, f"close_{code}")
        assert caught.value.message == "reason "
        with pytest.raises(RemoteSessionError, match=f"close_{code}"):
            await transport.send("x")


async def test_a_dropped_connection_is_1006():
    async def drop(connection):
        connection.transport.abort()

    async with session(drop) as transport:
        assert await ending(transport) == (FailureKind.RETRY, "close_1006")


async def test_a_peer_that_answers_no_ping_is_found_out():
    async def hold(connection):
        connection.transport.pause_reading()
        await connection.wait_closed()

    quick = Deadlines(open_s=2.0, send_s=0.2, close_s=0.05, ping_interval_s=0.02, ping_timeout_s=0.05)
    async with session(hold, quick, ping_interval=None) as transport:
        assert await ending(transport) == (FailureKind.RETRY, "ping_timeout")


async def test_a_frame_beyond_the_bound_ends_the_session():
    async def shout(connection):
        await connection.send("x" * 2000)
        await connection.wait_closed()

    async with session(shout, bounds=Bounds(max_message_bytes=1000)) as transport:
        assert await ending(transport) == (FailureKind.FATAL, "message_too_big")


async def test_a_peer_that_takes_no_data_hits_the_send_deadline():
    async def stall(connection):
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with session(stall, bounds=Bounds(max_write_bytes=1024)) as transport:
        with pytest.raises(RemoteSessionError) as caught:
            await send_much(transport)
        assert (caught.value.kind, caught.value.code) == (FailureKind.RETRY, "send_timeout")


async def test_closing_is_idempotent_and_bounded_when_the_peer_is_deaf():
    async def deaf(connection):
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with session(deaf) as transport, asyncio.timeout(20):
        await transport.close()
        await transport.close(1001, "again")
        assert (await ending(transport))[1] == "close_1006"


async def test_our_close_code_reaches_the_peer():
    codes = asyncio.Queue()

    async def listen(connection):
        await connection.wait_closed()
        await codes.put((connection.close_code, connection.close_reason))

    async with session(listen) as transport:
        await transport.close(1000, "call ended")
    assert await asyncio.wait_for(codes.get(), 5) == (1000, "call ended")


async def test_a_cancelled_reader_stays_cancelled_and_the_connection_usable():
    async def echo(connection):
        async for frame in connection:
            await connection.send(frame)

    async with session(echo) as transport:
        reader = asyncio.ensure_future(transport.recv())
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await transport.send("still here")
        assert await transport.recv() == "still here"


# --- refusals ---


def answer(status: int, body: object = None):
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus(status), json.dumps(body) if body is not None else "plain\n")

    return refuse


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, None, (FailureKind.FATAL, "http_401")),
        (
            401,
            {"error": {"code": "invalid_api_key", "message": "no"}},
            (FailureKind.FATAL, "invalid_api_key"),
        ),
        (403, {"error": "forbidden"}, (FailureKind.FATAL, "http_403")),
        (404, {"detail": "Not Found"}, (FailureKind.FATAL, "http_404")),
        (429, None, (FailureKind.RETRY, "http_429")),
        (429, {"error": {"type": "insufficient_quota"}}, (FailureKind.FATAL, "insufficient_quota")),
        (429, {"error": {"code": "odd\n" * 500}}, (FailureKind.RETRY, "http_429")),
        (503, [], (FailureKind.RETRY, "http_503")),
    ],
)
async def test_an_http_refusal_says_whether_to_try_again(status, body, expected):
    async with serve(silent, "127.0.0.1", 0, process_request=answer(status, body)) as listening:
        assert await refusal(url_of(listening)) == expected


async def test_a_redirect_is_not_followed_because_the_key_would_go_along():
    def away(connection, request):
        response = connection.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = "ws://127.0.0.1:9/elsewhere"
        return response

    async with serve(silent, "127.0.0.1", 0, process_request=away) as listening:
        assert await refusal(url_of(listening)) == (FailureKind.FATAL, "http_302")


async def test_a_peer_that_never_answers_the_handshake_hits_the_open_deadline():
    async def hang(reader, writer):
        await reader.read()

    async with tcp(hang) as url:
        assert await refusal(url, Deadlines(open_s=0.05)) == (FailureKind.RETRY, "connect_timeout")


async def test_a_peer_that_hangs_up_in_the_handshake_may_be_tried_again():
    async def hang_up(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with tcp(hang_up) as url:
        assert await refusal(url) == (FailureKind.RETRY, "bad_handshake")


async def test_a_peer_that_answers_nonsense_is_no_websocket():
    async def nonsense(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")

    async with tcp(nonsense) as url:
        assert await refusal(url) == (FailureKind.FATAL, "bad_handshake")


async def test_a_peer_that_speaks_no_tls_fails_as_tls():
    async def plain(reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with tcp(plain) as url:
        assert (await refusal(url.replace("ws:", "wss:")))[1] == "tls_failed"


async def test_nobody_listening_may_be_tried_again():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{reserved.getsockname()[1]}/"
        assert await refusal(url) == (FailureKind.RETRY, "connect_failed")


@pytest.mark.parametrize("name", ["socks_proxy", "https_proxy", "http_proxy"])
async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch, name):
    """One that somebody set for their browser keeps sip-to-ai's calls dumb (issue 6). Ours go where settings say."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv(name, "socks5://127.0.0.1:1" if name == "socks_proxy" else "http://127.0.0.1:1")
    async with session(silent) as transport:
        assert isinstance(transport, WebSocketTransport)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "ws://127.0.0.1:99999/", "nonsense"])
async def test_what_is_no_websocket_url_is_refused(url):
    assert await refusal(url) == (FailureKind.FATAL, "bad_url")


async def test_an_unknown_host_may_be_tried_again():
    assert await refusal("ws://nowhere.invalid/") == (FailureKind.RETRY, "dns_failed")


async def test_frames_of_every_size_that_are_sent_at_once_arrive_whole_between_others():
    got = []

    async def keep(connection):
        got.extend([message async for message in connection])

    texts = ["x" * size for size in (0, 1, 125, 126, 127, 1328, 4096)]
    async with session(keep) as transport:
        for text in texts:
            assert transport.send_at_once(text)
            await transport.send("y" * 5000)
    assert got == [one for text in texts for one in (text, "y" * 5000)]


async def test_what_is_too_long_or_comes_too_late_is_not_sent_at_once():
    async with session(silent) as transport:
        assert not transport.send_at_once("x" * (SMALL_FRAME + 1))
    assert not transport.send_at_once("x")
