"""The test file of a dialplan as types: what a person may write into `NAME.test.yaml` beside the plan.

    version: 1
    at: 2026-11-23T10:00
    tests:
      - name: office hours
        call: {to: "100", from: "+4930123456"}
        expect: {route: front desk, agent: front-desk}

Not worker-safe (pydantic). Pure.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.json_schema import WithJsonSchema

from bridge.dialplan.schema_base import ONE_OR_MORE, HeaderName, Line, Name, Part, listed


def _instant(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text} is no time | 2026-12-24T20:00, or with a zone 2026-12-24T20:00+01:00"
        ) from None
    return text


def _words(value: Any) -> Any:
    """Keys may be written as numbers: `keys: [1, 2]`, `keys: 1`."""
    return [str(one) if type(one) is int else one for one in listed(value)]


def _steps(value: str) -> str:
    if not re.match(r"^(\.\.\.|[a-z_]+(: .+)?)$", value):
        raise ValueError(
            'a step is "say", "say: We are closed*" or "..." | the action first, as in the dialplan'
        )
    return value


Instant = Annotated[str, Field(max_length=64), AfterValidator(_instant)]
Number = Annotated[str, Field(max_length=128)]
Given = Annotated[list[Line], BeforeValidator(_words), Field(max_length=100), ONE_OR_MORE]
StepPattern = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_steps)]
Status = Annotated[int, Field(ge=200, le=699)]


class Call(Part):
    """The call of a test."""

    to: Number = Field(description="The called number.")
    from_: Number = Field(default="", alias="from", description="The caller's number; hidden when left out.")
    name: Number = Field(default="", description="The name that comes with the caller's number.")
    at: Instant | None = Field(default=None, description="When; the file's `at` when left out.")
    trunk: Annotated[str, Field(max_length=64)] = Field(default="", description="The trunk it comes over.")
    load: dict[Line, Annotated[int, Field(ge=0, le=100_000)]] = Field(
        default_factory=dict, max_length=100, description="Calls on a route already, for `capacity`."
    )
    headers: dict[HeaderName, Annotated[str, Field(max_length=1024)]] = Field(
        default_factory=dict, max_length=50, description="SIP headers of the INVITE by name."
    )


class Expect(Part):
    """What should come of it. Only what is written is compared."""

    route: Line | None = Field(default=None, description="Name of the route that takes the call.")
    agent: Name | None = Field(default=None, description="An agent the caller comes to.")
    steps: list[StepPattern] | None = Field(
        default=None,
        max_length=100,
        description='Every step that runs, in order: "say", or with its settings "say: We are closed*"; "..." stands '
        "for any number of steps.",
    )
    ends: Annotated[str, Field(pattern=r"^[a-z_]+$")] | None = Field(
        default=None, description="The action that ends the call, such as hang_up."
    )
    status: Status | None = Field(
        default=None, description="SIP status: of the last step; 404 when no route takes the call."
    )


class Case(Part):
    """One call and what should come of it."""

    name: Line = Field(description="What is tested, in words.")
    call: Call = Field(description="The call.")
    keys: Given = Field(
        default_factory=list, description="What the caller presses, one entry for each step that asks for it."
    )
    answers: Given = Field(
        default_factory=list,
        description="What the caller says, one entry for each step that asks; after `keys`.",
    )
    outcomes: dict[
        Annotated[str, Field(pattern=r"^[a-z_]+$")],
        Annotated[list[Line], BeforeValidator(listed), Field(min_length=1, max_length=20), ONE_OR_MORE],
    ] = Field(
        default_factory=dict,
        max_length=20,
        description="How steps go, by action: ok, failed, or a branch's name; a list when one runs more than once; "
        "ok when left out.",
    )
    expect: Expect = Field(description="What should come of it.")


class CaseFile(Part):
    """A whole test file."""

    version: Annotated[Literal[1], WithJsonSchema({"const": 1})] = Field(description="Of this format.")
    at: Instant | None = Field(
        default=None, description="When the calls come, if they do not say it themselves."
    )
    tests: list[Case] = Field(min_length=1, max_length=10_000, description="One call each.")
