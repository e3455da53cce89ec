import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ToolArgumentsError, ToolError
from bridge.toolbox.mcptools import faithful, pinned, printable, read, result, spec
from bridge.toolbox.run import validate
from bridge.toolbox.spec import Options

SCHEMA = {
    "type": "object",
    "properties": {"amount": {"type": "number", "minimum": 0}, "to": {"type": "string"}},
    "required": ["amount"],
}
OPTIONS = Options("Pay.", "money", False, 5.0, 1000, "")


def made(schema=SCHEMA, origin="mcp"):
    return spec(read("till", "pay", "Pay.", schema), OPTIONS, None, origin)


def test_a_definition_becomes_a_function_of_its_own_name_space():
    definition = made().definition()
    assert definition == {
        "type": "function",
        "name": "till__pay",
        "description": "Pay.",
        "parameters": SCHEMA,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"amount": "40"}', "is not of type 'number'"),
        ('{"amount": true}', "is not of type 'number'"),
        ('{"amount": -1}', "minimum"),
        ('{"amount": NaN}', "not valid JSON"),
        ('{"amount": Infinity}', "not valid JSON"),
        ("{}", "'amount' is a required property"),
        ("[]", "JSON object"),
        ('{"amount": 1, "sudo": true}', "sudo: there is no such argument"),
        ('{"amount": 1, "to": null}', "is not of type 'string'"),
    ],
)
def test_arguments_that_do_not_fit_are_told_precisely(text, words):
    with pytest.raises(ToolArgumentsError) as caught:
        validate(made(), text)
    assert words in str(caught.value)


def test_a_schema_that_takes_anything_says_so_itself():
    open_ended = {**SCHEMA, "additionalProperties": True}
    assert validate(made(open_ended), '{"amount": 1, "more": 2}') == {"amount": 1, "more": 2}


def test_a_schema_is_never_fetched_from_elsewhere():
    remote = {"type": "object", "properties": {"a": {"$ref": "https://evil.example/schema"}}}
    with pytest.raises(ToolArgumentsError, match="cannot be used"):
        validate(made(remote), '{"a": 1}')


@pytest.mark.parametrize(
    ("tool", "schema"),
    [
        ("pay money", SCHEMA),
        ("x" * 80, SCHEMA),
        ("pay", None),
        ("pay", []),
        ("pay", {"type": "string"}),
        ("pay", {"type": "object", "properties": 7}),
        ("pay", {"type": "object", "description": "x" * 40_000}),
        ("pay", {"type": "object", "default": float("nan")}),
    ],
)
def test_what_cannot_be_offered_is_refused(tool, schema):
    with pytest.raises(ToolError):
        read("till", tool, "", schema)


@pytest.mark.parametrize(
    "changed",
    [
        ("Pay!", SCHEMA),
        ("Pay.\u200b", SCHEMA),
        ("Pay.", {**SCHEMA, "required": []}),
        ("Pay.", {**SCHEMA, "properties": {**SCHEMA["properties"], "iban": {"type": "string"}}}),
    ],
)
def test_every_change_of_a_definition_changes_its_hash(changed):
    assert read("till", "pay", *changed).hash != read("till", "pay", "Pay.", SCHEMA).hash


def test_what_nobody_can_see_is_not_shown_to_the_model():
    hidden = "Pay.\u202e\U000e0049\U000e0047 \x07now"
    shown = read("till", "pay", hidden, {**SCHEMA, "title": "a\u200bb"})
    assert shown.description == "Pay. now"
    assert shown.schema["title"] == "ab"


@pytest.mark.parametrize("description", ["Pay.\u200b", "Pay." + "x" * 3000, "Pay.\U000e0041"])
def test_what_cannot_be_shown_whole_may_not_be_run_by_the_provider(description):
    faithful(read("till", "pay", "Pay.", SCHEMA), "Pay.", SCHEMA)
    with pytest.raises(ToolError, match="cannot be shown"):
        faithful(read("till", "pay", description, SCHEMA), description, SCHEMA)


def test_what_a_provider_saw_must_be_what_was_accepted():
    accepted = made(origin="provider")
    seen = {"name": "pay", "description": "Pay.", "input_schema": SCHEMA}
    assert pinned(accepted, seen)
    for other in (
        {**seen, "description": "Pay me."},
        {**seen, "input_schema": {"type": "object"}},
        {},
        None,
        "x",
    ):
        assert not pinned(accepted, other)


def test_a_structured_result_is_kept_and_a_text_is_cut():
    assert result([], {"a": "b\x00"}, 1000) == {"a": "b"}
    assert result([{"type": "text", "text": "hi"}, {"type": "image", "data": "…"}], None, 1000) == {
        "result": "hi\n[image left out]"
    }
    long = result([{"type": "text", "text": "ä" * 5000}], {"a": "b" * 5000}, 1000)
    assert len(json.dumps(long, ensure_ascii=False).encode()) <= 1000


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_printable_is_short_and_has_no_control_characters(text, most):
    shown = printable(text, most)
    assert len(shown) <= most + 30
    assert not [char for char in shown if ord(char) < 32 and char != "\n"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda it: st.lists(it) | st.dictionaries(st.text(), it),
    )
)
def test_no_result_of_a_server_raises(structured):
    assert isinstance(result([{"type": "text", "text": str(structured)}], structured, 500), dict)
