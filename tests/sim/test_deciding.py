"""Which reply a response gets."""

import itertools

import pytest

from bridge.sim import protocol, scenario
from bridge.sim.agent import Agent, Invoke, Say
from bridge.sim.deciding import decide
from bridge.sim.items import new_item
from bridge.sim.protocol import ResponsePart
from bridge.sim.session import Session

FRONT_DESK = scenario.load()
numbers = itertools.count()
TOOL = {"type": "function", "name": "refund"}
REFUND = "please refund me 20 dollars"


def item(data):
    return new_item(protocol.new_item(data), lambda prefix: f"{prefix}{next(numbers)}", "audio/pcm")


def message(role, text):
    kind = "output_text" if role == "assistant" else "input_text"
    return item({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})


def reply(*context, part=None, tools=()):
    session = Session("s", "m", 0)
    session.update(protocol.SessionPart.model_validate({"type": "realtime", "tools": list(tools)}))
    return decide(Agent(FRONT_DESK), ResponsePart.model_validate(part or {}), context, session)


def test_a_quoted_line_wins_over_everything():
    part = {"instructions": 'Say exactly: "Hold on."'}
    assert reply(message("user", "goodbye"), part=part) == Say("Hold on.")


def test_an_empty_conversation_is_greeted_and_a_silent_one_nudged():
    assert reply() == Say(FRONT_DESK.file.greeting)
    assert reply(message("assistant", "Hello.")) == Say(FRONT_DESK.file.silence)


def test_only_what_came_after_the_agents_last_words_counts():
    context = [message("user", "goodbye"), message("assistant", "Bye."), message("user", "when are you open")]
    assert reply(*context).text.startswith("We are open")


def test_of_several_texts_the_last_understood_one_is_answered():
    context = [message("user", "when are you open"), message("user", "hm")]
    assert reply(*context).text.startswith("We are open")
    assert reply(message("user", "hm")).text == FRONT_DESK.file.fallback[0]


def test_system_messages_count_only_when_they_mean_something():
    key = message("system", "The caller pressed 5 on the keypad.")
    assert reply(key).text == "You pressed 5. Thank you."
    assert reply(message("system", "Be polite.")) == Say(FRONT_DESK.file.greeting)


def test_all_outputs_are_told_together():
    outputs = [item({"type": "function_call_output", "call_id": name, "output": name}) for name in ("a", "b")]
    call = item({"type": "function_call", "name": "refund", "arguments": "{}"})
    assert reply(message("user", "x"), call, *outputs) == Say("The result is a. The result is b.")


@pytest.mark.parametrize(
    ("tools", "part", "called"),
    [
        ([TOOL], {}, True),
        ([], {}, False),
        ([], {"tools": [TOOL]}, True),
        ([TOOL], {"tools": []}, False),
        ([TOOL], {"tool_choice": "none"}, False),
        ([{"type": "mcp", "server_label": "refund"}], {}, False),
    ],
)
def test_only_offered_functions_are_called(tools, part, called):
    assert isinstance(reply(message("user", REFUND), part=part, tools=tools), Invoke) is called
