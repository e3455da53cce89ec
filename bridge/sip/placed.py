"""Which calls we placed, by Call-ID: there the other side may challenge what we ask (RFC 3261 section 22).

A trunk that is far away challenges our BYE when the call is over here, so they are known longer than they live.
On the pj thread.
"""

from collections import deque

MAX_PLACED = 1000
"""A worker has four lines: hours of calls, and the answer to a BYE is waited for 32 s (timer F)."""


class PlacedCalls:
    """The last so many of them."""

    def __init__(self, most: int = MAX_PLACED) -> None:
        self._ids: deque[str] = deque(maxlen=most)

    def add(self, sip_call_id: str) -> None:
        """We placed a call."""
        self._ids.append(sip_call_id)

    def came_in(self, sip_call_id: str) -> None:
        """A call came in: who calls under the Call-ID of one we placed gets no digest."""
        if sip_call_id in self._ids:
            self._ids.remove(sip_call_id)

    def __contains__(self, sip_call_id: str) -> bool:
        return sip_call_id in self._ids
