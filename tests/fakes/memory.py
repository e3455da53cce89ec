"""A connection to FakeRealtime without a network: two queues, and the same failures a WebSocket has."""

import asyncio
from types import SimpleNamespace

from bridge.errors import FailureKind, RemoteSessionError

GONE = object()


class ServerEnd:
    """The part of websockets' ServerConnection that FakeRealtime uses."""

    def __init__(self, url, headers):
        self.request = SimpleNamespace(path=url, headers=dict(headers))
        self.to_client = asyncio.Queue()
        self.to_server = asyncio.Queue()

    async def send(self, text):
        self.to_client.put_nowait(text)

    def drop(self, code="close_1006"):
        """The network takes the connection away."""
        self.to_client.put_nowait(RemoteSessionError(FailureKind.RETRY, code, "connection lost"))

    def __aiter__(self):
        return self

    async def __anext__(self):
        message = await self.to_server.get()
        if message is GONE:
            raise StopAsyncIteration
        return message


class MemoryTransport:
    """bridge.realtime.transport.Transport to a FakeRealtime in the same loop."""

    def __init__(self, fake, url, headers):
        self._end = ServerEnd(url, headers)
        self._serving = asyncio.create_task(fake._serve(self._end))

    async def send(self, frame):
        await asyncio.sleep(0)
        self._end.to_server.put_nowait(frame)

    def send_at_once(self, frame):
        self._end.to_server.put_nowait(frame)
        return True

    async def recv(self):
        message = await self._end.to_client.get()
        if isinstance(message, RemoteSessionError):
            raise message
        return message

    async def close(self, code=1000, reason=""):
        self._end.to_server.put_nowait(GONE)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        await self.close()
        await self._serving


class Connector:
    """CallDeps.connect. `failures`: what the next attempts raise, one each; `asked`: (url, headers) of each attempt."""

    def __init__(self, fake, failures=()):
        self._fake = fake
        self.failures = list(failures)
        self.asked = []

    async def __call__(self, url, headers, deadlines):
        self.asked.append((url, dict(headers)))
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return MemoryTransport(self._fake, url, headers)
