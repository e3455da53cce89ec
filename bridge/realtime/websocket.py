"""A Realtime session's WebSocket: connect, send, receive, close, each within its deadline.

Shell over the `websockets` client; it holds no rule of the protocol. Frames are not compressed (audio is base64 of
noise; deflate only adds delay). Reading has back-pressure: when the call does not read, at most `max_queue` frames
wait here and TCP slows the server down. Redirects are not followed, they would carry the key to another host; no
proxy is used. Every end becomes RemoteSessionError(kind, code):
    connect_timeout  dns_failed  connect_failed  tls_failed  bad_url  bad_handshake  http_<status>  a provider's code
    send_timeout  ping_timeout  message_too_big  close_<code>
Used by the call, on the worker's loop.
"""

import asyncio
import json
import logging
import os
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.protocol import State

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was built without its C part
    from websockets.utils import apply_mask

from bridge.errors import FailureKind, RemoteSessionError
from bridge.realtime.failures import ERROR_KINDS, close_kind, http_kind
from bridge.realtime.wire import message_text, part, text

ABNORMAL = 1006
_FIN_TEXT, _MASKED, _TWO_BYTES = 0x81, 0x80, 126
_HEAD = struct.Struct("!BBH")
MASKS_AT_A_TIME = 256
SMALL_FRAME = 4096  # far below any `max_write_bytes`; an append of 20 ms has 1.3 kB


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. `open_s`: TCP, TLS and handshake together; `send_s`: one frame; `close_s`: the closing handshake.

    A peer that answers no ping for `ping_interval_s` + `ping_timeout_s` is taken for gone.
    """

    open_s: float = 5.0
    send_s: float = 2.0
    close_s: float = 1.0
    ping_interval_s: float = 10.0
    ping_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """A frame above `max_message_bytes` ends the session; `max_queue` frames wait unread, `max_write_bytes` unsent."""

    max_message_bytes: int = 4 * 2**20
    max_queue: int = 16
    max_write_bytes: int = 64 * 2**10


class WebSocketTransport:
    """An open connection; `Transport` says what its methods promise."""

    def __init__(self, connection: ClientConnection, deadlines: Deadlines) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self._masks = _Masks()

    async def send(self, frame: str) -> None:
        """One text frame; waits while the peer does not take what was sent before, `send_s` at most."""
        if self.send_at_once(frame):
            return
        try:
            async with asyncio.timeout(self._deadlines.send_s):
                await self._connection.send(frame)
        except TimeoutError as error:
            self._connection.transport.abort()
            message = f"the peer took no data for {self._deadlines.send_s} s"
            raise RemoteSessionError(FailureKind.RETRY, "send_timeout", message) from error
        except ConnectionClosed as error:
            raise _ended(error) from error

    def send_at_once(self, frame: str) -> bool:
        """Send a small frame while nothing waits to be sent: it cannot wait either.

        Fifty times a second and call, so it goes around the library: no task, no frame object. Frames of ours are never
        in pieces and have no extensions, so one may stand between any two others.
        """
        connection = self._connection
        if (
            len(frame) > SMALL_FRAME
            or connection.protocol.state is not State.OPEN
            or connection.transport.get_write_buffer_size()
        ):
            return False
        connection.transport.write(_text_frame(frame.encode(), self._masks.next()))
        return True

    async def recv(self) -> str | bytes:
        """The next frame: text as str, anything else as bytes."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise _ended(error) from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closing handshake within `close_s`, then the socket is dropped whatever the peer does."""
        await self._connection.close(code, reason)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class _Masks:
    """Keys for masking, as unpredictable as the system's (RFC 6455 section 5.3), drawn many at a time."""

    def __init__(self) -> None:
        self._drawn = b""
        self._at = 0

    def next(self) -> bytes:
        """Four bytes that no other frame has."""
        if self._at == len(self._drawn):
            self._drawn, self._at = os.urandom(4 * MASKS_AT_A_TIME), 0
        self._at += 4
        return self._drawn[self._at - 4 : self._at]


def _text_frame(payload: bytes, mask: bytes) -> bytes:
    """A text frame of a client (RFC 6455 section 5.2): whole, masked. At most 65535 bytes."""
    size = len(payload)
    head = (
        bytes((_FIN_TEXT, _MASKED | size))
        if size < _TWO_BYTES
        else _HEAD.pack(_FIN_TEXT, _MASKED | _TWO_BYTES, size)
    )
    return head + mask + apply_mask(payload, mask)


async def connect(
    url: str,
    headers: Mapping[str, str],
    deadlines: Deadlines,
    bounds: Bounds | None = None,
    tls: ssl.SSLContext | None = None,
) -> WebSocketTransport:
    """Open a connection within `deadlines.open_s`. `tls`: trust for `wss://` other than the system's.

    Raises RemoteSessionError: FATAL when another try fails the same way (key, URL, certificate), else RETRY.
    """
    bounds = bounds or Bounds()
    options: dict[str, Any] = {"ssl": tls} if tls is not None else {}
    try:
        connection = await _Connect(
            url,
            additional_headers=dict(headers),
            user_agent_header="sipbridge",
            compression=None,
            proxy=None,
            open_timeout=deadlines.open_s,
            close_timeout=deadlines.close_s,
            ping_interval=deadlines.ping_interval_s,
            ping_timeout=deadlines.ping_timeout_s,
            max_size=bounds.max_message_bytes,
            max_queue=bounds.max_queue,
            write_limit=bounds.max_write_bytes,
            logger=_quiet_logger(),
            **options,
        )
    except (OSError, WebSocketException, ValueError) as error:
        raise _refused(error, deadlines) from error
    return WebSocketTransport(connection, deadlines)


def _quiet_logger() -> logging.Logger:
    """The library's debug log shows headers (the key) and frames (what people say), so it never gets that far."""
    logger = logging.getLogger("bridge.realtime.websocket.library")
    logger.setLevel(logging.WARNING)
    return logger


class _Connect(ws_connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _refused(error: Exception, deadlines: Deadlines) -> RemoteSessionError:
    if isinstance(error, InvalidStatus):
        return _refused_by_http(error)
    if isinstance(error, TimeoutError):
        message = f"no session after {deadlines.open_s} s"
        return RemoteSessionError(FailureKind.RETRY, "connect_timeout", message)
    for kinds, kind, code in _CONNECT_FAILURES:
        if isinstance(error, kinds):
            return RemoteSessionError(kind, code, str(error))
    return RemoteSessionError(FailureKind.FATAL, "bad_url", str(error))


_CONNECT_FAILURES: tuple[tuple[type[Exception], FailureKind, str], ...] = (
    (socket.gaierror, FailureKind.RETRY, "dns_failed"),
    (ssl.SSLCertVerificationError, FailureKind.FATAL, "tls_failed"),
    (ssl.SSLError, FailureKind.RETRY, "tls_failed"),
    (OSError, FailureKind.RETRY, "connect_failed"),
    (InvalidURI, FailureKind.FATAL, "bad_url"),
    (InvalidMessage, FailureKind.RETRY, "bad_handshake"),
    (InvalidHandshake, FailureKind.FATAL, "bad_handshake"),
)


def _refused_by_http(error: InvalidStatus) -> RemoteSessionError:
    """The provider's own code decides when we know it (429 may mean "slow down" or "no money left")."""
    status = error.response.status_code
    try:
        body = part(json.loads(error.response.body or b""), "error")
    except ValueError:
        body = {}
    code = text(body, "code") or text(body, "type")
    message = message_text(body, "message") or f"the server answered HTTP {status}"
    if code in ERROR_KINDS:
        return RemoteSessionError(ERROR_KINDS[code], code, message)
    return RemoteSessionError(http_kind(status), f"http_{status}", message)


def _ended(error: ConnectionClosed) -> RemoteSessionError:
    """A code of ours that was sent first tells why we gave up: no pong (1011), frame too big (1009)."""
    if error.rcvd is None and error.sent is not None and error.sent.code in _OWN_CLOSES:
        kind, word = _OWN_CLOSES[error.sent.code]
        return RemoteSessionError(kind, word, error.sent.reason)
    code = error.rcvd.code if error.rcvd is not None else ABNORMAL
    reason = message_text({"reason": error.rcvd.reason}, "reason") if error.rcvd is not None else ""
    return RemoteSessionError(close_kind(code), f"close_{code}", reason or "the connection ended")


_OWN_CLOSES = {
    1011: (FailureKind.RETRY, "ping_timeout"),
    1009: (FailureKind.FATAL, "message_too_big"),
}
