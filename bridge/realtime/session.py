"""The Realtime session: GA server events in, boundary events out; wishes in, client events out.

A machine: no socket, no clock, no task. The shell passes every text frame to `receive(message, now)`; after each
frame and each wish it calls `to_send(now)` and sends what comes back, in order; and again at `wake_s`. Audio to the
server does not pass through here (`wire.append_json`, sent by the shell while `state` is READY). All on the loop.

    CONNECTING ──session.created──► CONFIGURING ──session.updated──► READY ──closed()──► CLOSED
               (session.update goes out)         (wishes go out)      any exception inside ──► ERROR

A frame that cannot be read is counted and dropped. An exception inside the machine is our bug: it is raised once, and
from then on every call raises LocalSessionError. A refused wish raises LocalSessionError too and changes nothing.
Wishes made before READY are kept and sent then.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from bridge.errors import FailureKind, LocalSessionError
from bridge.realtime import wire
from bridge.realtime.config import SessionConfig
from bridge.realtime.conversation import Conversation
from bridge.realtime.events import (
    BoundaryEvent,
    ResponseReport,
    SessionChanged,
    SessionError,
    SessionReady,
    UnknownEvent,
)
from bridge.realtime.failures import ends_session, error_kind
from bridge.realtime.handlers import HANDLERS, PASSED
from bridge.realtime.outbox import Outbox
from bridge.realtime.responses import TAG, ResponseOwner
from bridge.realtime.usage import PriceTable
from bridge.realtime.wire import Json, message_text, number, part, text

RESPONSE_WAIT_S = 3.0
CREATE_WAIT_S = 10.0
SPEECH_WAIT_S = 30.0
REFUSED_WAIT_S = 1.0
MAX_UNKNOWN_NAMES = 64
MAX_NAME_CHARS = 100
OTHER_NAMES = "(other)"
GREETING_ORDER = (
    "The call has just been answered. Say exactly the following words to the caller now, in their language, "
    'and nothing else:\n"{greeting}"'
)


class State(Enum):
    """Where the session is."""

    CONNECTING = "connecting"
    CONFIGURING = "configuring"
    READY = "ready"
    CLOSED = "closed"
    ERROR = "error"


NEXT_STATE: Mapping[tuple[State, str], State] = MappingProxyType(
    {
        (State.CONNECTING, "session.created"): State.CONFIGURING,
        (State.CONFIGURING, "session.updated"): State.READY,
    }
)
SESSION_EVENTS = frozenset({"session.created", "session.updated", "error"})
_OVER = frozenset({State.CLOSED, State.ERROR})


class Session:
    """One conversation with the speech model.

    `response_wait_s`: how long the server's own response may stay away after the caller's turn before a waiting
    wish of ours goes out. `create_wait_s`: how long our `response.create` may stay unanswered before it is given up.
    `speech_wait_s`: how long the caller may speak before the end of speech counts as lost. `refused_wait_s`: when a
    plain request the server refused goes out once more, if no response ends before.
    """

    def __init__(
        self,
        config: SessionConfig,
        prices: PriceTable,
        *,
        response_wait_s: float = RESPONSE_WAIT_S,
        create_wait_s: float = CREATE_WAIT_S,
        speech_wait_s: float = SPEECH_WAIT_S,
        refused_wait_s: float = REFUSED_WAIT_S,
    ) -> None:
        self.config = config
        self.state = State.CONNECTING
        self.unknown: dict[str, int] = {}
        self.malformed = 0
        self.asked_s = 0.0  # when the last answer of the conversation was asked for, monotonic
        self._outbox = Outbox()
        self._early: list[str] = []
        self._owner = ResponseOwner(
            response_wait_s, create_wait_s, speech_wait_s=speech_wait_s, refused_wait_s=refused_wait_s
        )
        self._conversation = Conversation(config, prices, self._owner, self._outbox)

    # --- in and out ---

    def receive(self, message: str | bytes, now: float) -> list[BoundaryEvent]:
        """One frame from the server, at monotonic `now`. Raises LocalSessionError when the session is over."""
        self._refuse_if_over()
        try:
            return self._read(wire.parse(message), now)
        except wire.MalformedEventError as error:
            self.malformed += 1
            return [SessionError(FailureKind.IGNORE, "malformed_event", str(error), "")]
        except Exception:
            self.state = State.ERROR
            raise

    def to_send(self, now: float) -> list[str]:
        """JSON texts to send now, in order. Empty when the session is over."""
        if self.state is not State.READY:
            early, self._early = self._early, []
            return early if self.state not in _OVER else []
        if self._owner.may_create(now):
            event_id, self.asked_s = self._outbox.next_id(), now
            wish = self._owner.next_create(event_id, now)
            self._outbox.put_as(event_id, wire.response_create(self._tagged(wish.tag, wish.response)))
        return self._outbox.take()

    @property
    def wake_s(self) -> float | None:
        """When to call `to_send` again though nothing happened; None: not needed."""
        return self._owner.wake_s if self.state is State.READY else None

    @property
    def response_active(self) -> bool:
        """Whether a response of the conversation is under way, or one of ours was asked for and not answered yet."""
        return bool(self._owner.active) or self._owner.outstanding

    @property
    def speaking(self) -> bool:
        """Whether the server's VAD says the caller speaks; at most `speech_wait_s` if it never says the end."""
        return self._owner.speaking

    def closed(self) -> None:
        """The transport is gone."""
        self.state = self.state if self.state is State.ERROR else State.CLOSED

    # --- wishes: responses ---

    def greet(self) -> str:
        """Have the agent say `config.greeting` word for word; without one it opens by itself. Returns the tag."""
        if not self.config.greeting:
            return self._ask("greeting", {})
        order = self._with_instructions(
            GREETING_ORDER.format(greeting=self.config.greeting.replace('"', "'"))
        )
        return self._ask("greeting", order | ({"tool_choice": "none"} if self.config.tools else {}))

    def say(self, instructions: str) -> str:
        """A response with these instructions on top of the session's. Returns the tag its report will carry."""
        return self._ask("say", self._with_instructions(instructions))

    def request_response(self, **overrides: Any) -> str:
        """A response, with fields of `response.create` overridden; `conversation="none"` needs no turn.

        Without overrides it is a plain "go on", which merges with others and may be fulfilled by the server's own
        response. Returns the tag, "" for a plain one.
        """
        self._refuse_if_over()
        if not overrides:
            self._conversation.go_on()
            return ""
        if overrides.get("conversation") != "none":
            return self._ask("request", overrides)
        tag = self._owner.out_of_band()
        self._outbox.put(wire.response_create(self._tagged(tag, overrides)))
        return tag

    def retry(self, lost: ResponseReport | SessionError) -> bool:
        """Ask again, before all else, for what a failed response or a refused request should have said.

        False: its words are not known (the server's own, a plain request, too long ago), so a plain request was made
        instead; for a response outside the conversation nothing is done.
        """
        self._refuse_if_over()
        if isinstance(lost, ResponseReport) and lost.out_of_band:
            return False
        if self._owner.again(lost.wish):
            return True
        self._conversation.go_on()
        return False

    def cancel_response(self) -> bool:
        """Stop the active response; its audio still under way is not dropped. False: nothing is running."""
        self._refuse_if_over()
        if not (self._owner.active or self._owner.outstanding):
            return False
        self._outbox.put(wire.response_cancel(self._owner.active))
        return True

    def interrupted(self) -> None:
        """The caller talks over the agent: late audio of running responses is dropped from here on.

        The server is told to stop unless its own VAD, which heard the speech, does so by itself.
        """
        self._refuse_if_over()
        self._conversation.interrupted()

    # --- wishes: items ---

    def send_user_text(self, words: str, role: str = "user") -> str:
        """Add a text item of role user or system; does not ask for a response. Returns the item id."""
        if role not in {"user", "system"}:
            raise LocalSessionError(f"role {role!r} cannot be sent")
        item_id = self._item_id()
        self._outbox.put(wire.item_create(wire.text_item(item_id, role, words)))
        return item_id

    def function_output(self, call_id: str, output: str, *, respond: bool = True) -> None:
        """Answer a function call. When all calls of its response are answered, the agent goes on if one wants it to.

        Raises LocalSessionError for a call that does not wait (never made, answered before).
        """
        self._refuse_if_over()
        if not self._conversation.calls.is_open(call_id):
            raise LocalSessionError(f"function call {call_id!r} does not wait for an output")
        self._outbox.put(wire.item_create(wire.output_item(self._item_id(), call_id, output)))
        self._conversation.reply_due(due=self._conversation.calls.answered(call_id, respond=respond))

    def approve_mcp(self, approval_request_id: str, *, approve: bool, reason: str = "") -> None:
        """Answer an approval request. Denied: the agent goes on at once. Approved: after the tool has run."""
        self._refuse_if_over()
        if not self._conversation.calls.is_open(approval_request_id):
            raise LocalSessionError(f"approval request {approval_request_id!r} does not wait")
        item = wire.approval_item(self._item_id(), approval_request_id, approve=approve, reason=reason)
        self._outbox.put(wire.item_create(item))
        due = self._conversation.calls.answered(approval_request_id, respond=not approve)
        self._conversation.reply_due(due=due)

    def truncate(self, item_id: str, audio_end_ms: float) -> bool:
        """Keep only the first `audio_end_ms` of an item, as heard; deletes it when that is nothing.

        Never beyond what was received, never twice. False: nothing to do (unknown, cut before, heard to the end).
        """
        self._refuse_if_over()
        cut = self._conversation.items.cut(item_id, audio_end_ms)
        if cut is None:
            return False
        order = wire.item_truncate(item_id, cut.content_index, cut.audio_end_ms)
        self._outbox.put(order if cut.audio_end_ms else wire.item_delete(item_id))
        return True

    def delete_item(self, item_id: str) -> bool:
        """Drop an item from the conversation. False: deleted before."""
        self._refuse_if_over()
        if not self._conversation.items.delete(item_id):
            return False
        self._outbox.put(wire.item_delete(item_id))
        return True

    def retrieve_item(self, item_id: str) -> None:
        """Ask for the server's copy of an item; comes as ItemRetrieved."""
        self._refuse_if_over()
        self._outbox.put(wire.item_retrieve(item_id))

    # --- wishes: input and settings ---

    def commit(self) -> None:
        """Make the input so far a user item (manual turns); does not ask for a response."""
        self._refuse_if_over()
        self._outbox.put(wire.input_commit())

    def clear_input(self) -> None:
        """Drop the input not yet committed."""
        self._refuse_if_over()
        self._outbox.put(wire.input_clear())

    def update(self, **changes: Any) -> None:
        """Change settings in mid-call; names are the fields of SessionConfig. Formats and model cannot change."""
        self._refuse_if_over()
        fixed = {"model", "input_format", "output_format"} & set(changes)
        if fixed:
            raise LocalSessionError(f"fixed for the whole session: {', '.join(sorted(fixed))}")
        config = replace(self.config, **changes)
        self._outbox.put(wire.session_update(config.to_session(only=changes)))
        self.config = self._conversation.config = config

    # --- inside ---

    def _read(self, event: Json, now: float) -> list[BoundaryEvent]:
        name = event["type"]
        match name:
            case "session.created":
                return self._created(event)
            case "session.updated":
                return self._updated(event)
            case "error":
                return self._error(event, now)
        handler = HANDLERS.get(name)
        if handler is not None:
            return list(handler(self._conversation, event, now))
        return [] if name in PASSED else [self._note_unknown(name)]

    def _created(self, event: Json) -> list[BoundaryEvent]:
        if self._advance("session.created"):
            self._conversation.settings(part(event, "session"))
            update = {"event_id": self._outbox.next_id(), **wire.session_update(self.config.to_session())}
            self._early.append(wire.dumps(update))
        return []

    def _updated(self, event: Json) -> list[BoundaryEvent]:
        session = part(event, "session")
        self._conversation.settings(session)
        if self._advance("session.updated"):
            expires_at = number(session, "expires_at") or None
            return [SessionReady(text(session, "id"), self._conversation.model, expires_at)]
        return [SessionChanged(text(session, "id"))]

    def _error(self, event: Json, now: float) -> list[BoundaryEvent]:
        error = part(event, "error")
        code = text(error, "code") or text(error, "type") or "unknown_error"
        kind = error_kind(code, text(error, "type"))
        if self.state is not State.READY and kind is FailureKind.IGNORE:
            kind = FailureKind.FATAL
        event_id = text(error, "event_id")
        lost = self._owner.refused(event_id, code, now)
        over = self.state is not State.READY or ends_session(kind, code)
        return [SessionError(kind, code, message_text(error, "message"), event_id, over, lost)]

    def _advance(self, trigger: str) -> bool:
        state = NEXT_STATE.get((self.state, trigger))
        if state is not None:
            self.state = state
        return state is not None

    def _note_unknown(self, name: str) -> BoundaryEvent:
        key = name[:MAX_NAME_CHARS]
        if key not in self.unknown and len(self.unknown) >= MAX_UNKNOWN_NAMES:
            key = OTHER_NAMES
        self.unknown[key] = self.unknown.get(key, 0) + 1
        return UnknownEvent(name[:MAX_NAME_CHARS])

    def _refuse_if_over(self) -> None:
        if self.state in _OVER:
            raise LocalSessionError(f"the session is {self.state.value}")

    def _ask(self, kind: str, response: Mapping[str, Any]) -> str:
        self._refuse_if_over()
        return self._owner.ask(kind, response)

    def _item_id(self) -> str:
        self._refuse_if_over()
        return self._outbox.next_item_id()

    def _with_instructions(self, order: str) -> dict[str, Any]:
        """Instructions of a response replace the session's, so the agent's own go first: same voice, cache kept."""
        return {"instructions": "\n\n".join(filter(None, (self.config.instructions, order)))}

    def _tagged(self, tag: str, response: Mapping[str, Any]) -> dict[str, Any]:
        if not self.config.response_tags:
            return dict(response)
        return {**response, "metadata": {**response.get("metadata", {}), TAG: tag}}
