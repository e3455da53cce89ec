"""Queues: callers wait with music for one of several people. Not worker-safe (pydantic). Pure."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.dialplan.schema_base import Language, Part, TargetNames, Template


class Queue(Part):
    """Callers wait in the order in which they came."""

    members: TargetNames = Field(description="Targets of `transfers` that take the calls.")
    strategy: Literal["in_order", "longest_idle"] = Field(
        default="longest_idle",
        description="Which free member is called: the first of the list, or who waited longest.",
    )
    ring_s: int = Field(default=20, ge=3, le=120, description="How long a member may ring, seconds.")
    wrap_up_s: int = Field(default=5, ge=0, le=600, description="A member gets so much rest after a call.")
    retry_s: int = Field(
        default=20, ge=0, le=600, description="A member who did not answer is left alone so long."
    )
    max_callers: int = Field(default=20, ge=1, le=1000, description="More are not let in: or_else.")
    max_wait_s: int = Field(default=600, ge=5, le=7200, description="or_else runs after so many seconds.")
    music: Annotated[str | None, Field(min_length=1, max_length=1024)] = Field(
        default=None, description="A WAV file (8 kHz, mono, 16 bit); the built-in music when left out."
    )
    announce: Annotated[Template, Field(max_length=500)] = Field(
        default="You are number {{ vars.position }} in the line. Please hold.",
        description="Said at the start and when the position changed; {{ vars.position }}, {{ vars.waiting }}.",
    )
    announce_every_s: int = Field(default=45, ge=10, le=600, description="Said again after so many seconds.")
    language: Language | None = Field(default=None, description="As the dialplan's language when left out.")
