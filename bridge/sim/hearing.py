"""The input audio buffer of one connection: what was appended, where speech is, which words are awaited.

Bounds: while nobody speaks only the last seconds are kept (they may become prefix padding); a turn longer
than MAX_TURN_MS loses its beginning. Offsets are milliseconds of all audio ever appended, as in
`audio_start_ms` and `audio_end_ms`. Sans-IO; owned by bridge/sim/conversation.py.
"""

import base64
from dataclasses import dataclass, field

from bridge.sim.protocol import Refusal
from bridge.sim.session import bytes_per_ms

MAX_TURN_MS = 120_000
MIN_COMMIT_MS = 100
_IDLE_KEPT_MS = 6000  # the longest prefix padding is 5 s


@dataclass(slots=True)
class Hearing:
    """The buffer and the state of recognition."""

    audio_format: str
    manual: bool = False
    item_id: str | None = None
    appended_ms: float = 0.0
    _origin_ms: float = 0.0
    _buffer: bytearray = field(default_factory=bytearray)
    _tickets: int = 0
    _early: int | None = None

    def decode(self, audio: str) -> bytes:
        """The payload of an append.

        Raises:
            Refusal: not base64, or half a sample.

        """
        try:
            payload = base64.b64decode(audio, validate=True)
        except ValueError:
            message = "Invalid 'audio'. Expected base64-encoded audio."
            raise Refusal("invalid_value", message, "audio") from None
        if self.audio_format == "audio/pcm" and len(payload) % 2:
            raise Refusal("invalid_value", "Invalid 'audio'. Expected whole 16-bit samples.", "audio")
        return payload

    def check_commit(self) -> None:
        """Ask before a commit.

        Raises:
            Refusal: there is not enough audio.

        """
        if self.buffered_ms < MIN_COMMIT_MS:
            message = (
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{MIN_COMMIT_MS}ms of audio, but buffer only has {self.buffered_ms:.2f}ms of audio."
            )
            raise Refusal("input_audio_buffer_commit_empty", message)

    def append(self, payload: bytes) -> None:
        """Take audio in the current format."""
        self._buffer += payload
        self.appended_ms += len(payload) / bytes_per_ms(self.audio_format)
        idle = not self.manual and self.item_id is None
        self._keep_ms(_IDLE_KEPT_MS if idle else MAX_TURN_MS)

    def attended(self) -> None:
        """The ears count from here on."""
        self._origin_ms = self.appended_ms

    def at(self, ears_ms: int) -> int:
        """Offset in all audio of a time of the ears."""
        return int(self._origin_ms + ears_ms)

    def start(self, item_id: str, at_ms: int, prefix_ms: int) -> int:
        """Speech began: drop what lies before the padding; the offset where the item's audio begins."""
        self.item_id = item_id
        self._early = None
        self._keep_ms(self.appended_ms - max(0, at_ms - prefix_ms))
        return round(self.appended_ms - self.buffered_ms)

    def ticket(self) -> int:
        """A number for a recognition of the audio so far; the words are good until speech goes on."""
        self._early = self.number()
        return self._early

    def number(self) -> int:
        """A number no recognition had before."""
        self._tickets += 1
        return self._tickets

    def resumed(self) -> None:
        """Speech went on: words asked for too early are void."""
        self._early = None

    def early_ticket(self) -> int | None:
        """The ticket whose words hold for the whole turn."""
        return self._early

    def audio(self) -> bytes:
        """All audio in the buffer."""
        return bytes(self._buffer)

    def take(self) -> bytes:
        """Empty the buffer into an item."""
        audio = bytes(self._buffer)
        self.clear()
        return audio

    def clear(self) -> None:
        """Forget the buffer and the turn."""
        self._buffer.clear()
        self.item_id = None
        self._early = None

    def change_format(self, audio_format: str) -> None:
        """Another payload format from now on; audio in the old one is forgotten."""
        if audio_format != self.audio_format:
            self.clear()
            self.audio_format = audio_format

    @property
    def buffered_ms(self) -> float:
        return len(self._buffer) / bytes_per_ms(self.audio_format)

    def _keep_ms(self, keep_ms: float) -> None:
        keep = int(keep_ms) * bytes_per_ms(self.audio_format)
        if len(self._buffer) > keep:
            del self._buffer[: len(self._buffer) - keep]
