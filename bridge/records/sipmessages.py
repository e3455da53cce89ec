"""The SIP messages of a call, as its events keep them: lines, and whole texts where the settings want them. Pure.

    event `sip.messages` {leg, messages: [{mono, sent, what, cseq, reason, text}]} ─► SipLine, in the order of time

`what` is a method or `200 INVITE`. Made by bridge/sip/ladder.py; values of a wrong type count as missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.records.cdr import CallEvent, number

TYPE = "sip.messages"
MAX_LINES = 2000


@dataclass(frozen=True, slots=True)
class SipLine:
    """One message of one leg. `at_s`: seconds on the axis of the call; `text`: the whole message, "" when not kept."""

    leg: str
    at_s: float
    sent: bool
    what: str
    cseq: str = ""
    reason: str = ""
    text: str = ""

    @property
    def failed(self) -> bool:
        """A final answer that is no success."""
        return self.what[:1] in {"3", "4", "5", "6"} and self.what[:3].isdigit()


def messages(events: Iterable[CallEvent], zero: float) -> tuple[SipLine, ...]:
    """All of a call. `zero`: the monotonic second that the axis begins at."""
    found = []
    for event in events:
        kept = event.data.get("messages") if event.type == TYPE else None
        for one in kept if isinstance(kept, list) else []:
            if isinstance(one, dict) and (mono := number(one.get("mono"))) is not None:
                words = {name: str(one.get(name) or "") for name in ("what", "cseq", "reason", "text")}
                leg = str(event.data.get("leg") or "caller")
                found.append(SipLine(leg, mono - zero, one.get("sent") is True, **words))
    return tuple(sorted(found[:MAX_LINES], key=lambda line: line.at_s))
