import pytest

from bridge.call.journal import Journal
from bridge.call.offering import HIDDEN, Offer, offered, without
from bridge.errors import LinkError


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [('{"a":1,"pin":2}', '{"a": 1, "pin": "\\u2026"}'), ("[1]", HIDDEN), ("no", HIDDEN)],
)
def test_what_a_tool_hides_is_not_in_the_record(arguments, shown):
    assert without(arguments, ["pin"]) == shown
    assert without(arguments, []) == arguments


async def test_an_agent_may_call_what_control_offers_and_nothing_while_it_is_away():
    notes = []
    journal = Journal("c1", lambda *note: notes.append(note))

    async def control(kind, data, _deadline_s):
        if data["names"] == ["away"]:
            raise LinkError("control is away")
        tools = [{"type": "function", "name": "refund"}, {"type": "mcp", "server_label": "crm"}]
        return {"tools": tools, "hidden": {"refund": ["pin"]}}

    offer, tools = await offered(control, journal, 1.0, "desk", ("refund",))
    assert offer == Offer("desk", frozenset({"refund"}), frozenset({"crm"}), {"refund": ["pin"]})
    assert len(tools) == 2
    assert await offered(control, journal, 1.0, "desk", ("away",)) == (Offer("desk"), ())
    assert await offered(control, journal, 1.0, "desk", ()) == (Offer("desk"), ())
    assert len(notes) == 1
