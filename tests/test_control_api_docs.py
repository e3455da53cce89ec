from bridge.control_api_docs import (
    FLAG,
    TEXT,
    along,
    by_name,
    exactly,
    list_of,
    maybe,
    one_of,
    string,
    thing,
)


def test_objects_say_what_they_need_and_bodies_take_nothing_else():
    assert thing({"a": TEXT}, b=FLAG) == {
        "type": "object",
        "properties": {"a": TEXT, "b": FLAG},
        "required": ["a"],
    }
    assert "required" not in thing({}, a=TEXT)
    assert exactly({"a": TEXT})["additionalProperties"] is False


def test_the_small_schemas_are_json_schema():
    assert list_of(TEXT) == {"type": "array", "items": TEXT}
    assert maybe(TEXT) == {"anyOf": [TEXT, {"type": "null"}]}
    assert by_name(FLAG) == {"type": "object", "additionalProperties": FLAG}
    assert one_of("a", "b") == {"type": "string", "enum": ["a", "b"]}
    assert string(5, 1, "^x") == {"type": "string", "maxLength": 5, "minLength": 1, "pattern": "^x"}
    assert along(dict, a=TEXT) == {"allOf": [dict, thing({"a": TEXT})]}
