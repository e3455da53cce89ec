"""A session machine under test: feeds it frames, checks what it sends against the SDK's types."""

from typing import Any

from bridge.realtime.config import SessionConfig
from bridge.realtime.events import BoundaryEvent
from bridge.realtime.session import Session
from bridge.realtime.usage import load_prices
from tests.fakes.realtime_events import checked, server, session_body

VAD = {"type": "server_vad", "create_response": True, "interrupt_response": True}
PRICES = load_prices()


class Driver:
    """One session with a clock of its own; `now` moves only when told."""

    def __init__(self, **config: Any) -> None:
        config.setdefault("model", "gpt-realtime-2.1")
        config.setdefault("turn_detection", VAD)
        self.session = Session(SessionConfig(**config), PRICES)
        self.now = 0.0

    def feed(self, *frames: str | bytes) -> list[BoundaryEvent]:
        """The facts these frames become."""
        return [event for frame in frames for event in self.session.receive(frame, self.now)]

    def sent(self) -> list[dict[str, Any]]:
        """What goes out now, without event ids."""
        events = [checked(frame) for frame in self.session.to_send(self.now)]
        assert len({event.pop("event_id") for event in events}) == len(events)
        return events

    def sent_types(self) -> list[str]:
        """Types of what goes out now."""
        return [event["type"] for event in self.sent()]

    def ready(self, **session: Any) -> "Driver":
        """Through the handshake to READY."""
        self.feed(server("session.created", session=session_body(**session)))
        assert self.sent_types() == ["session.update"]
        self.feed(server("session.updated", session=session_body(**session)))
        return self

    def tag(self) -> str:
        """The tag of the one response.create that goes out now."""
        (event,) = [event for event in self.sent() if event["type"] == "response.create"]
        return str(event["response"]["metadata"]["wish"])


def speech_started(item_id: str = "user_1", ms: int = 1000) -> str:
    """`input_audio_buffer.speech_started`."""
    return server("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=ms)


def speech_stopped(item_id: str = "user_1", ms: int = 3000) -> str:
    """`input_audio_buffer.speech_stopped`."""
    return server("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=ms)


def committed(item_id: str = "user_1") -> str:
    """`input_audio_buffer.committed`."""
    return server("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)


def item_added(item_id: str) -> str:
    """`conversation.item.added` for an item of ours."""
    item = {"type": "function_call_output", "id": item_id, "call_id": "c", "output": ""}
    return server("conversation.item.added", item=item, previous_item_id=None)
