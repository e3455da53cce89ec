"""What the server says about the conversation, event by event, once the session is READY or nearly so.

A machine part of the session: keeps the running responses, the received audio, the open tool calls and the caller's
turn, and turns server events into boundary events by the table at the end. It orders client events only where the
protocol leaves no choice (stopping a response the caller talks over). It never sees the session's own states.
Every server event of the GA protocol stands in HANDLERS or, with the reason, in PASSED; anything else is unknown.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from bridge.errors import FailureKind
from bridge.realtime import readers, wire
from bridge.realtime.calls import CallBook
from bridge.realtime.config import BYTES_PER_MS, SessionConfig
from bridge.realtime.events import (
    AgentTranscript,
    AudioDelta,
    AudioDone,
    BoundaryEvent,
    FunctionCall,
    IdleTimeout,
    InputCommitted,
    McpApprovalRequested,
    McpCallFinished,
    ResponseEnded,
    ResponseReport,
    ResponseStarted,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptionUsage,
    UserTranscript,
)
from bridge.realtime.failures import ends_session, error_kind
from bridge.realtime.items import ItemLedger
from bridge.realtime.outbox import Outbox
from bridge.realtime.responses import TAG, ResponseOwner
from bridge.realtime.running import HandedOn, Response
from bridge.realtime.usage import PriceTable, TranscriptionCount, Usage, counted_by_kind
from bridge.realtime.wire import Json, message_text, number, part, parts, text

MAX_RESPONSES = 64
MAX_TURNS = 64
UNNAMED = "unnamed"

Events = Iterable[BoundaryEvent]


class Conversation:
    """State of the default conversation. `owner`, `items` and `calls` are the parts the session's wishes also use."""

    def __init__(
        self, config: SessionConfig, prices: PriceTable, owner: ResponseOwner, outbox: Outbox
    ) -> None:
        self.config = config
        self.model = config.model
        self.owner = owner
        self.items = ItemLedger(
            BYTES_PER_MS[config.output_format], 2 if config.output_format == "pcm24" else 1
        )
        self.calls = CallBook()
        self._prices = prices
        self._outbox = outbox
        self._interrupts = False
        self._responses: dict[str, Response] = {}
        self._speech_ms: dict[str, tuple[int, int]] = {}

    def settings(self, session: Json) -> None:
        """Learn from a `session` object: the model it names, and what the server's VAD does by itself."""
        self.model = text(session, "model") or self.model
        given = part(part(session, "audio"), "input")
        turn = given.get("turn_detection", self.config.turn_detection)
        if turn is None:
            self.owner.server_responds = self._interrupts = False
            return
        flags = turn if isinstance(turn, Mapping) else {}
        self.owner.server_responds = flags.get("create_response") is not False
        self._interrupts = flags.get("interrupt_response") is not False

    def interrupted(self) -> None:
        """The caller talks over the agent: drop what still comes, and stop the server where it does not by itself."""
        for response in self._responses.values():
            response.muted = response.muted or not (response.ended or response.created.out_of_band)
        self.owner.doom()
        if self.owner.active and not (self.owner.speaking and self._interrupts):
            self._outbox.put(wire.response_cancel(self.owner.active))

    def reply_due(self, *, due: bool) -> None:
        """The conversation has news the agent should answer."""
        if due:
            self.owner.reply(self._outbox.unacknowledged)

    def go_on(self) -> None:
        """The agent should speak, to what is new if anything is."""
        self.owner.reply(self._outbox.unacknowledged, news=False)

    # --- the caller's turn ---

    def speech_started(self, event: Json, now: float) -> Events:
        self.owner.speech_started(now)
        item_id, start_ms = text(event, "item_id"), number(event, "audio_start_ms")
        _remember(self._speech_ms, item_id, (start_ms, start_ms), MAX_TURNS)
        yield SpeechStarted(item_id, start_ms)

    def speech_stopped(self, event: Json, now: float) -> Events:
        self.owner.turn_ended(now, ended_by_speech=True)
        item_id, end_ms = text(event, "item_id"), number(event, "audio_end_ms")
        start_ms, _ = self._speech_ms.get(item_id, (end_ms, end_ms))
        _remember(self._speech_ms, item_id, (start_ms, end_ms), MAX_TURNS)
        yield SpeechStopped(item_id, end_ms)

    def committed(self, event: Json, now: float) -> Events:
        self.owner.turn_ended(now, ended_by_speech=False)
        yield InputCommitted(text(event, "item_id"))

    def idle_timeout(self, event: Json, now: float) -> Events:
        self.owner.turn_ended(now, ended_by_speech=True)
        yield IdleTimeout(text(event, "item_id"))

    def cleared(self, event: Json, _now: float) -> Events:
        self.owner.turn_dropped()
        yield readers.input_cleared(event)

    def transcribed(self, event: Json, _now: float) -> Events:
        item_id = text(event, "item_id")
        yield UserTranscript(item_id, text(event, "transcript"), final=True)
        if not part(event, "usage"):
            return
        count = TranscriptionCount.read(event["usage"])
        start_ms, end_ms = self._speech_ms.get(item_id, (0, 0))
        model = self.config.transcription_model
        cost = self._prices.transcription_cost(model, count, max(0, end_ms - start_ms) / 1000)
        yield TranscriptionUsage(item_id, count, cost)

    # --- responses ---

    def response_created(self, event: Json, now: float) -> Events:
        response = part(event, "response")
        return self._begin(text(response, "id") or UNNAMED, response, now)

    def response_done(self, event: Json, now: float) -> Events:
        body = part(event, "response")
        response_id = text(body, "id") or self.owner.active or UNNAMED
        if response_id not in self._responses:
            yield from self._begin(response_id, body, now)
        response = self._responses[response_id]
        if response.ended:
            return
        response.ended = True
        self.owner.done(response_id)
        status = text(body, "status") or "completed"
        yield from self._missed_items(response, body, completed=status == "completed")
        yield from self._end_messages(response)
        report = self._report(response, body, status, now)
        yield ResponseEnded(report)
        kind = error_kind(report.error_code, text(part(part(body, "status_details"), "error"), "type"))
        if kind is not FailureKind.IGNORE:
            over = ends_session(kind, report.error_code)
            yield SessionError(kind, report.error_code, report.error_message, "", over)
        self.reply_due(due=self.calls.response_ended(response_id))

    def audio_delta(self, event: Json, now: float) -> Events:
        audio = wire.audio(event)
        response_id = text(event, "response_id") or self.owner.active or UNNAMED
        started: Events = ()
        response = self._responses.get(response_id)
        if response is None:
            started = self._begin(response_id, event, now)
            response = self._responses[response_id]
        item_id, content_index = text(event, "item_id"), number(event, "content_index")
        audio = self.items.received(item_id, content_index, audio)
        if response.first_audio_s is None:
            response.first_audio_s = now
        if response.muted or not audio:
            response.withheld(item_id)
            return started
        response.handed_on(item_id)
        if not response.created.out_of_band:
            self.owner.heard()
        return [*started, AudioDelta(response_id, item_id, content_index, audio)]

    def audio_done(self, event: Json, _now: float) -> Events:
        response_id = text(event, "response_id") or self.owner.active
        item_id = text(event, "item_id")
        self.items.complete(item_id)
        response = self._responses.get(response_id)
        if response is None or response.end(item_id):
            yield AudioDone(response_id, item_id)

    def agent_fragment(self, event: Json, _now: float) -> Events:
        if not self._muted(event):
            yield readers.agent_fragment(event)

    def agent_words(self, event: Json, _now: float) -> Events:
        yield self._marked(readers.agent_words(event), event)

    def agent_text(self, event: Json, _now: float) -> Events:
        yield self._marked(readers.agent_text(event), event)

    # --- items ---

    def item_known(self, event: Json, _now: float) -> Events:
        item_id = text(part(event, "item"), "id")
        self._outbox.acknowledged(item_id)
        self.owner.acknowledged(item_id)
        return ()

    def item_done(self, event: Json, now: float) -> Events:
        self.item_known(event, now)
        item = part(event, "item")
        if text(item, "type") == "function_call":
            return ()
        return self._finished_item(self.owner.active, item)

    def output_added(self, event: Json, _now: float) -> Events:
        item = part(event, "item")
        response_id = text(event, "response_id") or self.owner.active
        if text(item, "type") == "mcp_call":
            self._open_call(text(event, "response_id"), text(item, "id"))
        elif response_id in self._responses:
            self._responses[response_id].saw(item)
        return ()

    def output_done(self, event: Json, _now: float) -> Events:
        return self._finished_item(text(event, "response_id") or self.owner.active, part(event, "item"))

    def arguments_done(self, event: Json, _now: float) -> Events:
        response = self._responses.get(text(event, "response_id") or self.owner.active)
        if response is not None:
            draft = {key: text(event, key) for key in ("call_id", "name", "arguments")}
            response.drafts[draft["call_id"]] = draft | {
                "type": "function_call",
                "id": text(event, "item_id"),
            }
        return ()

    def mcp_call_started(self, event: Json, _now: float) -> Events:
        self._open_call("", text(event, "item_id"))
        return ()

    def mcp_call_ended(self, event: Json, _now: float) -> Events:
        self._end_mcp_call("", text(event, "item_id"))
        return ()

    # --- helpers ---

    def _begin(self, response_id: str, body: Json, now: float) -> list[BoundaryEvent]:
        known = self._responses.get(response_id)
        if known is not None and not (known.ended and response_id == UNNAMED):
            return []
        unattached = "conversation_id" in body and body["conversation_id"] is None
        created = self.owner.created(response_id, wire.strings(body, "metadata"), unattached=unattached)
        response = Response(response_id, created, now, muted=created.doomed)
        _remember(self._responses, response_id, response, MAX_RESPONSES)
        if created.doomed:
            self._outbox.put(wire.response_cancel(response_id))
        return [ResponseStarted(response_id, created.out_of_band)]

    def _end_messages(self, response: Response) -> Events:
        """What nobody heard of an interrupted response leaves the model's memory; what sounds has its end now."""
        if response.muted:
            for item_id in response.messages(HandedOn.NOTHING):
                if item_id and self.items.drop(item_id):
                    self._outbox.put(wire.item_delete(item_id))
            return
        for item_id in response.messages(HandedOn.SOME):
            response.end(item_id)
            self.items.complete(item_id)
            yield AudioDone(response.id, item_id)

    def _muted(self, event: Json) -> bool:
        response = self._responses.get(text(event, "response_id") or self.owner.active)
        return response is not None and response.muted

    def _marked(self, words: AgentTranscript, event: Json) -> AgentTranscript:
        return replace(words, muted=self._muted(event))

    def _report(self, response: Response, body: Json, status: str, now: float) -> ResponseReport:
        details = part(body, "status_details")
        error = part(details, "error")
        usage = Usage.read(body.get("usage"))
        metadata = wire.strings(body, "metadata")
        return ResponseReport(
            response_id=response.id,
            status=status,
            reason=text(details, "reason"),
            error_code=text(error, "code") or text(error, "type"),
            error_message=message_text(error, "message"),
            usage=usage,
            cost_usd=self._cost(usage) if counted_by_kind(body.get("usage")) else None,
            asked_s=response.created.asked_s,
            created_s=response.created_s,
            first_audio_s=response.first_audio_s,
            ended_s=now,
            out_of_band=response.created.out_of_band,
            metadata=metadata,
            wish=response.created.wish or metadata.get(TAG, ""),
        )

    def _cost(self, usage: Usage) -> Decimal | None:
        model = self.model if self._prices.knows(self.model) else self.config.model
        return self._prices.cost(model, usage)

    def _missed_items(self, response: Response, body: Json, *, completed: bool) -> Events:
        """Calls named only in `response.done` or in the arguments event; `drafts` of a cut response are not whole."""
        for item in parts(body, "output"):
            response.saw(item)
        for item in (*parts(body, "output"), *(response.drafts.values() if completed else ())):
            finished = text(item, "type") != "mcp_call" or item.get("output") or item.get("error")
            if finished and (completed or text(item, "status") == "completed"):
                yield from self._finished_item(response.id, item)

    def _finished_item(self, response_id: str, item: Json) -> Events:
        handler = _ITEM_HANDLERS.get(text(item, "type"))
        if handler is None or text(item, "status") in {"incomplete", "in_progress"}:
            return ()
        return handler(self, response_id, item)

    def function_call(self, response_id: str, item: Json) -> Events:
        item_id = text(item, "id")
        call_id = text(item, "call_id") or item_id
        if self.calls.first_sight(call_id):
            self._open_call(response_id, call_id)
            yield FunctionCall(response_id, item_id, call_id, text(item, "name"), text(item, "arguments"))

    def approval(self, response_id: str, item: Json) -> Events:
        item_id = text(item, "id")
        if self.calls.first_sight(item_id):
            self._open_call(response_id, item_id)
            label, name = text(item, "server_label"), text(item, "name")
            yield McpApprovalRequested(item_id, item_id, label, name, text(item, "arguments"))

    def mcp_call(self, response_id: str, item: Json) -> Events:
        item_id, error = text(item, "id"), part(item, "error")
        self._end_mcp_call(response_id, item_id)
        if self.calls.first_sight(item_id):
            yield McpCallFinished(
                item_id=item_id,
                ok=not error,
                server_label=text(item, "server_label"),
                name=text(item, "name"),
                arguments=text(item, "arguments"),
                output=text(item, "output"),
                error=message_text(error, "message"),
            )

    def tools_listed(self, _response_id: str, item: Json) -> Events:
        if self.calls.first_sight(text(item, "id")):
            yield readers.tools_listed(item)

    def _end_mcp_call(self, response_id: str, item_id: str) -> None:
        """The reply is due once, whichever of the events that say so comes first, also if the start was never told."""
        if self.calls.first_sight(f"end {item_id}"):
            self._open_call(response_id, item_id)
            self.reply_due(due=self.calls.answered(item_id, respond=True))

    def _open_call(self, response_id: str, key: str) -> None:
        response = self._responses.get(response_id)
        ended = response is None or response.ended
        self.calls.opened(response_id if response else f"alone:{key}", key, ended=ended)


def _remember(store: dict[str, Any], key: str, value: object, most: int) -> None:
    store[key] = value
    if len(store) > most:
        del store[next(iter(store))]


_ITEM_HANDLERS: Mapping[str, Callable[[Conversation, str, Json], Events]] = MappingProxyType(
    {
        "function_call": Conversation.function_call,
        "mcp_call": Conversation.mcp_call,
        "mcp_approval_request": Conversation.approval,
        "mcp_list_tools": Conversation.tools_listed,
    }
)
