"""Edges of a talk; its life in a call is in tests/scenarios: test_call_in_memory.py, test_hand_off_in_memory.py."""

import pytest

from bridge.call.commands import NotDoneError
from tests.fakes.call import on_stage


async def test_before_an_agent_can_be_heard_nobody_is_handed_over():
    async with on_stage(greeting=b"") as stage:
        await stage.session()
        with pytest.raises(NotDoneError, match="no agent has the caller"):
            await stage.call.talk.hand_off({"agent": "billing"})


async def test_keys_and_playout_without_a_conversation_are_nothing():
    async with on_stage(greeting=b"") as stage:
        talk = stage.call.talk
        assert talk.conversation is None
        talk.press("1")
        talk.played(None)
