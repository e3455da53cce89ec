"""The whole GA protocol at a glance: which function handles which server event, and which are passed over, and why.

Pure tables. `Session` looks event types up here; its own three (`session.created`, `session.updated`, `error`) aside,
a type in neither table is unknown: kept, counted, reported. A test holds the tables against the SDK's list of events.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bridge.realtime import readers
from bridge.realtime.conversation import Conversation, Events
from bridge.realtime.events import BoundaryEvent
from bridge.realtime.wire import Json

Handler = Callable[[Conversation, Json, float], Events]


def _plain(reader: Callable[[Json], BoundaryEvent]) -> Handler:
    def handle(_conversation: Conversation, event: Json, _now: float) -> Events:
        return (reader(event),)

    return handle


HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "input_audio_buffer.speech_started": Conversation.speech_started,
        "input_audio_buffer.speech_stopped": Conversation.speech_stopped,
        "input_audio_buffer.committed": Conversation.committed,
        "input_audio_buffer.cleared": Conversation.cleared,
        "input_audio_buffer.timeout_triggered": Conversation.idle_timeout,
        "input_audio_buffer.dtmf_event_received": _plain(readers.dtmf_received),
        "conversation.item.added": Conversation.item_known,
        "conversation.item.created": Conversation.item_known,
        "conversation.item.done": Conversation.item_done,
        "conversation.item.retrieved": _plain(readers.item_retrieved),
        "conversation.item.deleted": _plain(readers.item_deleted),
        "conversation.item.truncated": _plain(readers.item_truncated),
        "conversation.item.input_audio_transcription.delta": _plain(readers.user_fragment),
        "conversation.item.input_audio_transcription.completed": Conversation.transcribed,
        "conversation.item.input_audio_transcription.failed": _plain(readers.transcription_failed),
        "response.created": Conversation.response_created,
        "response.done": Conversation.response_done,
        "response.output_item.added": Conversation.output_added,
        "response.output_item.done": Conversation.output_done,
        "response.output_audio.delta": Conversation.audio_delta,
        "response.output_audio.done": Conversation.audio_done,
        "response.output_audio_transcript.delta": Conversation.agent_fragment,
        "response.output_audio_transcript.done": Conversation.agent_words,
        "response.output_text.delta": Conversation.agent_fragment,
        "response.output_text.done": Conversation.agent_text,
        "response.function_call_arguments.done": Conversation.arguments_done,
        "response.mcp_call.in_progress": Conversation.mcp_call_started,
        "response.mcp_call.completed": Conversation.mcp_call_ended,
        "response.mcp_call.failed": Conversation.mcp_call_ended,
        "mcp_list_tools.failed": _plain(readers.tools_not_listed),
        "rate_limits.updated": _plain(readers.rate_limits),
        # names of the beta protocol that compatible servers still use
        "response.audio.delta": Conversation.audio_delta,
        "response.audio.done": Conversation.audio_done,
        "response.audio_transcript.delta": Conversation.agent_fragment,
        "response.audio_transcript.done": Conversation.agent_words,
        "response.text.delta": Conversation.agent_fragment,
        "response.text.done": Conversation.agent_text,
    }
)
PASSED: Mapping[str, str] = MappingProxyType(
    {
        "conversation.created": "says only the conversation's id, which nothing asks for",
        "conversation.item.input_audio_transcription.segment": "the completed event has the whole text",
        "output_audio_buffer.started": "WebRTC and SIP only: playout is ours",
        "output_audio_buffer.stopped": "WebRTC and SIP only: playout is ours",
        "output_audio_buffer.cleared": "WebRTC and SIP only: playout is ours",
        "response.content_part.added": "the deltas carry all we need",
        "response.content_part.done": "the transcript's done event has the same text",
        "response.function_call_arguments.delta": "arguments are used whole",
        "response.mcp_call_arguments.delta": "arguments are used whole",
        "response.mcp_call_arguments.done": "the finished item has them",
        "mcp_list_tools.in_progress": "the finished item has the tools",
        "mcp_list_tools.completed": "the finished item has the tools",
    }
)
