"""What a scenario answers."""

import json

import pytest

from bridge.sim import scenario
from bridge.sim.agent import MAX_OPEN_CALLS, Agent, Invoke, Say, quoted

FRONT_DESK = scenario.load()
TOOLS = {"refund"}


@pytest.fixture
def agent():
    return Agent(FRONT_DESK)


def test_greeting_and_nudge_come_from_the_scenario(agent):
    assert agent.greet() == Say(FRONT_DESK.file.greeting)
    assert agent.nudge() == Say(FRONT_DESK.file.silence)


def test_missing_slots_are_asked_for_one_after_the_other(agent):
    assert (
        agent.hear("i would like to book an appointment", TOOLS).text
        == "Certainly. Which day would suit you?"
    )
    assert agent.pending == "book"
    assert agent.hear("on tuesday", TOOLS).text == "And at what time on tuesday?"
    assert agent.hear("at ten thirty", TOOLS).text.startswith("I have booked you for tuesday at ten thirty")
    assert agent.pending is None


def test_another_wish_forgets_the_open_question(agent):
    agent.hear("i would like to book an appointment on friday", TOOLS)
    assert agent.hear("when are you open", TOOLS).text.startswith("We are open")
    assert (
        agent.hear("i would like to book an appointment", TOOLS).text
        == "Certainly. Which day would suit you?"
    )


def test_what_is_not_understood_gets_the_fallbacks_in_turn(agent):
    said = [agent.hear(text, TOOLS).text for text in ("", "blue elephants", "again nothing")]
    first, second = FRONT_DESK.file.fallback
    assert said == [first, second, first]
    agent.hear("goodbye", TOOLS)
    assert agent.hear("", TOOLS).text == first


def test_an_open_question_survives_what_is_not_understood(agent):
    agent.hear("where is my order", TOOLS)
    agent.hear("", TOOLS)
    asked = agent.hear("four seven one two", {*TOOLS, "order_status"})
    assert json.loads(asked.arguments) == {"order": "4712"}


def test_a_call_carries_typed_arguments(agent):
    invoke = agent.hear("i want a refund of one hundred and twenty five dollars", TOOLS)
    assert isinstance(invoke, Invoke)
    arguments = json.loads(invoke.arguments)
    assert (invoke.name, arguments["amount"], arguments["currency"]) == ("refund", 125, "USD")


def test_a_function_nobody_offers_is_not_called(agent):
    assert agent.hear("please refund me 20 dollars", set()).text.startswith(
        "I am sorry, I cannot make refunds"
    )


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ('{"status": "refunded"}', "Done. I have refunded 20 dollars to your card."),
        ('{"status": "denied"}', "I am sorry, the refund of 20 dollars was not approved."),
        ('{"status": "odd"}', "I am sorry, the refund of 20 dollars did not work."),
        ("not json", "I am sorry, the refund of 20 dollars did not work."),
        ("[1]", "I am sorry, the refund of 20 dollars did not work."),
    ],
)
def test_the_result_of_a_call_is_put_into_words(agent, output, said):
    agent.hear("please refund me 20 dollars", TOOLS)
    agent.called("call_1")
    assert agent.result("call_1", output) == Say(said)


def test_the_result_of_an_unknown_call_is_read_out(agent):
    agent.called("nothing was invoked")
    assert agent.result("call_9", "fine") == Say("The result is fine.")
    assert agent.result("call_9", '{"a": 1}') == Say('The result is {"a": 1}.')


def test_a_result_no_line_fits_gets_the_fallback(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "version: 1\nname: s\ngreeting: hi\nfallback: [sorry]\nsilence: yes\nslots: {n: {number: true}}\n"
        "intents:\n  go:\n    say: [go, go to <n>]\n    call:\n      name: go\n"
        "      arguments: {all: ['{n}', 'no. {n}', 7], deep: {n: '{n}'}}\n"
        "      results: [{when: {ok: true}, say: went}]\n"
    )
    agent = Agent(scenario.load(path))
    assert json.loads(agent.hear("go to 3", {"go"}).arguments) == {"all": [3, "no. 3", 7], "deep": {"n": 3}}
    agent.called("c")
    assert agent.result("c", '{"ok": false}') == Say("sorry")
    assert json.loads(agent.hear("go", {"go"}).arguments)["deep"] == {"n": None}
    agent.called("c")
    assert agent.result("c", '{"ok": true}') == Say("went")


def test_forgotten_calls_are_bounded(agent):
    for number in range(MAX_OPEN_CALLS + 1):
        agent.hear("please refund me 20 dollars", TOOLS)
        agent.called(f"call_{number}")
    assert agent.result("call_0", "x") == Say("The result is x.")
    assert agent.result("call_1", '{"status": "refunded"}').text.startswith("Done")


@pytest.mark.parametrize(
    ("instructions", "line"),
    [
        ('Say exactly this: "Hello, world."', "Hello, world."),
        ('Say exactly the words “One "two" three” now', 'One "two" three'),
        ("Be friendly.", None),
        ('Answer in the style of "Hamlet".', None),
    ],
)
def test_a_line_in_quotes_is_found(instructions, line):
    assert quoted(instructions) == line


def test_text_is_known_or_not(agent):
    assert agent.understands("The caller pressed 5 on the keypad.")
    assert not agent.understands("Be polite.")
