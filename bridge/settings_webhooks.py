"""The settings of webhooks: which programs are told of calls and approvals, and what.

Not worker-safe (pydantic). Pure.
"""

from typing import Literal

from pydantic import Field

from bridge.settings_base import EnvName, HttpUrl, Section

EventName = Literal[
    "call.started",
    "call.answered",
    "call.ended",
    "transcript",
    "recording.ready",
    "approval.requested",
    "approval.escalated",
    "approval.decided",
    "approval.ended",
]
"""As in bridge/records/announce.py; a test holds the two together."""


class Webhook(Section):
    """A program that is told of events by a signed POST (ops/webhooks.md)."""

    url: HttpUrl = Field(description="POSTed to; redirects are not followed.")
    secret_env: EnvName = Field(
        description="Environment variable (or NAME_FILE, or systemd credential) that holds its secret, whsec_… or "
        "base64: https://www.standardwebhooks.com."
    )
    events: list[EventName] = Field(
        default_factory=list,
        max_length=20,
        description="Only these; all when left out. transcript needs personal.",
    )
    personal: bool = Field(
        default=False,
        description="Whether it is told numbers, words, arguments and reasons. Without it numbers are ***45.",
    )
