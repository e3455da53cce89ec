"""Demands: reference 1.3, field by field; fixtures validated by the SDK."""

import json

import pytest

from bridge.realtime import readers
from bridge.realtime.events import (
    AgentTranscript,
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
from tests.fakes.realtime_events import server

IDS = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
MESSAGE = {"type": "message", "id": "i", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
LIMIT = {"name": "tokens", "limit": 100, "remaining": 40, "reset_seconds": 1.5}
CASES = [
    (
        readers.dtmf_received,
        server("input_audio_buffer.dtmf_event_received", event="5", received_at=1),
        DtmfReceived("5"),
    ),
    (readers.input_cleared, server("input_audio_buffer.cleared"), InputCleared()),
    (
        readers.item_truncated,
        server("conversation.item.truncated", item_id="i", content_index=0, audio_end_ms=1500),
        ItemTruncated("i", 1500),
    ),
    (readers.item_deleted, server("conversation.item.deleted", item_id="i"), ItemDeleted("i")),
    (
        readers.item_retrieved,
        server("conversation.item.retrieved", item=MESSAGE),
        ItemRetrieved("i", MESSAGE),
    ),
    (
        readers.user_fragment,
        server(
            "conversation.item.input_audio_transcription.delta", item_id="i", content_index=0, delta="hel"
        ),
        UserTranscript("i", "hel", final=False),
    ),
    (
        readers.transcription_failed,
        server(
            "conversation.item.input_audio_transcription.failed",
            item_id="i",
            content_index=0,
            error={"type": "transcription_error", "code": "audio_unintelligible", "message": "what\n?"},
        ),
        TranscriptionFailed("i", "audio_unintelligible", "what ?"),
    ),
    (
        readers.transcription_failed,
        server("conversation.item.input_audio_transcription.failed", item_id="i", content_index=0, error={}),
        TranscriptionFailed("i", "transcription_error", ""),
    ),
    (
        readers.agent_fragment,
        server("response.output_audio_transcript.delta", **IDS, delta="He"),
        AgentTranscript("i", "He", final=False),
    ),
    (
        readers.agent_words,
        server("response.output_audio_transcript.done", **IDS, transcript="Hello"),
        AgentTranscript("i", "Hello", final=True),
    ),
    (
        readers.agent_text,
        server("response.output_text.done", **IDS, text="Hello"),
        AgentTranscript("i", "Hello", final=True),
    ),
    (
        readers.tools_not_listed,
        server("mcp_list_tools.failed", item_id="i"),
        McpToolsListed("i", ok=False, server_label="", tools=()),
    ),
    (
        readers.rate_limits,
        server("rate_limits.updated", rate_limits=[LIMIT]),
        RateLimits((RateLimit("tokens", 100, 40, 1.5),)),
    ),
    (
        readers.rate_limits,
        server("rate_limits.updated", rate_limits=[{}]),
        RateLimits((RateLimit("", 0, 0, 0.0),)),
    ),
]


@pytest.mark.parametrize(("reader", "frame", "fact"), CASES)
def test_an_event_becomes_its_fact(reader, frame, fact):
    assert reader(json.loads(frame)) == fact


def test_a_list_of_tools_gives_their_names():
    item = {
        "type": "mcp_list_tools",
        "id": "i",
        "server_label": "crm",
        "tools": [{"name": "find"}, {"name": "add"}],
    }
    assert readers.tools_listed(item) == McpToolsListed(
        "i",
        ok=True,
        server_label="crm",
        tools=("find", "add"),
        definitions=({"name": "find"}, {"name": "add"}),
    )
