"""The settings of what runs by itself over the years: how long things are kept.

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bridge.records.retention import Rules
from bridge.settings_base import Section


def _or_off(value: Any) -> Any:
    """YAML reads the word off as false."""
    return None if value is False or value == "off" else value


_Number = Annotated[float, Field(ge=1, le=36_500, allow_inf_nan=False)]
Days = Annotated[_Number | None, BeforeValidator(_or_off)]


class Retention(Section):
    """How many days things are kept; off: for ever."""

    recordings_days: Days = Field(default=None, description="Recordings (WAV files), by the end of the call.")
    transcripts_days: Days = Field(
        default=None, description="What was said, pressed and given to tools, in a call's events."
    )
    events_days: Days = Field(default=None, description="All events of a call: its timeline.")
    audit_payloads_days: Days = Field(
        default=None,
        description="What is personal in the audit (arguments, numbers, words). The chain itself is never deleted.",
    )
    voicemail_days: Days = Field(
        default=None, description="Messages that callers left, new and done, by when they were left."
    )
    calls_days: Days = Field(
        default=None,
        description="Call records. With a record goes everything else of the call, whatever the other keys say.",
    )
    outbound_days: Days = Field(default=None, description="Outbound calls and campaigns that are over.")
    speech_days: Days = Field(
        default=None, description="Texts that were spoken for one call only, by their last use."
    )
    logs_days: Days = Field(default=None, description="Log files that were rotated.")
    every_s: int = Field(
        default=3600, ge=10, le=86_400, description="How often control looks for what is due."
    )
    batch: int = Field(
        default=100, ge=1, le=1000, description="Calls in one transaction: a small one disturbs no call."
    )
    pause_ms: int = Field(default=50, ge=0, le=10_000, description="Pause between two transactions.")

    def rules(self) -> Rules:
        """As the deciding code wants them."""
        return Rules(**{name.removesuffix("_days"): getattr(self, name) for name in DAYS}).effective()


DAYS = tuple(name for name in Retention.model_fields if name.endswith("_days"))
