"""How long each thing about a call is kept: days and an age in, what is due out. Pure; worker-safe.

    call ended ──recordings_days──► no recording ──transcripts_days──► no words ──events_days──► no timeline
               ──audit_payloads_days──► the audit's chain without persons ──calls_days──► no record at all

The record goes last: when it goes, everything of the call that is still there goes with it. The chain of the audit
never does; only what is personal in it (bridge/approval/chain.py).
"""

from dataclasses import dataclass, replace

DAY_S = 86_400.0
WORDS = (
    "transcript",
    "transcription",
    "dtmf",
    "collect",
    "menu.heard",
    "function_call",
    "function_output",
    "tool.confirmation",
    "tool.question",
    "menu",
    "switch",
    "prompt",
    "agent.hand_off",
    "supervisor.whispered",
)
"""Types of events that hold what was said, pressed, or told to a tool."""
OF_A_CALL = ("recordings", "transcripts", "events", "audit_payloads", "voicemail")
"""What goes with the record at the latest."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Days; None: for ever."""

    recordings: float | None = None
    transcripts: float | None = None
    events: float | None = None
    audit_payloads: float | None = None
    voicemail: float | None = None
    calls: float | None = None
    outbound: float | None = None
    speech: float | None = None
    logs: float | None = None

    def effective(self) -> "Rules":
        """Nothing of a call outlives its record."""
        if self.calls is None:
            return self
        last = self.calls
        return replace(self, **{name: min(getattr(self, name) or last, last) for name in OF_A_CALL})

    def before(self, artefact: str, now: float) -> float | None:
        """Unix seconds: what is older is due; None: nothing ever is."""
        days: float | None = getattr(self, artefact)
        return None if days is None else now - days * DAY_S

    def oldest(self, now: float) -> float | None:
        """Unix seconds: a call that ended later than this has nothing that is due."""
        names = ("recordings", "transcripts", "events", "audit_payloads", "calls")
        cuts = [cut for name in names if (cut := self.before(name, now)) is not None]
        return max(cuts, default=None)


def due(ended_at: float | None, rules: Rules, now: float) -> frozenset[str]:
    """What is due of a call: names of `Rules`. A call that goes on loses nothing, however long it does."""
    if ended_at is None:
        return frozenset()
    names = ("recordings", "transcripts", "events", "audit_payloads", "calls")
    return frozenset(
        name for name in names if (cut := rules.before(name, now)) is not None and ended_at < cut
    )
