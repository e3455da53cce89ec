"""Server events that need no memory: JSON object in, boundary event out.

Pure functions, one an event type; conversation.py puts them into its table.
"""

from bridge.realtime.events import (
    AgentTranscript,
    BoundaryEvent,
    DtmfReceived,
    InputCleared,
    ItemDeleted,
    ItemRetrieved,
    ItemTruncated,
    McpToolsListed,
    RateLimit,
    RateLimits,
    TranscriptionFailed,
    UserTranscript,
)
from bridge.realtime.wire import Json, message_text, number, part, parts, real, text


def dtmf_received(event: Json) -> BoundaryEvent:
    """`input_audio_buffer.dtmf_event_received`."""
    return DtmfReceived(text(event, "event"))


def input_cleared(_event: Json) -> BoundaryEvent:
    """`input_audio_buffer.cleared`."""
    return InputCleared()


def item_truncated(event: Json) -> BoundaryEvent:
    """`conversation.item.truncated`."""
    return ItemTruncated(text(event, "item_id"), number(event, "audio_end_ms"))


def item_deleted(event: Json) -> BoundaryEvent:
    """`conversation.item.deleted`."""
    return ItemDeleted(text(event, "item_id"))


def item_retrieved(event: Json) -> BoundaryEvent:
    """`conversation.item.retrieved`."""
    item = part(event, "item")
    return ItemRetrieved(text(item, "id"), item)


def user_fragment(event: Json) -> BoundaryEvent:
    """`conversation.item.input_audio_transcription.delta`."""
    return UserTranscript(text(event, "item_id"), text(event, "delta"), final=False)


def transcription_failed(event: Json) -> BoundaryEvent:
    """`conversation.item.input_audio_transcription.failed`."""
    error = part(event, "error")
    code = text(error, "code") or text(error, "type") or "transcription_error"
    return TranscriptionFailed(text(event, "item_id"), code, message_text(error, "message"))


def agent_fragment(event: Json) -> AgentTranscript:
    """`response.output_audio_transcript.delta` and `response.output_text.delta`."""
    return AgentTranscript(text(event, "item_id"), text(event, "delta"), final=False)


def agent_words(event: Json) -> AgentTranscript:
    """`response.output_audio_transcript.done`."""
    return AgentTranscript(text(event, "item_id"), text(event, "transcript"), final=True)


def agent_text(event: Json) -> AgentTranscript:
    """`response.output_text.done`."""
    return AgentTranscript(text(event, "item_id"), text(event, "text"), final=True)


def tools_not_listed(event: Json) -> BoundaryEvent:
    """`mcp_list_tools.failed`."""
    return McpToolsListed(text(event, "item_id"), ok=False, server_label="", tools=())


def tools_listed(item: Json) -> BoundaryEvent:
    """An `mcp_list_tools` item."""
    tools = parts(item, "tools")
    names = tuple(text(tool, "name") for tool in tools)
    label = text(item, "server_label")
    return McpToolsListed(
        text(item, "id"), ok=True, server_label=label, tools=names, definitions=tuple(tools)
    )


def rate_limits(event: Json) -> BoundaryEvent:
    """`rate_limits.updated`."""
    return RateLimits(
        tuple(
            RateLimit(
                text(limit, "name"),
                number(limit, "limit"),
                number(limit, "remaining"),
                real(limit, "reset_seconds"),
            )
            for limit in parts(event, "rate_limits")
        )
    )
