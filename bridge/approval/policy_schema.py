"""The policy file as types: what a person may write.

    version: 1
    default_ask: {group: supervisors}      for what no rule fits and for rules that cannot tell
    rules: [{name, tools, risk, when, allow | deny | ask | confirm [+ ask]}]

Unknown keys are mistakes, types are strict. What needs the whole file or CEL to be judged is in policy.py. Not
worker-safe (pydantic). Pure.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bridge.approval import consent, readback
from bridge.approval.request import Risk


class Part(BaseModel):
    """Strict types, unknown keys are mistakes, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _question(text: str) -> str:
    readback.places(text)
    words = text.rstrip(" .!?").split()
    for count in range(1, 5):
        if consent.read(" ".join(words[-count:])) == consent.Yes("voice"):
            raise ValueError(
                "the question ends in words that mean yes: its echo could be taken for the caller's answer"
                " | end it in other words, as in: Say yes or press 1 if you want that."
            )
    return text


Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\r\n]+$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\r\n]+$")]
Group = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
ToolPattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.*-]{1,128}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class AskSpec(Part):
    """Who decides, how many of them, and by when."""

    group: Group = Field(description="Approvers of this group.")
    approvers: int = Field(default=1, ge=1, le=5, description="How many different ones.")
    decide_s: Seconds = Field(default=120, description="Time to decide; then it is not done.")
    execute_s: Seconds = Field(default=60, description="How long an approval may wait for its execution.")
    escalate_to: Group | None = Field(default=None, description="A group that is asked as well, later.")
    escalate_s: Seconds | None = Field(default=None, description="After how long it is asked as well.")
    on_hangup: Literal["cancel", "keep"] = Field(default="cancel", description="When the caller hangs up.")

    @model_validator(mode="after")
    def _escalation(self) -> "AskSpec":
        if (self.escalate_to is None) != (self.escalate_s is None):
            raise ValueError("escalate_to and escalate_s belong together | give both or none")
        if self.escalate_s is not None and self.escalate_s >= self.decide_s:
            raise ValueError("escalate_s is not before decide_s: nobody would be asked | make it smaller")
        return self


class ConfirmSpec(Part):
    """What the caller is asked first, with what would be done read back to them."""

    question: Annotated[Line, AfterValidator(_question)] = Field(
        description="{name} stands for an argument. It says how to answer, and does not end in a word of consent."
    )
    by: list[Literal["key", "voice"]] = Field(default=["key", "voice"], min_length=1, max_length=2)
    key: Annotated[str, Field(pattern=r"^[0-9*#]$")] = Field(
        default="1", description="The key that means yes."
    )
    answer_s: Seconds = Field(default=60, description="Time for question and answer.")


class RuleSpec(Part):
    """One rule: for which calls, and what then. One of allow, deny, ask, confirm; or confirm and then ask."""

    name: Name
    tools: list[ToolPattern] = Field(
        default=["*"], min_length=1, max_length=100, description="Names, or patterns like crm.*"
    )
    risk: list[Risk] = Field(
        default_factory=list, max_length=4, description="Of these risks; any when left out."
    )
    when: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        default=None, description="CEL over tool, args, risk, caller, agent, hour, weekday, call and counts."
    )
    allow: Literal[True] | None = None
    deny: Line | None = Field(default=None, description="The words for the model.")
    ask: AskSpec | None = None
    confirm: ConfirmSpec | None = None

    @model_validator(mode="after")
    def _one_effect(self) -> "RuleSpec":
        given = [key for key in ("allow", "deny", "ask", "confirm") if getattr(self, key) is not None]
        if not given:
            raise ValueError("the rule does not say what to do | one of allow, deny, ask, confirm")
        if len(given) > 1 and given != ["ask", "confirm"]:
            raise ValueError(
                f"{given[0]} and {given[1]} exclude each other | only confirm and ask go together"
            )
        return self


class PolicyFile(Part):
    """The file. The first rule that fits decides."""

    version: Literal[1] = Field(description="Of this format.")
    default_ask: AskSpec = Field(description="For what no rule fits, and for conditions that cannot tell.")
    rules: list[RuleSpec] = Field(default_factory=list, max_length=1000)
