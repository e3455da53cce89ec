"""The dialplan file as types: what a person may write; its parts are in schema_steps, schema_when, schema_agent, ….

    version: 1
    language: en
    agents:  {NAME: Agent}
    routes:  [{name, when, do: [Step, …]}]

Names follow the Realtime API's words (reference/realtime.md section 1.4). Unknown keys are mistakes. Whatever
needs two places of the file to be judged is in bridge/dialplan/check.py. dialplans/schema.json is generated
from here.

Not worker-safe (pydantic). Pure: no I/O, any thread. Called by bridge/dialplan/load.py.
"""

from typing import Literal

from pydantic import Field

from bridge.dialplan.schema_agent import Agent
from bridge.dialplan.schema_base import Language, Line, Name, Part, SipTarget
from bridge.dialplan.schema_hours import Hours
from bridge.dialplan.schema_steps import Step
from bridge.dialplan.schema_trunks import Trunk
from bridge.dialplan.schema_when import When


class Route(Part):
    """What happens to the calls that fit. The first route that fits wins."""

    name: Line = Field(description="Shown in records and by `dialplan explain`; unique.")
    when: When | None = Field(default=None, description="Conditions. Without it the route fits every call.")
    do: list[Step] = Field(min_length=1, max_length=20, description="Steps, in order.")


class Dialplan(Part):
    """One dialplan file. A folder's files are joined in the order of their names."""

    version: Literal[1] = Field(description="Of this format.")
    language: Language = Field(default="en", description="Of prompts and agents that name none.")
    agents: dict[Name, Agent] = Field(default_factory=dict, max_length=1000, description="Agents by name.")
    hours: dict[Name, Hours] = Field(
        default_factory=dict, max_length=100, description="Opening hours by name, for conditions."
    )
    transfers: dict[Name, SipTarget] = Field(
        default_factory=dict,
        max_length=1000,
        description="Where a call may be transferred to, by the name that tools use: sip:USER@HOST[:PORT].",
    )
    trunks: dict[Name, Trunk] = Field(
        default_factory=dict, max_length=200, description="Carriers and PBXs by name."
    )
    routes: list[Route] = Field(default_factory=list, max_length=20_000, description="First fit wins.")
