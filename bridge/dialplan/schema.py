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

from typing import Annotated, Literal

from pydantic import Field

from bridge.dialplan.schema_agent import Agent
from bridge.dialplan.schema_base import Language, Line, Name, Part
from bridge.dialplan.schema_book import Constant, Country, Includes, Number, NumberList, NumberText
from bridge.dialplan.schema_hours import DateText, DayParts, Hours, TimeZone
from bridge.dialplan.schema_outbound import Outbound
from bridge.dialplan.schema_queues import Queue
from bridge.dialplan.schema_recording import Recording
from bridge.dialplan.schema_steps import Step
from bridge.dialplan.schema_targets import Target
from bridge.dialplan.schema_trunks import Trunk
from bridge.dialplan.schema_when import When


class Route(Part):
    """What happens to the calls that fit. The first route that fits wins."""

    name: Line = Field(description="Shown in records and by `dialplan explain`; unique.")
    when: When | None = Field(default=None, description="Conditions. Without it the route fits every call.")
    recording: Recording | None = Field(
        default=None, description="Whether these calls are recorded, and how the caller is told or asked."
    )
    do: list[Step] = Field(min_length=1, max_length=20, description="Steps, in order: - say: Hello")


class Dialplan(Part):
    """One dialplan file. A folder's files are joined in the order of their names."""

    version: Literal[1] = Field(description="Of this format.")
    language: Language = Field(default="en", description="Of prompts and agents that name none.")
    include: Includes = Field(
        default_factory=list,
        description="Other files of this folder or those below it, read before this one: parts/*.yaml.",
    )
    vars: dict[Name, Constant] = Field(
        default_factory=dict, max_length=1000, description="Constants: ${name} in any text of the plan."
    )
    country: Country | None = Field(
        default=None,
        description="ISO 3166, such as DE: numbers without + are of this country, and all are matched in E.164 form.",
    )
    timezone: TimeZone | None = Field(default=None, description="Of `dates` and `day_parts`: Europe/Berlin.")
    numbers: dict[NumberText, Number] = Field(
        default_factory=dict, max_length=20_000, description="Names of called numbers, for conditions."
    )
    lists: dict[Name, NumberList] = Field(
        default_factory=dict,
        max_length=1000,
        description='Lists of numbers and of beginnings ("+4930*") by name, for conditions: from: "@vip".',
    )
    holidays: dict[Name, list[DateText]] = Field(
        default_factory=dict,
        max_length=100,
        description="Calendars by name, for `holidays` of opening hours.",
    )
    day_parts: DayParts | None = Field(
        default=None, description="When morning, afternoon, evening, night are."
    )
    agents: dict[Name, Agent] = Field(default_factory=dict, max_length=1000, description="Agents by name.")
    hours: dict[Name, Hours] = Field(
        default_factory=dict, max_length=100, description="Opening hours by name, for conditions."
    )
    transfers: dict[Name, Target] = Field(
        default_factory=dict,
        max_length=1000,
        description="Where calls may go, by the name that steps and tools use: sip:USER@HOST[:PORT], or a number "
        "over a trunk.",
    )
    outbound: Outbound | None = Field(
        default=None, description="Calls that the bridge places; without it, none."
    )
    trunks: dict[Name, Trunk] = Field(
        default_factory=dict, max_length=200, description="Carriers and PBXs by name."
    )
    queues: dict[Name, Queue] = Field(default_factory=dict, max_length=100, description="Queues by name.")
    flows: dict[Name, Annotated[list[Step], Field(min_length=1, max_length=20)]] = Field(
        default_factory=dict, max_length=500, description="Lists of steps by name, for `go: NAME`."
    )
    routes: list[Route] = Field(default_factory=list, max_length=20_000, description="First fit wins.")
