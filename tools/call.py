"""What the agent may do with the call itself: end it, hand it on, have digits typed in, pause its recording."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.errors import ToolError
from bridge.toolbox.spec import CallControl, ToolContext, tool


@tool("End the call, after the goodbye. Say goodbye first.", risk="write", timeout_s=30)
async def hang_up(context: ToolContext) -> dict[str, str]:
    """The agent finishes what it is saying."""
    await _call(context).hang_up("the agent ended it")
    return {"status": "the call ends now"}


@tool(
    "Connect the caller to a person or department. Tell the caller first.",
    risk="irreversible",
    timeout_s=70,
    while_running="I am connecting you, one moment please.",
)
async def transfer(
    to: Annotated[str, Field(min_length=1, max_length=32, description="Name of the person or department.")],
    context: ToolContext,
) -> dict[str, str]:
    """Only to targets that the dialplan names (transfers:)."""
    await _call(context).transfer(to.lower())
    return {"status": "the caller is connected"}


@tool(
    "Have the caller type a number on the keypad, such as a customer number. Ask for it first.",
    risk="read",
    timeout_s=60,
    while_running="Please type it in now.",
)
async def collect_digits(
    digits: Annotated[int, Field(ge=1, le=20, description="How many at most; # ends it sooner.")],
    context: ToolContext,
) -> dict[str, str]:
    """What was typed, as text."""
    return {"digits": await _call(context).collect(digits, "#", 45.0)}


@tool(
    "Hand the caller over to another agent on this line. Tell the caller first.",
    risk="write",
    timeout_s=30,
    while_running="I am connecting you, one moment please.",
)
async def hand_off(
    agent: Annotated[str, Field(min_length=1, max_length=64, description="Name of the agent.")],
    note: Annotated[
        str, Field(max_length=500, description="What the other agent should know, in one sentence.")
    ],
    context: ToolContext,
) -> dict[str, str]:
    """Only to agents that the dialplan allows this one (hand_off_to:)."""
    await _call(context).hand_off(agent, note)
    return {"status": "the other agent has the caller"}


@tool("Pause the recording while the caller says a card number, or resume it.", risk="write", timeout_s=10)
async def recording(
    action: Annotated[Literal["pause", "resume"], Field(description="What to do.")], context: ToolContext
) -> dict[str, str]:
    """Silence in the file; words and digits are hidden in the record meanwhile."""
    state = await _call(context).recording(action)
    return {
        "status": "paused"
        if state.get("paused")
        else "recording"
        if state.get("recording")
        else "not recorded"
    }


def _call(context: ToolContext) -> CallControl:
    if context.call is None:
        raise ToolError("there is no call")
    return context.call
