"""The same as the whole at once, in pieces."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import LinkError
from bridge.piecejson import decode_text, digest


@dataclass(frozen=True, slots=True)
class Leaf:
    size: int


@dataclass(frozen=True, slots=True)
class Tree:
    name: str
    leaves: tuple[Leaf, ...]
    pair: tuple[int, str]
    words: Mapping[str, str]


GOOD = {"name": "x", "leaves": [{"size": 1}, {"size": 2}], "pair": [1, "a"], "words": {"b": "c"}}
TREE = Tree("x", (Leaf(1), Leaf(2)), (1, "a"), {"b": "c"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_a_digest_is_that_of_the_whole_text(content):
    whole = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert digest(content) == hashlib.sha256(whole.encode()).hexdigest()


@pytest.mark.parametrize("indent", [None, 2])
def test_a_value_is_decoded_whatever_the_spaces(indent):
    assert decode_text(Tree, json.dumps(GOOD, indent=indent), "tree") == TREE


def test_an_empty_list_is_an_empty_tuple():
    assert decode_text(Tree, json.dumps({**GOOD, "leaves": []}), "tree").leaves == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "not JSON"),
        ("{", "not JSON"),
        (json.dumps(GOOD) + "x", "something follows"),
        (json.dumps(GOOD)[:-1], "not JSON"),
        (json.dumps(GOOD)[:-1] + ",}", "a comma before"),
        (json.dumps(GOOD).replace("}, {", "} {"), "not JSON"),
        (json.dumps({**GOOD, "more": 1}), "tree: unknown 'more'"),
        (json.dumps({**GOOD, "leaves": 1}), "tree.leaves: a list is needed"),
        (
            json.dumps({**GOOD, "leaves": [{"size": 1}, {"size": "2"}]}),
            r"tree.leaves\[1\].size: int is needed",
        ),
        ('{"name": "x"}', r"missing \['leaves', 'pair', 'words'\]"),
        ("{" * 100_000, "not JSON"),
        ('{"name":' + "[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_json_or_does_not_fit_is_a_link_error(text, message):
    with pytest.raises(LinkError, match=message):
        decode_text(Tree, text, "tree")


@given(st.integers(0, 90), st.characters())
def test_a_damaged_text_never_raises_anything_else(at, char):
    text = json.dumps(GOOD)
    damaged = text[:at] + char + text[at + 1 :]
    with contextlib.suppress(LinkError):
        decode_text(Tree, damaged, "tree")
