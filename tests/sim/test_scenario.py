"""Scenario files."""

import pytest

from bridge.errors import ScenarioError
from bridge.sim import scenario

HEAD = "version: 1\nname: s\ngreeting: hi\nfallback: [sorry]\nsilence: still there?\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "s.yaml"
        path.write_text(HEAD + text)
        return path

    return write


def problems(path):
    with pytest.raises(ScenarioError) as caught:
        scenario.load(path)
    return [(problem.line, problem.key, problem.message) for problem in caught.value.problems]


def test_the_default_scenario_understands_every_one_of_its_intents():
    front_desk = scenario.load()
    for text, intent, slots in (
        ("What are your opening hours?", "hours", {}),
        ("I want to book an appointment on Friday at noon.", "book", {"day": "friday", "time": "12:00"}),
        ("Where is order number four seven one two?", "order_status", {"order": "4712"}),
        ("please refund me forty five dollars", "refund", {"amount": 45}),
        ("Can I speak to someone", "transfer", {}),
        ("tell me a long story", "story", {}),
        ("The caller pressed star on the keypad.", "keypad", {"key": "*"}),
    ):
        match = front_desk.match(text)
        assert match.intent == intent
        assert {name: slot.value for name, slot in match.slots.items()} == slots
    assert front_desk.match("completely different") is None


def test_the_pending_intent_owns_an_answer_several_could_take(write):
    path = write(
        "intents:\n  a: {say: [aa], answers: ['yes'], reply: A}\n  b: {say: [bb], answers: ['yes'], reply: B}\n"
    )
    loaded = scenario.load(path)
    assert loaded.match("yes").intent == "a"
    assert loaded.match("yes", "b").intent == "b"


def test_the_grammar_holds_answers_only_while_they_are_asked_for(write):
    path = write(
        "slots: {day: {words: [monday]}}\n"
        "intents:\n  a: {say: [book], answers: [on <day>], written: [typed only], reply: A}\n"
    )
    loaded = scenario.load(path)
    assert "public <spoken> = book;" in loaded.jsgf()
    assert "monday" not in loaded.jsgf()
    assert "<slot_day> = monday;" in loaded.jsgf("a")
    assert loaded.words() == {"book", "on", "monday"}
    assert loaded.questions() == ["a"]


def test_slot_words_may_be_a_list_or_carry_values(write):
    path = write("slots: {t: {words: {Half Past: 30}}}\nintents: {a: {say: [at <t>], reply: A}}\n")
    match = scenario.load(path).match("at half past")
    assert (match.slots["t"].said, match.slots["t"].value) == ("half past", 30)


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("intents: {a: {say: [go (], reply: A}}", 6, "intents.a.say[0]", "empty"),
        (
            "intents: {a: {say: [go <x>], reply: A}}",
            6,
            "intents.a.say[0]",
            "<x> is not in slots (there are none)",
        ),
        ("intents: {a: {reply: A}}", 6, "intents.a", "never start"),
        ("intents: {a: {say: [go]}}", 6, "intents.a", "exactly one of reply and call"),
        ("intents: {a: {say: [go], reply: 'to {day}'}}", 6, "intents.a.reply", "{day} is not a slot of a"),
        (
            "intents: {a: {say: [go], reply: A, needs: {day: when}}}",
            6,
            "intents.a.needs.day",
            "no phrase of a",
        ),
        ("slots: {n: {}}\nintents: {a: {say: [go], reply: A}}", 6, "slots.n", "exactly one of words"),
        (
            "slots: {n: {digits: {at_least: 5, at_most: 2}}}\nintents: {a: {say: [go], reply: A}}",
            6,
            "slots.n.digits",
            "more than",
        ),
        (
            "slots: {n: {number: true}}\nintents: {a: {say: [from <n> to <n>], reply: '{x}'}}",
            7,
            "intents.a.say[0]",
            "twice",
        ),
        ("intents: {a: {say: [go], reply: A, colour: red}}", 6, "intents.a.colour", "unknown"),
    ],
)
def test_mistakes_name_line_and_key(write, text, line, key, said):
    found = problems(write(text + "\n"))
    assert (line, key) in [(at, name) for at, name, _ in found]
    assert any(said in message for _, _, message in found)


def test_a_missing_file_is_told(tmp_path):
    assert problems(tmp_path / "none.yaml")[0][0] == 0


def test_filling_a_line_leaves_nothing_open():
    assert scenario.fill("to {day} at {time}.", {"day": "friday"}) == "to friday at ."
