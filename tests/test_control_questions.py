"""An approver's question, from the decision's way to the call and back: a real gate, a call that answers as told."""

import asyncio

import pytest

from tests.fakes import office as offices


@pytest.fixture
async def office(tmp_path):
    async with offices.running(tmp_path) as found:
        yield found


async def asked(office, request_id, state="asked"):
    """The request's first question, as soon as it is in this state."""
    async with asyncio.timeout(offices.GUARD_S):
        while True:
            (row,) = await office.gates.find(request_id)
            found = row.gate["questions"]
            if found and found[0]["state"] == state:
                return found[0]
            await asyncio.sleep(0.01)


async def commanded(office):
    async with asyncio.timeout(offices.GUARD_S):
        while not office.commands:  # noqa: ASYNC110  # what the link would carry
            await asyncio.sleep(0.01)
    return office.commands.pop()


async def answer(office, command, **words):
    data = {"call_id": command.call_id, "command_id": command.command_id, **words}
    await office.office.answer("tool.command_done", data)


async def test_the_call_is_told_what_to_ask_and_the_request_keeps_what_came_of_it(office):
    opened = await office.call()
    said = await office.decide(opened["request_id"], verdict="ask", reason="Which\norder?")
    assert said == "taken: the request is pending"
    command = await commanded(office)
    assert (command.call_id, command.kind) == ("c1", "ask_caller")
    assert command.data == {"function_call_id": "f1", "text": "Which order?", "by": "anna"}
    assert (await asked(office, opened["request_id"], "asking"))["by"] == "anna"
    await answer(office, command, ok=True, interrupted=True)
    assert (await asked(office, opened["request_id"], "interrupted"))["text"] == "Which order?"
    entries = [one for one in await office.gates.audit() if one["type"].startswith("question")]
    assert [(one["type"], one["actor"]) for one in entries] == [
        ("question", "anna"),
        ("question_put", "system"),
    ]
    assert office.done == []
    await office.decide(opened["request_id"])
    assert await office.settled(opened["request_id"]) == "succeeded"


async def test_a_call_that_cannot_be_asked_says_why(office):
    opened = await office.call()
    await office.decide(opened["request_id"], verdict="ask", reason="Which order?")
    await answer(office, await commanded(office), ok=False, error="no agent talks with the caller now")
    assert (await asked(office, opened["request_id"], "not_asked"))[
        "why"
    ] == "no agent talks with the caller now"


async def test_a_caller_who_has_hung_up_is_asked_nothing(office):
    opened = await office.call("kept")
    await office.office.calls_ended(["c1"])
    await office.decide(opened["request_id"], verdict="ask", reason="Which order?")
    assert (await asked(office, opened["request_id"], "not_asked"))["why"] == "the call is over"
    assert office.commands == []


async def test_a_decision_in_the_middle_of_it_counts(office):
    opened = await office.call()
    await office.decide(opened["request_id"], verdict="ask", reason="Which order?")
    command = await commanded(office)
    await office.decide(opened["request_id"], verdict="deny")
    await answer(office, command, ok=False, error="it was decided before the agent could ask")
    await asked(office, opened["request_id"], "not_asked")
    assert await office.state(opened["request_id"]) == "denied"


@pytest.mark.parametrize(
    ("by", "code"), [("sales", "wrong_group"), ("caller", "own_request"), ("chief", "not_an")]
)
async def test_who_may_not_decide_may_not_ask(office, by, code):
    opened = await office.call()
    assert code in await office.decide(opened["request_id"], by=by, verdict="ask", reason="Which order?")
    assert office.commands == []


async def test_a_question_of_an_approver_at_another_node_reaches_the_call_where_it_is(cluster, tmp_path):
    url = cluster.fresh()
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    async with offices.running(folders[0], url, "a") as here, offices.running(folders[1], url, "b") as there:
        opened = await here.call()
        said = await there.decide(opened["request_id"], verdict="ask", reason="Which order?")
        assert said == "taken: the request is pending"
        await answer(here, await commanded(here), ok=True)
        assert (await asked(there, opened["request_id"]))["by"] == "anna"
        assert there.commands == []
