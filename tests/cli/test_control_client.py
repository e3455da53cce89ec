import asyncio
import threading
from contextlib import contextmanager

import pytest

from bridge.cli.control_client import ask
from bridge.errors import BridgeError


@pytest.fixture
def config(tmp_path):
    (tmp_path / "st").mkdir()
    (tmp_path / "bridge.yaml").write_text("state_dir: st\n")
    return tmp_path / "bridge.yaml"


@contextmanager
def answering(config, text):
    """A server at the socket that says `text` to whoever connects."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    over = asyncio.Event()

    async def talk(reader, writer):
        if await reader.readline():  # one that only looks whether somebody is there says nothing
            await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()
        writer.close()

    async def run():
        async with await asyncio.start_unix_server(talk, str(config.parent / "st" / "api.sock")):
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()


def reply(status, body):
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_status_and_body_of_the_answer(config):
    with answering(config, reply(422, '{"error": "no"}')):
        assert ask(config, "GET", "/api/v1/x") == (422, {"error": "no"})


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (reply(403, '{"error": "you may not"}'), "you may not"),
        (reply(200, "hello"), "control answered 200 without JSON"),
        (b"nonsense\r\n\r\n", "control gave no answer"),
    ],
)
def test_what_is_no_answer_is_a_sentence(config, answer, sentence):
    with answering(config, answer), pytest.raises(BridgeError, match=sentence):
        ask(config, "GET", "/api/v1/x")


def test_nobody_there(config):
    with pytest.raises(BridgeError, match="nobody answers at"):
        ask(config, "GET", "/api/v1/x")
