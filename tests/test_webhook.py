"""Against a receiver that checks what it gets with the standardwebhooks library, as a user's would."""

import asyncio
import base64
import contextlib

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.errors import WebhookError
from bridge.webhook import post

SECRET = base64.b64encode(b"s" * 24).decode()


async def posted(reader):
    """Headers and body of one POST."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    pairs = (line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    headers = {name.lower(): value for name, value in pairs}
    return headers, (await reader.readexactly(int(headers["content-length"]))).decode()


class Receiver:
    """Answers every POST with `status`; `got` holds (headers, body)."""

    def __init__(self, status=200):
        self.status, self.got = status, []

    async def serve(self, reader, writer):
        try:
            self.got.append(await posted(reader))
            if self.status:
                writer.write(
                    f"HTTP/1.1 {self.status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a test has ended while its desk was about to post
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def receiving(status=200):
    receiver = Receiver(status)
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0) as server:
        yield receiver, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"


async def test_the_receiver_can_check_who_sent_it_and_that_it_is_whole():
    async with receiving() as (receiver, url):
        await post(url, SECRET, "r1-asked-0", {"type": "approval.asked", "data": {"tool": "refund"}})
    ((headers, body),) = receiver.got
    assert headers["webhook-id"] == "r1-asked-0"
    assert Webhook(SECRET).verify(body, headers)["data"] == {"tool": "refund"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + " ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"x" * 24).decode()).verify(body, headers)


async def test_an_old_one_is_refused_by_the_receiver():
    async with receiving() as (receiver, url):
        await post(url, SECRET, "r1", {})
    ((headers, body),) = receiver.got
    old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 600)}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, old)


@pytest.mark.parametrize(("status", "lost"), [(404, False), (400, False), (500, True), (0, True)])
async def test_what_was_not_taken_says_whether_it_may_have_arrived(status, lost):
    async with receiving(status) as (_, url):
        with pytest.raises(WebhookError) as caught:
            await post(url, SECRET, "r1", {}, timeout_s=2)
    assert caught.value.lost is lost


async def test_a_receiver_that_is_not_there_and_a_secret_that_is_none():
    with pytest.raises(WebhookError) as caught:
        await post("http://127.0.0.1:1/", SECRET, "r1", {})
    assert not caught.value.lost
    with pytest.raises(WebhookError, match="base64"):
        await post("http://127.0.0.1:1/", "ä", "r1", {})
