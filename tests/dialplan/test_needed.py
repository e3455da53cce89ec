"""The texts a regular expression needs: saying too much would lose a route."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.needed import folded, needed_texts


@pytest.mark.parametrize(
    ("regex", "texts"),
    [
        ("foo", {"foo"}),
        ("Foo$", {"foo"}),
        (r"\d+-desk", {"-desk"}),
        ("(sales|orders) desk", {" desk"}),
        ("(sales|orders)", {"sales", "orders"}),
        ("a?bc*d", {"b"}),
        ("(?:0049|[+]49)3012", {"3012"}),
        ("(abc)+x", {"abc"}),
        ("(abc)*x", {"x"}),
        ("(?>ab)c", {"ab"}),
        ("[ab]", set()),
        ("", set()),
        ("a|", set()),
        (r"\d{3}", set()),
        ("ä", set()),
        ("|".join(f"n{i}" for i in range(100)), {"n"}),
        ("|".join(f"{i}n" for i in range(10, 100)), set()),
    ],
)
def test_what_an_expression_needs(regex, texts):
    assert needed_texts(regex) == texts


PIECES = (
    "a",
    "b",
    "s",
    "i",
    "K",
    "ä",
    r"\d",
    "[ab]",
    "(ab|bc)",
    "(?:s|i)",
    "b?",
    "(ab)+",
    "(ab)*",
    "|",
    "^",
    "$",
)
LETTERS = "abcsikK.1\u00e4\u0130\u0131\u017f\u212a"


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.text(LETTERS, max_size=12))
def test_a_value_without_any_of_the_texts_never_matches(pieces, text):
    regex, value = "".join(pieces), text.lower()
    texts = needed_texts(regex)
    if re.search(regex, value, re.IGNORECASE):
        assert not texts or any(one in folded(value) for one in texts)
