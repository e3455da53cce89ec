"""The steps of a route: what a person may write under `do`. One class an action with settings of its own.

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from bridge.dialplan.schema_base import FinalStatus, Language, Line, Name, OrWord, Part, as_text


class Ring(Part):
    """Ring for a while before the next step."""

    ms: int = Field(ge=0, le=60_000, description="Milliseconds of ringing (180).")


class Say(Part):
    """A prompt spoken by the bridge's own voice."""

    text: str = Field(
        min_length=1, max_length=2000, description="What is said. Variables are not possible here."
    )
    language: Language | None = Field(default=None, description="As the dialplan's language when left out.")


class HangUp(Part):
    """End of the call. `hang_up: {}` is an ordinary end."""

    status: FinalStatus | None = Field(
        default=None,
        description="SIP status 300 to 699: in the BYE's Reason, or the final response when the call is not "
        "answered (480 when left out).",
    )
    reason: Line | None = Field(default=None, description="Words that go with the status.")


class Reject(Part):
    """Refusal of a call that is not answered yet."""

    status: FinalStatus = Field(description="SIP status of the final response, 300 to 699.")
    reason: Line | None = Field(default=None, description="Words that go with the status.")


class Step(Part):
    """One action. Exactly one of the keys, but for or_else, which goes with agent and transfer."""

    ring: Ring | None = Field(default=None, description="Ring for a while before the next step.")
    say: Annotated[Say, BeforeValidator(as_text), OrWord()] | None = Field(
        default=None, description="Answer, speak this text to its end."
    )
    play: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Answer, play this WAV file to its end: 8 kHz, mono, 16 bit; relative to the dialplan file.",
    )
    agent: Name | None = Field(default=None, description="Connect the caller with this agent.")
    or_else: list["Step"] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="With agent: what happens when its model does not come up in time, or dies during the call. With "
        "transfer: when the target cannot be reached.",
    )
    transfer: Name | None = Field(
        default=None,
        description="Answer, hand the caller to this target of `transfers` (REFER), and hang up.",
    )
    hang_up: HangUp | None = Field(default=None, description="End the call.")
    reject: Reject | None = Field(default=None, description="Refuse the call.")


VERBS = ("ring", "say", "play", "agent", "transfer", "hang_up", "reject")
LAST_VERBS = frozenset({"agent", "transfer", "hang_up", "reject"})
"""After these nothing else happens, so nothing may follow; and a list of steps must end with one."""
