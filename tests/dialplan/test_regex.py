"""Regular expressions that a caller could make slow are refused."""

import re

import pytest

from bridge.dialplan.regex import why_slow


@pytest.mark.parametrize(
    "regex",
    [
        "^\\+49",
        "49$",
        "^00?49(30|40)\\d{6,8}$",
        "^(\\d{3}){2}$",
        "\\d+$",
        "^sip:.*@.*$",
        "^(?:a|b)?(?=1)(?!2)c",
        "",
        "(?>ab)",
    ],
)
def test_ordinary_expressions_pass(regex):
    re.compile(regex)
    assert why_slow(regex) == ""


@pytest.mark.parametrize(
    ("regex", "words"),
    [
        ("(a+)+$", "repeat within a repeat"),
        ("^(a?){30}a{30}$", "repeat within a repeat"),
        ("^(?:(?:1|2)*3)*$", "repeat within a repeat"),
        ("^(aa|aab)*$", "alternatives within a repeat"),
        ("^.*.*.*x$", "too many repeats"),
        (".*a.*$", "too many repeats"),
        ("^" + "a?" * 20 + "a" * 20, "too many repeats"),
        ("^(.)\\1", "reference back"),
        ("^(a)?(?(1)b|c)", "reference back"),
        ("^(?i:(a))\\1", "reference back"),
    ],
)
def test_dangerous_expressions_are_refused(regex, words):
    re.compile(regex)
    assert words in why_slow(regex)
