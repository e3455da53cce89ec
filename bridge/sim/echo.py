"""The echo script of the local engine: what the caller says comes back, word for word. Sans-IO.

    append ──► hear(text) ──► deltas of `appends` appends each, in one response that a moment of silence closes

For measuring a whole installation (`make load`) and for hearing one's own line. It answers `input_audio_buffer.append`
alone and looks at nothing but its base64, because it is asked 50 times a second and call: a look at the audio would
cost more than the bridge it measures. Digital silence does not come back, so that the playout runs empty between two
stretches of speech, as it does with people. Owned by bridge/sim/server.py, one for each connection.
"""

import binascii
import json
from typing import Any

APPEND = b'{"type":"input_audio_buffer.append","audio":"'
"""How the bridge writes an append. Written in another way it is the conversation's: heard, not echoed."""
QUIET_APPENDS = 10
_TAIL = b'"}'
_SILENCES = (b"AAAA", b"////", b"1dXV")  # base64 of zeros (PCM), 0xFF (µ-law) and 0xD5 (A-law)


class Echo:
    """One connection's echo. `stem` makes its ids unique; `responses` counts what was opened so far.

    A speech model gives its audio in pieces of 100 to 400 ms, so `appends` of 10 (20 ms each) is like one; 1 answers at
    once.
    """

    def __init__(self, stem: str, appends: int = 1) -> None:
        self._stem = stem
        self._appends = appends
        self._said: list[bytes] = []
        self._open = False
        self._quiet = 0
        self._head = b""
        self.responses = 0

    def hear(self, frame: bytes) -> list[bytes] | None:
        """The texts to send for a client's text frame, in order; None for one that is no append."""
        if not frame.startswith(APPEND) or not frame.endswith(_TAIL):
            return None
        audio = frame[len(APPEND) : -len(_TAIL)]
        if not _silent(audio):
            self._quiet = 0
            self._said.append(audio)
            return self._delta() if len(self._said) >= self._appends else []
        self._quiet += 1
        rest = self._delta() if self._said else []
        return [*rest, *(self._closed() if self._open and self._quiet >= QUIET_APPENDS else [])]

    def _delta(self) -> list[bytes]:
        said, self._said = self._said, []
        audio = said[0] if len(said) == 1 else _joined(said)
        return [*([] if self._open else self._opened()), self._head + audio + _TAIL]

    def _opened(self) -> list[bytes]:
        self._open = True
        self.responses += 1
        ids = {**self._ids(), "output_index": 0, "content_index": 0}
        head = self._event("response.output_audio.delta", **ids, delta="")
        self._head = head[: -len(_TAIL)]
        return [
            self._event("response.created", response=self._response("in_progress")),
            self._event(
                "response.output_item.added",
                response_id=ids["response_id"],
                output_index=0,
                item=self._item(),
            ),
        ]

    def _closed(self) -> list[bytes]:
        self._open = False
        ids = {**self._ids(), "output_index": 0, "content_index": 0}
        return [
            self._event("response.output_audio.done", **ids),
            self._event("response.output_audio_transcript.done", **ids, transcript=""),
            self._event("response.done", response=self._response("completed")),
        ]

    def _ids(self) -> dict[str, str]:
        name = f"echo_{self._stem}_{self.responses}"
        return {"response_id": f"resp_{name}", "item_id": f"item_{name}"}

    def _item(self) -> dict[str, Any]:
        return {"id": self._ids()["item_id"], "type": "message", "role": "assistant", "content": []}

    def _response(self, status: str) -> dict[str, Any]:
        usage = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0}
        ident = self._ids()["response_id"]
        return {"id": ident, "object": "realtime.response", "status": status, "output": [], "usage": usage}

    def _event(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, "event_id": f"event_echo_{self._stem}_{self.responses}", **fields}
        return json.dumps(event, separators=(",", ":")).encode()


def _joined(pieces: list[bytes]) -> bytes:
    """Base64 of what the pieces stand for, in order."""
    if not any(piece.endswith(b"=") for piece in pieces):
        return b"".join(pieces)
    return binascii.b2a_base64(b"".join(map(binascii.a2b_base64, pieces)), newline=False)


def _silent(audio: bytes) -> bool:
    """Whether base64 stands for digital silence; only a padded end may look different."""
    padded = 4 if audio.endswith(b"=") else 0
    return audio[:4] in _SILENCES and audio.count(audio[:4]) * 4 + padded >= len(audio)
