"""Frozen values across a process border: what goes in comes out, everything else is refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from bridge.errors import LinkError
from bridge.strictjson import decode, encode


@dataclass(frozen=True, slots=True)
class Leaf:
    TAG: ClassVar = "leaf"
    size: int


@dataclass(frozen=True, slots=True)
class Branch:
    TAG: ClassVar = "branch"
    inner: tuple["Leaf | Branch", ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    ratio: float
    word: Literal["a", "b"]
    pair: tuple[str, int]
    nodes: tuple[Leaf | Branch, ...]
    names: Mapping[str, int]
    free: Mapping[str, Any]
    maybe: str | None = None


TREE = Tree(0.5, "a", ("x", 1), (Leaf(1), Branch((Leaf(2), Branch()))), {"n": 1}, {"k": [1, {"z": None}]})


def test_a_tree_comes_back_as_it_was():
    assert decode(Tree, encode(TREE)) == TREE


def test_a_tag_says_which_class_of_a_union_it_is():
    assert encode(Branch((Leaf(3),))) == {"kind": "branch", "inner": [{"kind": "leaf", "size": 3}]}


def test_fields_can_be_left_out_of_the_encoding():
    assert "ratio" not in encode(TREE, frozenset({"ratio"}))


def test_a_whole_number_may_stand_for_a_float():
    assert decode(Tree, {**encode(TREE), "ratio": 2}).ratio == 2.0


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"ratio": "1"}, "Tree.ratio"),
        ({"ratio": True}, "Tree.ratio"),
        ({"word": "c"}, "Tree.word"),
        ({"pair": ["x"]}, "Tree.pair"),
        ({"pair": ["x", "y"]}, "Tree.pair[1]"),
        ({"nodes": {}}, "Tree.nodes"),
        ({"nodes": [{"kind": "root"}]}, "Tree.nodes[0]"),
        ({"nodes": [{"kind": ["leaf"]}]}, "Tree.nodes[0]"),
        ({"nodes": [{"kind": "leaf", "size": 1.5}]}, "Tree.nodes[0].size"),
        ({"names": []}, "Tree.names"),
        ({"names": {"n": "1"}}, "Tree.names.n"),
        ({"maybe": 1}, "Tree.maybe"),
        ({"more": 1}, "unknown ['more']"),
    ],
)
def test_a_misfit_is_named_by_its_path(change, path):
    with pytest.raises(LinkError, match="Tree") as caught:
        decode(Tree, {**encode(TREE), **change})
    assert path in str(caught.value)


def test_an_object_must_be_an_object():
    with pytest.raises(LinkError, match="an object is needed"):
        decode(Tree, [])


def test_a_missing_field_is_named():
    with pytest.raises(LinkError, match="missing \\['size'\\]"):
        decode(Leaf, {"kind": "leaf"})


def test_a_whole_number_is_one_number_however_it_is_written():
    assert json.dumps(encode((4, 4.0, 4.5, True))) == "[4, 4, 4.5, true]"
