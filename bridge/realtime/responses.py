"""The one owner of `response.create` for the default conversation.

A machine: the session tells it what the server did (`speech_started`, `created`, `done`, …) and what we want
(`ask`, `reply`); `may_create` says when one may go out. At most one response may write to the conversation,
and with server VAD the server makes responses by itself, so a wish waits
    - until READY (the session asks us only then),
    - while a response is active or one of ours is not answered yet,
    - while the caller speaks, and from the end of speech until the server's own response is there.
A wait for something the server never sends ends by time, so every wish goes out in the end.
Plain wishes ("go on, the conversation has news") merge; they are also fulfilled by a response of the server's own
that was made after it acknowledged the news, and without any news by whatever response is heard after them.
Wishes with words of their own are kept in order, never merged, and the last ones sent can be asked again.
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
MAX_REMEMBERED = 8


class Turn(Enum):
    """Whose turn the server's VAD says it is; AWAITED only where the server makes responses by itself."""

    QUIET = "quiet"
    SPEAKING = "speaking"
    AWAITED = "awaited"


@dataclass(slots=True)
class Wish:
    """One response we want. `needs`: items the server must have acknowledged before its own response counts for it.

    `bare`: plain and without news, so any audio that follows is what it wanted. `served`: that audio came.
    `refused`: the server refused it once.
    """

    tag: str
    response: Mapping[str, Any]
    plain: bool
    needs: set[str] = field(default_factory=set)
    bare: bool = False
    served: bool = False
    refused: bool = False


@dataclass(slots=True)
class _Asked:
    wish: Wish
    event_id: str
    sent_s: float
    doomed: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """What a `response.created` was. `doomed`: ours, but the caller began to speak before it was there: stop it.

    `wish`: tag of the wish it answers, "" for the server's own.
    """

    asked_s: float | None
    out_of_band: bool = False
    doomed: bool = False
    wish: str = ""


class ResponseOwner:
    """Decides when to send `response.create`. Times are monotonic seconds.

    `response_wait_s`: how long the server's own response may stay away after the caller's turn.
    `create_wait_s`: how long our create may stay unanswered before it is given up.
    `speech_wait_s`: how long the caller may speak before the end of speech counts as lost.
    `refused_wait_s`: when a plain wish the server refused is tried again, if no response ends before.
    """

    def __init__(
        self,
        response_wait_s: float,
        create_wait_s: float,
        *,
        speech_wait_s: float = 30.0,
        refused_wait_s: float = 1.0,
    ) -> None:
        self._response_wait_s = response_wait_s
        self._create_wait_s = create_wait_s
        self._speech_wait_s = speech_wait_s
        self._refused_wait_s = refused_wait_s
        self.server_responds = False
        self.active = ""
        self._turn = Turn.QUIET
        self._turn_ended_s: float | None = None
        self._turn_until_s = 0.0
        self._held_until_s: float | None = None
        self._asked: _Asked | None = None
        self._running: _Asked | None = None
        self._wishes: deque[Wish] = deque()
        self._remembered: dict[str, Wish] = {}
        self._out_of_band: dict[str, None] = {}
        self._echoes = False
        self._count = 0

    @property
    def speaking(self) -> bool:
        """Whether the server's VAD is inside the caller's speech."""
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
        if self._turn is Turn.SPEAKING or (self._turn is Turn.AWAITED and self._wishes):
            times.append(self._turn_until_s)
        if self._held_until_s is not None and self._wishes:
            times.append(self._held_until_s)
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

    def reply(self, needs: set[str], *, news: bool = True) -> None:
        """Want a response to what is new in the conversation; merges with a waiting one.

        `news` False: nothing new is known, a mere "go on" (unless an item of ours still waits for the server's word).
        """
        bare = not (news or needs)
        waiting = self._waiting_plain()
        if waiting is None:
            self._wishes.append(Wish(self._tag("reply"), {}, plain=True, needs=set(needs), bare=bare))
        else:
            waiting.needs |= needs
            waiting.bare = waiting.bare and bare

    def again(self, tag: str) -> bool:
        """Want a wish with settings of its own once more, before all others. False: not among the last 8 sent."""
        wish = self._remembered.get(tag)
        if wish is None:
            return False
        under_way = self._asked is not None and self._asked.wish is wish
        if not under_way and all(wish is not waiting for waiting in self._wishes):
            self._wishes.appendleft(wish)
        return True

    def heard(self) -> None:
        """Audio of a response of the conversation was handed on: a mere "go on" has what it wanted."""
        waiting = self._waiting_plain()
        if waiting is not None and waiting.bare:
            self._wishes.remove(waiting)
        for asked in (self._asked, self._running):
            if asked is not None:
                asked.wish.served = asked.wish.bare

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
        callers = self._turn is Turn.AWAITED or (self._turn is Turn.SPEAKING and self.server_responds)
        free = not (self.active or self._asked or callers or self._held_until_s is not None)
        return free and bool(self._wishes)

    def next_create(self, event_id: str, now: float) -> Wish:
        """The wish to send now as event `event_id`; only after `may_create`."""
        wish = self._wishes.popleft()
        self._asked = _Asked(wish, event_id, now)
        if not wish.plain:
            self._remembered[wish.tag] = wish
            if len(self._remembered) > MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
        return wish

    def speech_started(self, now: float) -> None:
        """The caller began to speak."""
        self._turn = Turn.SPEAKING
        self._turn_until_s = now + self._speech_wait_s

    def turn_ended(self, now: float, *, ended_by_speech: bool) -> None:
        """The caller stopped (`speech_stopped`, idle timeout) or the audio was committed."""
        if ended_by_speech or self._turn_ended_s is None:
            self._turn_ended_s = now
        self._turn = Turn.AWAITED if self.server_responds else Turn.QUIET
        self._turn_until_s = now + self._response_wait_s

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
            return Created(None, out_of_band=True, wish=aside)
        self.active = response_id
        asked = self._asked
        if asked is not None and self._is_ours(asked, tag):
            self._asked, self._running = None, asked
            return Created(asked.sent_s, doomed=asked.doomed, wish=asked.wish.tag)
        return Created(self._servers_own())

    def done(self, response_id: str) -> None:
        """A response ended."""
        self._held_until_s = None
        if response_id == self.active:
            self.active = ""
            self._running = None
        elif self._turn is Turn.AWAITED and not self.active:
            self._turn = Turn.QUIET

    def refused(self, event_id: str, code: str, now: float) -> str:
        """An `error`; if it is about our create, that one is over. Returns the tag of the wish that is lost, or "".

        The wish is kept when only the moment was wrong; a plain one is tried once more whatever was wrong.
        """
        asked = self._refused_create(event_id, code)
        if asked is None:
            return ""
        if asked is self._asked:
            self._asked = None
        else:
            self._running = None
        return self._keep_or_lose(asked.wish, now, too_early=code == ALREADY_ACTIVE)

    def _keep_or_lose(self, wish: Wish, now: float, *, too_early: bool) -> str:
        if wish.served:
            return ""
        if not too_early:
            if wish.refused or not wish.plain:
                return wish.tag
            wish.refused = True
            self._held_until_s = now + self._refused_wait_s
        elif not self.active:
            self._held_until_s = now + self._response_wait_s
        waiting = self._waiting_plain() if wish.plain else None
        if waiting is None:
            self._wishes.appendleft(wish)
        else:
            waiting.needs |= wish.needs
            waiting.bare = waiting.bare and wish.bare
        return ""

    def _refused_create(self, event_id: str, code: str) -> _Asked | None:
        candidates = [asked for asked in (self._asked, self._running) if asked is not None]
        for asked in candidates:
            if event_id == asked.event_id:
                return asked
        return candidates[0] if candidates and not event_id and code == ALREADY_ACTIVE else None

    def _waiting_plain(self) -> Wish | None:
        return next((wish for wish in self._wishes if wish.plain), None)

    def _is_ours(self, asked: _Asked, tag: str) -> bool:
        if tag:
            return tag == asked.wish.tag
        return not self._echoes and self._turn is not Turn.AWAITED

    def _servers_own(self) -> float | None:
        ended_s, self._turn_ended_s = self._turn_ended_s, None
        if self._turn is Turn.AWAITED:
            self._turn = Turn.QUIET
        waiting = self._waiting_plain()
        if waiting is not None and not waiting.needs:
            self._wishes.remove(waiting)
        return ended_s

    def _expire(self, now: float) -> None:
        if now >= self._turn_until_s:
            self._turn = Turn.QUIET
        if self._held_until_s is not None and now >= self._held_until_s:
            self._held_until_s = None
        if self._asked is not None and now >= self._asked.sent_s + self._create_wait_s:
            self._asked = None

    def _tag(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"
