import asyncio

import pytest

from bridge.control_commands import Commands, ToolCall
from bridge.errors import ToolError, ToolLostError


async def test_a_tool_waits_for_the_answer_of_its_call():
    told = []
    commands = Commands(told.append)
    task = asyncio.create_task(ToolCall(commands, "c1").collect(4, "#", 5.0))
    await asyncio.sleep(0)
    (command,) = told
    assert (command.call_id, command.kind, command.data["digits"]) == ("c1", "collect", 4)
    commands.done({"call_id": "c2", "command_id": command.command_id, "ok": True, "digits": "666"})
    commands.done({"call_id": "c1", "command_id": command.command_id, "ok": True, "digits": "1234"})
    commands.done({"call_id": "c1", "command_id": command.command_id, "ok": True, "digits": "9"})
    assert await task == "1234"


async def test_what_the_call_did_not_do_was_not_done():
    told = []
    commands = Commands(told.append)
    task = asyncio.create_task(ToolCall(commands, "c1").transfer("sales"))
    await asyncio.sleep(0)
    commands.done({"call_id": "c1", "command_id": told[0].command_id, "ok": "yes", "error": "busy"})
    with pytest.raises(ToolError, match="busy"):
        await task


async def test_a_call_that_ends_loses_its_commands_and_no_others():
    commands = Commands(lambda _: None)
    lost = asyncio.create_task(ToolCall(commands, "c1").hang_up("bye"))
    other = asyncio.create_task(ToolCall(commands, "c2").hang_up("bye"))
    await asyncio.sleep(0)
    commands.calls_ended(["c1"])
    with pytest.raises(ToolLostError):
        await lost
    assert not other.done()
    other.cancel()
