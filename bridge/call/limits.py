"""Ghost calls end: no audio from the peer, held for too long, or simply too long.

A machine; asked about once a second. RTP silence does not count while the peer holds us (RFC 3264 section 8.4:
a held stream may stop).
"""

from dataclasses import dataclass

from bridge.config import LimitsConfig


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the bridge ends a call: final status for the Reason header, our word for it, and a sentence for people."""

    status: int
    reason: str
    detail: str


class CallLimits:
    """Counts from the answer; all times monotonic seconds."""

    def __init__(self, limits: LimitsConfig, now: float) -> None:
        self._limits = limits
        self._max_call_s = limits.max_call_s
        self.answered_s = now
        self._held_s: float | None = None

    def shorten(self, max_call_s: int) -> None:
        """An agent's own limit; it can only be the shorter one."""
        self._max_call_s = min(self._max_call_s, max_call_s)

    def restore(self) -> None:
        """The agent is gone: the settings' limit holds again."""
        self._max_call_s = self._limits.max_call_s

    def held(self, held: bool, now: float) -> None:
        """The peer put us on hold, or took us off it."""
        self._held_s = now if held else None

    def check(self, last_rx_s: float | None, now: float) -> Ending | None:
        """The limit that is passed at `now`, if any.

        `last_rx_s`: when the last RTP packet came; None: the peer sends none by right (recvonly).
        """
        limits = self._limits
        if now - self.answered_s >= self._max_call_s:
            return Ending(200, "max_duration", f"the call reached its limit of {self._max_call_s} s")
        if self._held_s is not None:
            if now - self._held_s >= limits.hold_max_s:
                return Ending(200, "hold_timeout", f"on hold for {limits.hold_max_s} s")
            return None
        if last_rx_s is not None and now - max(last_rx_s, self.answered_s) >= limits.rtp_timeout_s:
            return Ending(408, "rtp_timeout", f"no RTP from the peer for {limits.rtp_timeout_s} s")
        return None
