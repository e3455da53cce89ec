"""Audio between a worker and a person's seat (bridge/seat) as datagrams that nobody else can make, change or repeat.

    | side 1 | number 8 | PCM 20 ms, little endian, or nothing: "that was the last one" | MAC 16 |

The key is the seat's own, random, and reaches both ends by control's links; the MAC is keyed BLAKE2s (RFC 7693), 1 µs a
frame. `side` says who sent it, so that a packet sent back is none; `number` only rises, so that one that is recorded
and sent again is none either. What is said is not hidden: it travels where RTP does, inside the private network.
Machine: bytes in, bytes out; one owner for each end.
"""

import hmac
from enum import Enum
from hashlib import blake2s

KEY_BYTES = 32
MAC_BYTES = 16
_HEAD = 9


class Side(Enum):
    """Who sends."""

    WORKER = b"W"
    SEAT = b"S"

    @property
    def other(self) -> "Side":
        """Who is heard."""
        return Side.SEAT if self is Side.WORKER else Side.WORKER


class SeatWire:
    """One end. `frame_bytes`: of 20 ms. Raises ValueError: a key that is none."""

    def __init__(self, key: bytes, side: Side, frame_bytes: int) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {KEY_BYTES} bytes is needed")
        self._key = key
        self._mine, self._theirs = side.value, side.other.value
        self._sizes = {0, frame_bytes}
        self._sent = self._heard = 0

    def seal(self, frame: bytes = b"") -> bytes:
        """The datagram of a frame; of none: the end."""
        self._sent += 1
        body = self._mine + self._sent.to_bytes(8, "big") + frame
        return body + self._mac(body)

    def open(self, datagram: bytes) -> bytes | None:
        """The frame; b"" is the end. None: not of the other end, not of this size, or not newer than what came."""
        body, mac = datagram[:-MAC_BYTES], datagram[-MAC_BYTES:]
        if len(body) - _HEAD not in self._sizes or body[:1] != self._theirs:
            return None
        number = int.from_bytes(body[1:_HEAD], "big")
        if number <= self._heard or not hmac.compare_digest(mac, self._mac(body)):
            return None
        self._heard = number
        return body[_HEAD:]

    def _mac(self, body: bytes) -> bytes:
        return blake2s(body, key=self._key, digest_size=MAC_BYTES).digest()
