import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.approval.canonical import MAX_BYTES, MAX_DEPTH, binding, canonical, digest, read
from bridge.errors import ToolArgumentsError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_two_values_have_the_same_form_only_when_they_are_the_same(one, other):
    same = canonical(one) == canonical(other)
    assert same == (repr(_plain(one)) == repr(_plain(other)))


def _plain(value):
    if isinstance(value, dict):
        return "object", sorted((key, repr(_plain(part))) for key, part in value.items())
    return [_plain(part) for part in value] if isinstance(value, list) else value


def test_the_order_of_keys_and_the_spelling_of_a_number_make_no_difference():
    assert canonical({"b": 40.0, "a": 1}) == canonical({"a": 1, "b": 40}) == b'{"a":1,"b":40}'


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, {"a": {1: 2}}, {"a": object()}, 2**60, "\ud800", b"x", {"a": "x" * (MAX_BYTES + 1)}],
    ids=["nan", "infinity", "key", "object", "large", "surrogate", "bytes", "long"],
)
def test_what_json_cannot_carry_exactly_is_refused(value):
    with pytest.raises(ToolArgumentsError):
        canonical(value)


def test_a_deep_value_is_refused():
    value = "x"
    for _ in range(MAX_DEPTH + 2):
        value = [value]
    with pytest.raises(ToolArgumentsError, match="deeper"):
        canonical(value)


def test_a_binding_changes_with_everything_it_binds():
    parts = ("refund", "d1", {"amount": 40}, "call", "p1")
    bindings = {binding(*parts)}
    for place, other in enumerate(("pay", "d2", {"amount": 41}, "call2", "p2")):
        bindings.add(binding(*parts[:place], other, *parts[place + 1 :]))
    assert len(bindings) == 6
    assert len(digest({})) == 64


@given(JSON)
def test_what_a_person_wrote_is_read_as_it_is(value):
    assert read(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", '{"a": 1e999}', str(2**60), '"\\ud800"', "[" * 60_000]
)
def test_what_has_no_exact_form_is_not_read(text):
    with pytest.raises(ToolArgumentsError):
        read(text)
