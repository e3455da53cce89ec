"""Where somebody from outside gets into a running call: by a token, once, within seconds.

    host:  with rendezvous.meeting() as meeting: token = meeting.token(now) … guest = await meeting.guest()
    guest: INVITE sip:meet-<token>@worker ─► Rendezvous.admit(leg)      another worker, or a phone
           Rendezvous.visit(token, party)                               a call of this worker, without SIP

A token is 128 random bits, lets one guest in and is worth nothing after LIVES_S; an INVITE with another one is refused
and never routed. Used by parked calls and by supervisors. One of these a worker, on its loop.
"""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator

from bridge.call.party import Party
from bridge.errors import SipError
from bridge.sip.events import HangUpBy
from bridge.sip.leg import Leg

LIVES_S = 10.0
MAX_TOKENS = 1000
USER = "meet-"
_TOKEN = re.compile(r"meet-([0-9a-f]{32})")


class Visit:
    """A call of this worker that is a guest of another one. `over`: the guest went. `ended`: the host did."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.over = asyncio.Event()
        self.ended = asyncio.Event()


Guest = Leg | Visit


class Meeting:
    """One guest may come."""

    def __init__(self, rendezvous: "Rendezvous") -> None:
        self._rendezvous = rendezvous
        self._guest: asyncio.Future[Guest] = asyncio.get_running_loop().create_future()
        self._taken = False

    def token(self, lives_s: float = LIVES_S) -> str:
        """A fresh one. Those before it stay good for their time."""
        return self._rendezvous.issue(self, lives_s)

    def come(self, guest: Guest) -> bool:
        """Somebody is at the door. False: somebody else was first."""
        if self._guest.done():
            return False
        self._guest.set_result(guest)
        return True

    async def guest(self) -> Guest:
        """Wait for who comes."""
        guest = await asyncio.shield(self._guest)
        self._taken = True
        return guest

    def unmet(self) -> Guest | None:
        """Who came and was never received."""
        return self._guest.result() if self._guest.done() and not self._taken else None


class Rendezvous:
    """The meetings of one worker. `hosts`: IP addresses from which guests may come. `clock`: monotonic seconds.

    Behind the edge the edge says which requests are workers', of whatever node; then only those may, and `hosts`.
    """

    def __init__(
        self, hosts: Iterable[str] = ("127.0.0.1",), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hosts = frozenset(hosts)
        self._clock = clock
        self._leaving: set[asyncio.Task[None]] = set()
        self._tokens: dict[str, tuple[Meeting, float]] = {}

    @contextlib.contextmanager
    def meeting(self) -> Iterator[Meeting]:
        """Open for as long as the block runs. A guest that was not received is sent away."""
        meeting = Meeting(self)
        try:
            yield meeting
        finally:
            self._tokens = {token: one for token, one in self._tokens.items() if one[0] is not meeting}
            match meeting.unmet():
                case Leg() as leg:
                    self._send_away(leg)
                case Visit() as visit:
                    visit.ended.set()

    def issue(self, meeting: Meeting, lives_s: float) -> str:
        """A token that leads to the meeting."""
        now = self._clock()
        self._tokens = {token: one for token, one in self._tokens.items() if one[1] > now}
        while len(self._tokens) >= MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        token = secrets.token_hex(16)
        self._tokens[token] = meeting, now + lives_s
        return token

    def admit(self, leg: Leg) -> bool:
        """An INVITE came. True: it is about a meeting and has been dealt with; False: it is an ordinary call."""
        named = _TOKEN.fullmatch(leg.invite.called.user)
        if named is None:
            return False
        known = leg.invite.from_worker or leg.invite.source.rpartition(":")[0] in self._hosts
        meeting = self._redeem(named[1]) if known else None
        if meeting is None or not meeting.come(leg):
            self._send_away(leg)
        return True

    def visit(self, token: str, party: Party) -> Visit | None:
        """A call of this worker comes. None: there is no such meeting (any more)."""
        meeting, visit = self._redeem(token), Visit(party)
        return visit if meeting is not None and meeting.come(visit) else None

    def _redeem(self, token: str) -> Meeting | None:
        """The token is gone by this."""
        meeting, until_s = self._tokens.pop(token, (None, 0.0))
        return meeting if self._clock() < until_s else None

    def _send_away(self, leg: Leg) -> None:
        """Nobody waits for that."""
        task = asyncio.create_task(_turn_away(leg))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _turn_away(leg: Leg) -> None:
    """Nobody waits for this leg."""
    with contextlib.suppress(SipError, TimeoutError):
        await leg.hang_up(HangUpBy.BRIDGE, 404, "nobody waits here")
