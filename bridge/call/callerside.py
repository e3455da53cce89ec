"""The caller's leg: ringing, early media, the answer, and from then on the limits of the call.

A shell: what may be done when is dialog.py's, the limits are limits.py's. On the worker's loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from bridge.call.journal import Journal
from bridge.call.limits import CallLimits, Ending
from bridge.call.party import Party
from bridge.call.tasks import to_the_end
from bridge.config import LimitsConfig
from bridge.errors import SipError
from bridge.sip.leg import Leg

End = Callable[[Ending], Awaitable[None]]


class CallerSide(Party):
    """`end` ends the call; it does not come back. `limits` is there from the answer on."""

    def __init__(self, leg: Leg, journal: Journal, limits: LimitsConfig, end: End) -> None:
        super().__init__(leg)
        self.limits: CallLimits | None = None
        self._journal = journal
        self._config = limits
        self._end = end
        self._came_s = time.monotonic()
        self.rings_until_s = 0.0
        """A step needs the caller to wait unanswered for so long (monotonic): longer than ring_max_s perhaps."""

    def let_ring(self, seconds: float) -> None:
        """The step that runs may leave the call unanswered for so long from now on."""
        self.rings_until_s = max(self.rings_until_s, time.monotonic() + seconds)

    @property
    def answered(self) -> bool:
        """Whether the call is up."""
        return self.limits is not None

    async def ring(self) -> None:
        """180 Ringing, unless it is too late for it."""
        if await self.leg.ring():
            self._journal.note("call.ringing")

    async def early_media(self) -> bool:
        """183 with SDP: what is played from now on is heard before the answer.

        False: too late, or the INVITE made no offer (RFC 3261 section 13.2.1), so that no audio can flow yet.
        """
        if self.answered or self.leg.invite.sdp is None:
            return False
        if await self.leg.early_media():
            self._journal.note("call.early_media")
            self.leg.audio.start()
            return True
        return False

    async def answer(self) -> None:
        """200 OK, once. Does not come back when the call is over by then."""
        if self.limits is not None:
            return
        try:
            answered = await to_the_end(self._answer())
        except SipError as error:  # an offer that pjsip let in and cannot answer, e.g. an unusable address
            self._journal.note("error", where="answer", code="sip", message=str(error))
            await self._end(Ending(488, "no_common_media", str(error)))
            return
        if not answered:
            await asyncio.Event().wait()  # the caller gave up: HungUp is on its way and ends this wait

    async def _answer(self) -> bool:
        if not await self.leg.answer():
            return False
        now = time.monotonic()
        self.limits = CallLimits(self._config, now)
        self.limits.held(self.leg.held, now)
        media = self.leg.media
        self._journal.note(
            "call.answered",
            codec=media.codec if media else "",
            ptime_ms=media.ptime_ms if media else 0,
            remote_rtp=media.remote if media else "",
            answer_ms=round((now - self._came_s) * 1000, 1),
        )
        self.leg.audio.start()
        return True

    async def play_answered(self, pcm: bytes) -> None:
        """Answer, play to the end."""
        await self.answer()
        await self.play(pcm)
