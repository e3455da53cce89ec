"""The conversation's own edges; its life in a call is in tests/scenarios/test_call_in_memory.py."""

import asyncio

import pytest

from bridge.call import conversation as module
from bridge.call.conversation import Conversation
from bridge.call.history import History
from bridge.call.journal import Journal
from bridge.call.tooldesk import ToolDesk
from bridge.errors import LinkError, RemoteSessionError
from bridge.media.playout import Underrun
from bridge.realtime.config import SessionConfig
from bridge.realtime.session import Session
from bridge.realtime.usage import load_prices
from tests.fakes.line import make_port, settle
from tests.fakes.memory import MemoryTransport
from tests.fakes.realtime_server import FakeRealtime, tone

PRICES = load_prices()
PATIENCE_S = 0.05


class Talk:
    """A conversation with a fake model, without a call around it."""

    def __init__(self, greeting=b"", **session):
        self.events = []
        self.model = FakeRealtime(tone(200) if greeting else b"")
        self.port = make_port()
        config = SessionConfig(model="gpt-realtime-2.1", greeting="Hi" if greeting else "", **session)
        self.journal = Journal("c1", lambda call_id, kind, data: self.events.append((kind, data)))
        self.transport = MemoryTransport(self.model, "ws://x", {})
        self.tools = ToolDesk(self._control, self.journal, {}, 1.0)
        self.conversation = Conversation(
            self.port,
            Session(config, PRICES),
            self.transport,
            self.journal,
            History(),
            self.tools,
            barge_in=True,
            patience_s=PATIENCE_S,
        )
        self.task = asyncio.create_task(self.conversation.run())

    async def _control(self, kind, data, deadline_s):
        raise LinkError("control is away")

    async def ready(self):
        async with asyncio.timeout(20):
            await self.conversation.ready.wait()
        return self.model.sessions[0]

    def of(self, kind):
        return [data for name, data in self.events if name == kind]

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110  # what is waited for belongs to the code under test
                await asyncio.sleep(0)

    async def end(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.transport.__aexit__()


@pytest.fixture
async def talk():
    talk = Talk()
    yield talk
    await talk.end()


async def test_without_a_greeting_the_agent_waits_for_the_caller(talk):
    session = await talk.ready()
    assert talk.conversation.speaking.is_set()
    await settle()
    assert not session.of("response.create")


async def test_with_a_greeting_the_agent_can_be_heard_only_when_audio_is_there():
    talk = Talk(greeting=True)
    await talk.ready()
    async with asyncio.timeout(20):
        await talk.conversation.speaking.wait()
    assert talk.port.queued_ms > 0
    await talk.end()


async def test_before_the_answer_no_caller_audio_goes_up(talk):
    session = await talk.ready()
    talk.port.start()
    with talk.port._lock:
        talk.port.give(bytes(320))
    await settle(20)
    assert not session.of("input_audio_buffer.append")
    talk.conversation.answered()
    await talk.until(lambda: session.of("input_audio_buffer.append"))


async def test_a_gap_in_the_agents_speech_is_noted(talk):
    talk.conversation.played(Underrun("a", 40))
    assert talk.of("underrun") == [{"item_id": "a", "ms": 40}]


async def test_errors_that_do_not_matter_are_noted_and_the_talk_goes_on(talk):
    session = await talk.ready()
    await session.send(
        "error",
        error={"type": "invalid_request_error", "code": "response_cancel_not_active", "message": "no"},
    )
    await talk.until(lambda: talk.of("error"))
    assert talk.of("error")[0]["where"] == "session"
    assert not talk.task.done()


async def test_a_failed_transcription_is_noted(talk):
    session = await talk.ready()
    await session.send(
        "conversation.item.input_audio_transcription.failed", item_id="u", content_index=0,
        error={"type": "x", "code": "audio_unintelligible", "message": "what"},
    )  # fmt: skip
    await talk.until(lambda: talk.of("error"))
    assert talk.of("error")[0]["code"] == "audio_unintelligible"


async def test_the_cost_of_a_transcription_is_noted(talk):
    session = await talk.ready()
    await session.send(
        "conversation.item.input_audio_transcription.completed", item_id="u", content_index=0, transcript="hi",
        usage={"type": "duration", "seconds": 2},
    )  # fmt: skip
    await talk.until(lambda: talk.of("transcription"))
    assert talk.of("transcript")[0]["who"] == "caller"


async def test_an_mcp_tool_is_not_approved_by_anybody(talk):
    session = await talk.ready()
    item = {"id": "m1", "type": "mcp_approval_request", "server_label": "s", "name": "pay", "arguments": "{}"}
    await session.send("response.created", response={"id": "r1", "status": "in_progress"})
    await session.send("response.output_item.done", response_id="r1", output_index=0, item=item)
    await talk.until(lambda: session.of("conversation.item.create"))
    answer = session.of("conversation.item.create")[0]["item"]
    assert (answer["type"], answer["approve"]) == ("mcp_approval_response", False)


async def test_a_model_that_says_nothing_to_the_caller_is_asked_again_and_then_counts_as_lost(talk):
    session = await talk.ready()
    await session.send("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="user_1")
    with pytest.raises(ExceptionGroup) as lost:
        async with asyncio.timeout(20):
            await talk.task
    assert lost.group_contains(RemoteSessionError, match="silent_model")
    assert [error["code"] for error in talk.of("error")] == ["dead_air"]


async def test_a_model_that_answers_in_time_is_not_asked_again(talk):
    session = await talk.ready()
    await session.send("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="user_1")
    await session.say(tone(40))
    await talk.until(lambda: talk.of("response"))
    assert talk.conversation._dead_air.due_s is None
    assert not talk.of("error")


async def test_a_model_that_says_nothing_to_a_functions_result_counts_as_lost(talk):
    session = await talk.ready()
    await session.send("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="user_1")
    response_id, item_id = await session.start_response()
    await session.audio(
        response_id, item_id, tone(40)
    )  # "let me look": heard, so the caller's turn is answered
    call = {"id": "f1", "type": "function_call", "call_id": "k1", "name": "look", "arguments": "{}"}
    await session.send("response.output_item.done", response_id=response_id, output_index=1, item=call)
    await session.end_response(response_id, item_id)
    await session.wait("response.create")
    with pytest.raises(ExceptionGroup) as lost:
        async with asyncio.timeout(5):
            await talk.task
    assert lost.group_contains(RemoteSessionError, match="silent_model")


async def test_a_model_that_breaks_off_in_the_middle_of_an_answer_counts_as_lost(talk):
    session = await talk.ready()
    response_id, item_id = await session.start_response()
    await session.audio(response_id, item_id, tone(40))
    with pytest.raises(ExceptionGroup) as lost:
        async with asyncio.timeout(5):
            await talk.task
    assert lost.group_contains(RemoteSessionError, match="silent_model")


async def test_where_the_dialplan_wants_no_automatic_answers_silence_is_no_fault():
    talk = Talk(turn_detection={"type": "server_vad", "create_response": False})
    session = await talk.ready()
    await session.send("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="user_1")
    await talk.until(lambda: talk.of("speech.stopped"))
    assert talk.conversation._dead_air.due_s is None
    await talk.end()


async def test_an_answer_longer_than_the_playout_is_cut_and_the_model_told_where(talk):
    talk.conversation._audio = port = make_port(playout_ms=100)
    port.start()
    session = await talk.ready()
    response_id, item_id = await session.start_response()
    await session.audio(response_id, item_id, tone(400))
    await talk.until(lambda: port.queued_ms >= 99)
    while port.queued_ms:
        port.take()
    for event in port._playout.events():
        talk.conversation.played(event)
    cut = (await session.wait("conversation.item.truncate"))[0]
    assert cut["audio_end_ms"] == 100
    assert talk.of("agent.finished")[0]["interrupted"]


async def test_a_lost_connection_ends_the_talk_with_its_code():
    talk = Talk()
    session = await talk.ready()
    session.connection.drop("close_1006")
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(talk.task, 5)
    assert caught.group_contains(RemoteSessionError, match="close_1006")
    await talk.end()


async def test_a_cancelled_talk_is_cancelled(talk):
    await talk.ready()
    talk.task.cancel()
    await asyncio.gather(talk.task, return_exceptions=True)
    assert talk.task.cancelled()


def test_every_handler_belongs_to_a_boundary_event():
    assert all(kind.__module__ == "bridge.realtime.events" for kind in module._HANDLERS)
