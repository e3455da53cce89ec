"""Recording rules as a person writes them, beside a route or an agent. Not worker-safe (pydantic). Pure."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bridge.dialplan.schema_base import Form, Language, Part


class Recording(Part):
    """Whether the call is recorded, and how the caller learns of it. A route's rule goes before an agent's."""

    enabled: bool = Field(default=True, description="false: not recorded, whatever the agents say.")
    announce: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        default=None, description="What the caller hears before the recording begins; no variables."
    )
    language: Language | None = Field(default=None, description="Of announce; the dialplan's when left out.")
    consent: Literal["none", "announce", "ask"] | None = Field(
        default=None,
        description="none; announce: the caller is told; ask: the caller has to press key. announce when there is an "
        "announcement, else none.",
    )
    key: Annotated[str, Form(r"^[0-9*#]$", "this is no key | one key: 0 to 9, * or #, in quotes")] = Field(
        default="1", description="The key that means yes."
    )
    wait_s: int = Field(default=8, ge=2, le=60, description="Time for the key, after the announcement.")
    on_refusal: Literal["no_recording", "hang_up"] = Field(
        default="no_recording", description="When another key is pressed, or none after two announcements."
    )

    @model_validator(mode="after")
    def _fits(self) -> "Recording":
        if self.consent in {"announce", "ask"} and self.announce is None:
            raise ValueError("announce is needed for this consent | announce: This call is recorded.")
        if self.consent == "none" and self.announce is not None:
            raise ValueError("consent none has no announcement | remove announce, or write consent: announce")
        if self.announce and "{{" in self.announce:
            raise ValueError("an announcement is spoken once, without variables | remove the braces")
        return self
