"""The one owner of `response.create` for the default conversation.

A machine: the session tells it what the server did (`speech_started`, `created`, `done`, …) and what we want
(`ask`, `reply`); `may_create` says when one may go out. At most one response may write to the conversation,
and with server VAD the server makes responses by itself, so a wish waits
    - until READY (the session asks us only then),
    - while a response is active or one of ours is not answered yet,
    - while the caller speaks, and from the end of speech until the server's own response is there.
A wait for something the server never sends ends by time, so every wish goes out in the end.
Plain wishes ("go on, the conversation has news") merge; they are also fulfilled by a response of the server's own
that was made after it acknowledged the news. Wishes with words of their own are kept in order, never merged.
Our responses carry their tag in `metadata`; a server that does not echo it is followed by order of events instead.
Weak spot: where it also begins responses without any VAD event before, one may be taken for ours; a create sent too
early for that is refused by the server, kept, and sent again.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bridge.errors import LocalSessionError

TAG = "wish"
ALREADY_ACTIVE = "conversation_already_has_active_response"
MAX_WISHES = 16
MAX_OUT_OF_BAND = 16


class Turn(Enum):
    """Whose turn the server's VAD says it is, as far as it makes responses by itself."""

    QUIET = "quiet"
    SPEAKING = "speaking"
    AWAITED = "awaited"


@dataclass(slots=True)
class Wish:
    """One response we want. `needs`: items the server must have acknowledged before its own response counts for it."""

    tag: str
    response: Mapping[str, Any]
    plain: bool
    needs: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Asked:
    wish: Wish
    event_id: str
    sent_s: float
    doomed: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """What a `response.created` was. `doomed`: ours, but the caller began to speak before it was there: stop it."""

    asked_s: float | None
    out_of_band: bool = False
    doomed: bool = False


class ResponseOwner:
    """Decides when to send `response.create`. Times are monotonic seconds.

    `response_wait_s`: how long the server's own response may stay away after the caller's turn.
    `create_wait_s`: how long our create may stay unanswered before it is given up.
    """

    def __init__(self, response_wait_s: float, create_wait_s: float) -> None:
        self._response_wait_s = response_wait_s
        self._create_wait_s = create_wait_s
        self.server_responds = False
        self.active = ""
        self._turn = Turn.QUIET
        self._turn_ended_s: float | None = None
        self._awaited_until_s = 0.0
        self._asked: _Asked | None = None
        self._running: _Asked | None = None
        self._wishes: deque[Wish] = deque()
        self._out_of_band: dict[str, None] = {}
        self._echoes = False
        self._count = 0

    @property
    def speaking(self) -> bool:
        """Whether the server's VAD is inside the caller's speech (only when it responds by itself)."""
        return self._turn is Turn.SPEAKING

    @property
    def outstanding(self) -> bool:
        """Whether a create of ours is not answered yet."""
        return self._asked is not None

    @property
    def pending(self) -> int:
        """Wishes not sent yet."""
        return len(self._wishes)

    @property
    def wake_s(self) -> float | None:
        """When `may_create` should be asked again though nothing happened; None: no need."""
        times = []
        if self._turn is Turn.AWAITED and self._wishes:
            times.append(self._awaited_until_s)
        if self._asked is not None:
            times.append(self._asked.sent_s + self._create_wait_s)
        return min(times, default=None)

    def ask(self, kind: str, response: Mapping[str, Any]) -> str:
        """Want a response with settings of its own; returns its tag. Raises LocalSessionError when 16 wait already."""
        if len(self._wishes) >= MAX_WISHES:
            raise LocalSessionError(f"{MAX_WISHES} responses are already waiting")
        wish = Wish(self._tag(kind), response, plain=False)
        self._wishes.append(wish)
        return wish.tag

    def reply(self, needs: set[str]) -> None:
        """Want a response to what is new in the conversation; merges with a waiting one."""
        for wish in self._wishes:
            if wish.plain:
                wish.needs |= needs
                return
        self._wishes.append(Wish(self._tag("reply"), {}, plain=True, needs=set(needs)))

    def out_of_band(self) -> str:
        """Tag for a response outside the conversation, which needs no turn. Of 16 open ones the oldest is forgotten."""
        while len(self._out_of_band) >= MAX_OUT_OF_BAND:
            del self._out_of_band[next(iter(self._out_of_band))]
        tag = self._tag("aside")
        self._out_of_band[tag] = None
        return tag

    def may_create(self, now: float) -> bool:
        """Whether a wish waits and its moment is there."""
        self._expire(now)
        free = not self.active and self._asked is None and self._turn is Turn.QUIET
        return free and bool(self._wishes)

    def next_create(self, event_id: str, now: float) -> Wish:
        """The wish to send now as event `event_id`; only after `may_create`."""
        wish = self._wishes.popleft()
        self._asked = _Asked(wish, event_id, now)
        return wish

    def speech_started(self) -> None:
        """The caller began to speak."""
        if self.server_responds:
            self._turn = Turn.SPEAKING

    def turn_ended(self, now: float, *, ended_by_speech: bool) -> None:
        """The caller stopped (`speech_stopped`, idle timeout) or the audio was committed."""
        if ended_by_speech or self._turn_ended_s is None:
            self._turn_ended_s = now
        if self.server_responds:
            self._await(now)

    def turn_dropped(self) -> None:
        """The input buffer was cleared: no response follows."""
        self._turn = Turn.QUIET
        self._turn_ended_s = None

    def doom(self) -> None:
        """The caller interrupted: a create of ours still under way must not be heard."""
        if self._asked is not None:
            self._asked.doomed = True

    def acknowledged(self, item_id: str) -> None:
        """The server has this item in its conversation."""
        for wish in self._wishes:
            wish.needs.discard(item_id)

    def created(self, response_id: str, metadata: Mapping[str, str], *, unattached: bool) -> Created:
        """A response began. `unattached`: the server said it belongs to no conversation."""
        tag = metadata.get(TAG, "")
        self._echoes = self._echoes or bool(tag)
        aside = tag if tag in self._out_of_band else ""
        if unattached and not tag and self._out_of_band:
            aside = next(iter(self._out_of_band))
        if aside:
            del self._out_of_band[aside]
            return Created(None, out_of_band=True)
        self.active = response_id
        asked = self._asked
        if asked is not None and self._is_ours(asked, tag):
            self._asked, self._running = None, asked
            return Created(asked.sent_s, doomed=asked.doomed)
        return Created(self._servers_own())

    def done(self, response_id: str) -> None:
        """A response ended."""
        if response_id == self.active:
            self.active = ""
            self._running = None
        elif self._turn is Turn.AWAITED and not self.active:
            self._turn = Turn.QUIET

    def refused(self, event_id: str, code: str, now: float) -> None:
        """An `error`; if it is about our create, that one is over: kept when only the moment was wrong."""
        asked = self._refused_create(event_id, code)
        if asked is None:
            return
        if asked is self._asked:
            self._asked = None
        else:
            self._running = None
        if code != ALREADY_ACTIVE:
            return
        if not self.active:
            self._await(now)
        self._wish_again(asked.wish)

    def _refused_create(self, event_id: str, code: str) -> _Asked | None:
        candidates = [asked for asked in (self._asked, self._running) if asked is not None]
        for asked in candidates:
            if event_id == asked.event_id:
                return asked
        return candidates[0] if candidates and not event_id and code == ALREADY_ACTIVE else None

    def _wish_again(self, wish: Wish) -> None:
        waiting = next((other for other in self._wishes if other.plain), None) if wish.plain else None
        if waiting is None:
            self._wishes.appendleft(wish)
        else:
            waiting.needs |= wish.needs

    def _is_ours(self, asked: _Asked, tag: str) -> bool:
        if tag:
            return tag == asked.wish.tag
        return not self._echoes and self._turn is not Turn.AWAITED

    def _servers_own(self) -> float | None:
        ended_s, self._turn_ended_s = self._turn_ended_s, None
        self._turn = Turn.QUIET
        for wish in self._wishes:
            if wish.plain and not wish.needs:
                self._wishes.remove(wish)
                break
        return ended_s

    def _await(self, now: float) -> None:
        self._turn = Turn.AWAITED
        self._awaited_until_s = now + self._response_wait_s

    def _expire(self, now: float) -> None:
        if self._turn is Turn.AWAITED and now >= self._awaited_until_s:
            self._turn = Turn.QUIET
        if self._asked is not None and now >= self._asked.sent_s + self._create_wait_s:
            self._asked = None

    def _tag(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"
