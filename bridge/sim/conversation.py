"""The server side of one Realtime connection, sans-IO: client events and sounds in, actions out.

    receive(text) ─┐                          ┌─► Send / SendRaw      to the client
    heard(...)    ─┼─► Conversation ─ take() ─┼─► Hear / Attend       to the ears (voice activity)
    recognised()  ─┤   items, buffer,         ├─► Recognise           to the recogniser
    spoken()      ─┤   responses, usage       ├─► Speak               to the voice
    tick(now)     ─┘                          └─► Close / Drop / …    to the socket

Behaviour follows the GA service: https://developers.openai.com/api/docs/guides/realtime-conversations
What is said comes from bridge/sim/agent.py. `wake_at` says when tick is wanted; `now` is monotonic seconds.
It reads no clock, starts no thread, knows no socket. bridge/sim/server.py owns one for each connection.
"""

from collections.abc import Callable
from typing import Any

from bridge.sim import protocol
from bridge.sim.actions import Action, Attend, Close, Hear, Heard, Recognise, Send, Sound, Speak
from bridge.sim.agent import Agent, Invoke, Reply, quoted
from bridge.sim.deciding import decide
from bridge.sim.hearing import Hearing
from bridge.sim.items import Item, Items, Tokens, caller_item, new_item, text_tokens, transcription
from bridge.sim.protocol import Refusal, ResponsePart
from bridge.sim.response import Event, Response, plan_for, prompt_tokens
from bridge.sim.script import EXPIRED, Failure, Faults, error_event
from bridge.sim.session import Session

MAX_PARALLEL_RESPONSES = 8


class Conversation:
    """One connection. `ids(prefix)` gives a new id; the session ends at monotonic `expires_s`."""

    def __init__(
        self, *, agent: Agent, session: Session, ids: Callable[[str], str], faults: Faults, expires_s: float
    ) -> None:
        self._agent = agent
        self._session = session
        self._ids = ids
        self._faults = faults
        self._expires_s = expires_s
        self._conversation_id = ids("conv")
        self._items = Items()
        self._hearing = Hearing(session.input_format)
        self._responses: dict[str, Response] = {}
        self._active: Response | None = None
        self._wanted: str | None = None
        self._idle_s: float | None = None
        self._awaited: dict[int, Item] = {}
        self._early: dict[int, str] = {}
        self._closed = False
        self._actions: list[Action] = [Attend(session.vad())]
        self._send({"type": "session.created", "session": session.to_dict()})

    def take(self) -> list[Action]:
        """Everything to do since the last call, in order."""
        actions, self._actions = self._actions, []
        return actions

    def receive(self, text: str | bytes, now: float) -> None:
        """Take a client event; what is wrong with it becomes an `error` event."""
        event_id = None
        try:
            event = protocol.parse(text)
            event_id = event.event_id
            _HANDLERS[type(event)](self, event, now)
        except Refusal as refusal:
            failure = Failure(type="invalid_request_error", code=refusal.code, message=refusal.message)
            self._send(dict(error_event(failure, event_id or refusal.event_id, refusal.param)))
        else:
            self._act(self._faults.at_event("receiving", event.type))
        self._advance(now)

    def heard(self, heard: Heard, now: float) -> None:
        """Take what the ears noticed."""
        vad = self._session.vad()
        if vad is None:
            return
        at_ms = self._hearing.at(heard.at_ms)
        if heard.sound is Sound.SPEECH_STARTED:
            self._idle_s = None
            item_id = self._ids("item")
            start_ms = self._hearing.start(item_id, at_ms, vad.prefix_padding_ms)
            self._send(
                {"type": "input_audio_buffer.speech_started", "audio_start_ms": start_ms, "item_id": item_id}
            )
            if vad.interrupt_response and self._active:
                self._finish(self._active, now, "cancelled", "turn_detected")
        elif heard.sound is Sound.PAUSED:
            self._recognise(self._hearing.ticket())
        elif heard.sound is Sound.RESUMED:
            self._hearing.resumed()
        else:
            self._turn_ended(at_ms, vad.create_response, now)
        self._advance(now)

    def recognised(self, ticket: int, words: str, now: float) -> None:
        """Take the words of a Recognise; empty when no phrase fits."""
        item = self._awaited.pop(ticket, None)
        if item is None:
            if ticket == self._hearing.early_ticket():
                self._early = {ticket: words}
            return
        self._understood(item, words, now)
        self._advance(now)

    def spoken(self, response_id: str, payload: bytes, now: float) -> None:
        """Take the audio of a Speak."""
        response = self._responses.get(response_id)
        if response is not None:
            self._session.spoke = True
            response.push(payload)
            self._advance(now)

    def tick(self, now: float) -> None:
        """Do what time brings: audio that may leave, idle timeout, expiry, scripted faults."""
        self._act(self._faults.due(now))
        if now >= self._expires_s and not self._closed:
            self._send(dict(error_event(EXPIRED)))
            self._act([Close(1001, "session expired")])
        if self._idle_s is not None and now >= self._idle_s:
            self._timed_out(now)
        self._advance(now)

    def wake_at(self, now: float) -> float | None:
        """When `tick` is wanted next; None after the end."""
        if self._closed:
            return None
        times = [response.wake_at(now) for response in self._responses.values()]
        times += [self._expires_s, self._idle_s, self._faults.wake_at()]
        return min(time for time in times if time is not None)

    # -- client events --------------------------------------------------------------------------------------

    def _session_update(self, event: protocol.SessionUpdate, _now: float) -> None:
        before = self._session.turn_detection
        if self._session.update(event.session):
            self._items.prompt_changed()
        after = self._session.turn_detection
        self._hearing.change_format(self._session.input_format)
        self._hearing.manual = after is None
        if after != before:
            self._hearing.attended()
            self._hearing.item_id = None
            self._idle_s = None
            self._actions.append(Attend(self._session.vad()))
        self._send({"type": "session.updated", "session": self._session.to_dict()})

    def _append(self, event: protocol.Append, _now: float) -> None:
        payload = self._hearing.decode(event.audio)
        self._hearing.append(payload)
        if self._session.turn_detection is not None:
            self._actions.append(Hear(payload, self._session.input_format))

    def _commit(self, _event: protocol.Commit, now: float) -> None:
        self._hearing.check_commit()
        ticket = self._hearing.ticket()
        self._recognise(ticket)
        self._commit_item(self._hearing.item_id or self._ids("item"), ticket, now)
        self._restart_ears()

    def _clear(self, _event: protocol.Clear, _now: float) -> None:
        self._hearing.clear()
        self._restart_ears()
        self._send({"type": "input_audio_buffer.cleared"})

    def _item_create(self, event: protocol.ItemCreate, _now: float) -> None:
        item = new_item(event.item, self._ids, self._session.input_format)
        previous = self._items.add(item, event.previous_item_id)
        self._announce(item, previous)
        if item.audio_ms and item.role == "user":
            ticket = self._hearing.number()
            self._awaited[ticket] = item
            self._actions.append(
                Recognise(ticket, bytes(item.audio), self._session.input_format, self._agent.pending)
            )

    def _item_retrieve(self, event: protocol.ItemRetrieve, _now: float) -> None:
        item = self._items.get(event.item_id)
        self._send({"type": "conversation.item.retrieved", "item": item.with_audio()})

    def _item_delete(self, event: protocol.ItemDelete, _now: float) -> None:
        self._items.delete(event.item_id)
        self._send({"type": "conversation.item.deleted", "item_id": event.item_id})

    def _item_truncate(self, event: protocol.ItemTruncate, now: float) -> None:
        if event.content_index != 0:
            raise Refusal("invalid_value", "Content index must be 0.", "content_index")
        if self._active and self._active.item and self._active.item.id == event.item_id:
            self._finish(self._active, now, "cancelled", "client_cancelled")
        self._items.truncate(event.item_id, event.audio_end_ms)
        fields = event.model_dump(include={"item_id", "content_index", "audio_end_ms"})
        self._send({"type": "conversation.item.truncated", **fields})

    def _response_create(self, event: protocol.ResponseCreate, now: float) -> None:
        part = event.response or ResponsePart()
        if part.conversation == "auto" and self._active:
            message = (
                f"Conversation already has an active response in progress: {self._active.id}. Wait until the "
                "response is finished before creating a new one."
            )
            raise Refusal("conversation_already_has_active_response", message)
        if len(self._responses) >= MAX_PARALLEL_RESPONSES:
            raise Refusal("too_many_responses", f"At most {MAX_PARALLEL_RESPONSES} responses at a time.")
        self._respond(part, now)

    def _response_cancel(self, event: protocol.ResponseCancel, now: float) -> None:
        wanted = self._responses.get(event.response_id) if event.response_id else self._active
        if wanted is None:
            raise Refusal("response_cancel_not_active", "Cancellation failed: no active response found")
        self._finish(wanted, now, "cancelled", "client_cancelled")

    def _output_clear(self, _event: protocol.OutputClear, _now: float) -> None:
        raise Refusal("invalid_event", "output_audio_buffer.clear is for WebRTC and SIP connections.", "type")

    # -- turns and words ------------------------------------------------------------------------------------

    def _recognise(self, ticket: int) -> None:
        self._early.clear()
        self._actions.append(
            Recognise(ticket, self._hearing.audio(), self._hearing.audio_format, self._agent.pending)
        )

    def _turn_ended(self, at_ms: int, create_response: bool, now: float) -> None:
        item_id = self._hearing.item_id
        if item_id is None:
            return
        self._send({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": at_ms, "item_id": item_id})
        ticket = self._hearing.early_ticket()
        if ticket is None:
            ticket = self._hearing.ticket()
            self._recognise(ticket)
        self._commit_item(item_id, ticket, now)
        if create_response and self._active:
            self._wanted = item_id
        elif create_response:
            self._respond(ResponsePart(), now)

    def _commit_item(self, item_id: str, ticket: int, now: float) -> None:
        item = caller_item(item_id, self._hearing.take(), self._session.input_format)
        previous = self._items.add(item)
        committed = {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous}
        self._send(committed)
        self._announce(item, previous)
        words = self._early.pop(ticket, None)
        if words is None:
            self._awaited[ticket] = item
        else:
            self._understood(item, words, now)

    def _understood(self, item: Item, words: str, now: float) -> None:
        item.heard = words
        if self._session.transcription is not None:
            self._send(transcription(item, words))
        for response in list(self._responses.values()):
            if response.awaits_item == item.id:
                response.awaits_item = None
                self._answer(
                    response, decide(self._agent, ResponsePart(), list(self._items), self._session), now
                )

    def _restart_ears(self) -> None:
        self._hearing.attended()
        self._actions.append(Attend(self._session.vad()))

    def _timed_out(self, now: float) -> None:
        item_id = self._ids("item")
        self._idle_s = None
        end_ms = round(self._hearing.appended_ms)
        start_ms = round(self._hearing.appended_ms - self._hearing.buffered_ms)
        times = {"audio_start_ms": start_ms, "audio_end_ms": end_ms, "item_id": item_id}
        self._send({"type": "input_audio_buffer.timeout_triggered", **times})
        ticket = self._hearing.ticket()
        self._early = {ticket: ""}
        self._commit_item(item_id, ticket, now)
        self._start(ResponsePart(), now, self._agent.nudge())

    # -- responses ------------------------------------------------------------------------------------------

    def _respond(self, part: ResponsePart, now: float) -> None:
        """Start a response; one that needs words still being recognised waits for them."""
        waiting = [item.id for item in self._awaited.values()]
        if waiting and part.input is None and not quoted(part.instructions or ""):
            self._start(part, now, None).awaits_item = waiting[-1]
            return
        context = (
            list(self._items)
            if part.input is None
            else self._items.pick(part.input, self._ids, self._session.input_format)
        )
        self._start(part, now, lambda: decide(self._agent, part, context, self._session))

    def _start(self, part: ResponsePart, now: float, reply: Reply | Callable[[], Reply] | None) -> Response:
        response = Response(
            plan_for(part, self._session, self._ids("resp"), self._conversation_id),
            self._faults.next_response(),
        )
        self._responses[response.id] = response
        self._idle_s = None
        if response.plan.default_conversation:
            self._active = response
        self._count_input(response, part)
        for event in response.created():
            self._send(event)
        if response.fault.fail:
            self._finish(response, now, "failed", None, response.fault.fail)
        elif reply is not None:
            self._answer(response, reply() if callable(reply) else reply, now)
        return response

    def _count_input(self, response: Response, part: ResponsePart) -> None:
        """What it reads; own instructions or input are another prompt, which no cache knows."""
        if part.input is not None:
            response.input_tokens = Tokens(text_tokens((part.instructions or "") + str(part.input)))
        elif part.instructions is not None:
            self._items.prompt_changed()
            response.input_tokens, _ = self._items.context(Tokens(text_tokens(part.instructions)))
            self._items.prompt_changed()
        else:
            prompt = prompt_tokens(self._session.instructions, self._session.tools)
            response.input_tokens, response.cached_tokens = self._items.context(prompt)

    def _answer(self, response: Response, reply: Reply, now: float) -> None:
        if isinstance(reply, Invoke):
            call_id = self._ids("call")
            self._agent.called(call_id)
            self._emit(
                response, response.invoke(self._ids("item"), call_id, reply.name, reply.arguments), now
            )
            return
        self._emit(response, response.speak(self._ids("item"), reply.text), now)
        if response.plan.modality == "text":
            self._emit(response, response.write(), now)

    def _finish(
        self, response: Response, now: float, status: str, reason: str | None, failure: Failure | None = None
    ) -> None:
        self._emit(response, response.finish(status, reason, failure), now)

    def _emit(self, response: Response, events: list[Event], now: float) -> None:
        for event in events:
            if event["type"] == "conversation.item.added":
                previous = self._items.add(response.output()[-1])
                event["previous_item_id"] = previous
            self._send(event)
        if response.done and response.id in self._responses:
            del self._responses[response.id]
            self._ended(response, now)

    def _ended(self, response: Response, now: float) -> None:
        if response is not self._active:
            return
        self._active = None
        vad = self._session.vad()
        if vad and vad.idle_timeout_ms and self._hearing.item_id is None:
            self._idle_s = now + (response.audio_ms + vad.idle_timeout_ms) / 1000
        if self._wanted is not None:
            self._wanted = None
            self._respond(ResponsePart(), now)

    def _advance(self, now: float) -> None:
        for response in list(self._responses.values()):
            self._emit(response, response.due(now), now)
            sentence = response.next_sentence()
            if sentence is not None:
                plan, speed = response.plan, self._session.speed
                self._actions.append(
                    Speak(plan.response_id, sentence, str(plan.voice), speed, plan.audio_format)
                )

    # -- items and output -----------------------------------------------------------------------------------

    def _announce(self, item: Item, previous: str | None) -> None:
        for what in ("added", "done"):
            wire = dict(item.wire)
            self._send({"type": f"conversation.item.{what}", "item": wire, "previous_item_id": previous})

    def _send(self, event: Event) -> None:
        event = {"type": event["type"], "event_id": self._ids("event")} | event
        self._actions.append(Send(event))
        self._act(self._faults.at_event("sending", event["type"]))

    def _act(self, actions: list[Action]) -> None:
        self._actions += actions
        self._closed = self._closed or any(isinstance(action, Close) for action in actions)


_HANDLERS: dict[type, Callable[[Conversation, Any, float], None]] = {
    protocol.SessionUpdate: Conversation._session_update,  # noqa: SLF001  # its own table
    protocol.Append: Conversation._append,  # noqa: SLF001
    protocol.Commit: Conversation._commit,  # noqa: SLF001
    protocol.Clear: Conversation._clear,  # noqa: SLF001
    protocol.ItemCreate: Conversation._item_create,  # noqa: SLF001
    protocol.ItemRetrieve: Conversation._item_retrieve,  # noqa: SLF001
    protocol.ItemDelete: Conversation._item_delete,  # noqa: SLF001
    protocol.ItemTruncate: Conversation._item_truncate,  # noqa: SLF001
    protocol.ResponseCreate: Conversation._response_create,  # noqa: SLF001
    protocol.ResponseCancel: Conversation._response_cancel,  # noqa: SLF001
    protocol.OutputClear: Conversation._output_clear,  # noqa: SLF001
}
