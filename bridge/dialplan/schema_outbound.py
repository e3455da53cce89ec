"""The `outbound` section as a person writes it: whom the bridge may call. Compiled to bridge/dialplan/outbound.py.

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated, Literal

from pydantic import Field

from bridge.dialplan.schema_base import Name, Part
from bridge.dialplan.schema_steps import SayOrText, Step

Prefix = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{0,14}$")]
Kind = Literal["fixed_line", "mobile", "voip", "toll_free", "uan", "shared_cost"]
DEFAULT_KINDS: list[Kind] = ["fixed_line", "mobile", "voip", "toll_free"]


class Again(Part):
    """Another try after a while."""

    after_s: int = Field(ge=1, le=7 * 86_400, description="Seconds until the next try.")
    times: int = Field(ge=1, le=20, description="Tries after the first.")


class RetryRules(Part):
    """When to try again. Without it nothing is tried twice."""

    busy: Again | None = Field(default=None, description="After 486 or 600.")
    no_answer: Again | None = Field(default=None, description="After ring_s without an answer, 408 or 480.")


class Outbound(Part):
    """Calls that the bridge places. Without this section it places none."""

    allow: list[Prefix] = Field(
        max_length=500, description='Prefixes that may be dialled, such as "+49". An empty list: none.'
    )
    deny: list[Prefix] = Field(
        default_factory=list,
        max_length=5000,
        description="Prefixes that may not; they win. Premium rate and satellite numbers are always denied.",
    )
    kinds: list[Kind] = Field(
        default=DEFAULT_KINDS, min_length=1, description="Kinds of numbers that may be dialled."
    )
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None,
        description="Country of numbers without +, such as DE. Without it every number needs its +.",
    )
    hours: Name | None = Field(default=None, description="Opening hours within which calls are placed.")
    hours_of: Literal["callee", "plan"] = Field(
        default="plan",
        description="Whose clock `hours` means: the callee's, by the number, or their own zone.",
    )
    per_day: int = Field(default=100, ge=1, le=100_000, description="Calls a day, retries included.")
    per_number_per_day: int = Field(default=3, ge=1, le=100, description="Calls a day to one number.")
    per_minute: int = Field(default=10, ge=1, le=1000, description="Calls begun within a minute.")
    concurrent: int = Field(default=2, ge=1, le=1000, description="Calls at the same time.")
    do_not_call: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="File of numbers that are never called, one a line; relative to the dialplan file.",
    )
    trunk: Name | None = Field(default=None, description="The trunk of `trunks` that calls go over.")
    target: (
        Annotated[
            str,
            Field(pattern=r"^sip:\{(number|digits)\}@[A-Za-z0-9.-]{1,128}(:[0-9]{1,5})?$", max_length=200),
        ]
        | None
    ) = Field(
        default=None,
        description="Without a trunk: where calls go, sip:{number}@HOST[:PORT]. {number} begins with +, {digits} does "
        "not.",
    )
    caller_id: Annotated[str, Field(pattern=r"^\+?[0-9]{2,15}$")] = Field(
        description="Our own number, in From. The trunk must have given it to you."
    )
    ring_s: int = Field(
        default=30, ge=5, le=180, description="Seconds of ringing before it counts as no answer."
    )
    amd: bool = Field(default=True, description="Find out whether a person or a machine has answered.")
    amd_s: float = Field(
        default=3.0,
        ge=1.0,
        le=6.0,
        description="Seconds it may listen for that; 4 to 5 for calls to offices, whose greetings are long.",
    )
    on_machine: Literal["hang_up", "leave_message", "agent"] = Field(
        default="hang_up", description="What happens when a machine has answered."
    )
    message: SayOrText | None = Field(
        default=None, description="With on_machine: leave_message. Said after the beep."
    )
    retry: RetryRules | None = Field(default=None, description="When to try again.")
    do: list[Step] = Field(
        min_length=1, max_length=20, description="Steps after a person has answered, in order."
    )
