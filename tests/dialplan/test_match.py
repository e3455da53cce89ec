"""Patterns, and the index that must never lose a route."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.match import RouteIndex, fits, is_regex, literal_of


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("100", "100", True),
        ("100", "1000", False),
        ("Alice", "alice", True),
        ("+4930*", "+493012", True),
        ("+4930*", "+4931", False),
        ("*", "", True),
        ("/^00?49/", "0049301", True),
        ("/^00?49/", "10049", False),
        ("/9$/", "129", True),
        ("/ALICE/", "alice", True),
        ("/", "/", True),
        ("a" * 256, "a" * 300, True),
    ],
)
def test_a_pattern_fits_or_not(pattern, value, expected):
    assert fits(pattern, value) is expected


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("100", ("100", True)),
        ("+49*", ("+49", False)),
        ("*", ("", False)),
        ("/49/", ("", False)),
        ("/^\\+49\\d/", ("+49", False)),
        ("/^004?9/", ("00", False)),
        ("/^00\\+*/", ("00", False)),
        ("/^1{2}/", ("", False)),
        ("/^1|2/", ("", False)),
        ("/^(1)/", ("", False)),
        ("/^AB$/", ("ab", False)),
    ],
)
def test_the_literal_start_of_a_pattern_is_known(pattern, literal):
    assert literal_of(pattern) == literal


def test_only_text_between_slashes_is_a_regex():
    assert [is_regex(text) for text in ("/a/", "//", "/", "/a", "a/")] == [True, True, False, False, False]


def candidates(routes, **values):
    return list(RouteIndex(routes).candidates(lambda name: values.get(name, "")))


def test_candidates_come_in_file_order():
    routes = [{"to": ("1*",)}, {"to": ("2",)}, {}, {"to": ("12", "3")}, {"to": ("/2$/",)}]
    assert candidates(routes, to="12") == [0, 2, 3, 4]


def test_all_fields_must_fit():
    routes = [{"to": ("1",), "from": ("2",)}, {"to": ("1",)}, {"from": ("2",)}, {"header:x": ("a",)}]
    assert candidates(routes, to="1", **{"from": "3", "header:x": "a"}) == [1, 3]


DIGITS = st.text("12+", max_size=3)
PATTERNS = st.one_of(
    DIGITS.filter(bool),
    DIGITS.map(lambda text: text + "*"),
    st.sampled_from(["/^1/", "/2$/", "/^12?/", "/^1|2/", "/^\\+*1/"]),
)
CONDITIONS = st.dictionaries(
    st.sampled_from(["to", "from"]), st.lists(PATTERNS, min_size=1, max_size=3).map(tuple)
)


@given(st.lists(CONDITIONS, max_size=6), DIGITS, DIGITS)
def test_the_index_keeps_every_route_that_fits(routes, to, from_):
    values = {"to": to, "from": from_}
    fitting = [
        number
        for number, route in enumerate(routes)
        if all(any(fits(pattern, values[name]) for pattern in patterns) for name, patterns in route.items())
    ]
    kept = list(RouteIndex(routes).candidates(lambda name: values[name]))
    assert set(fitting) <= set(kept)
    assert kept == sorted(kept)
