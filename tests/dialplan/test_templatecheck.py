"""What a person is told of a template's mistakes; what attackers try is in test_sandbox.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.templatecheck import mistakes, names_in


@pytest.mark.parametrize(
    ("template", "line", "what", "hint"),
    [
        ("{{ caller.number }} {{ headers.X_A }} {{ vars.b }} { } {single}", 0, "", ""),
        ("Hi\n{{ caller.phone }}", 2, "no such variable: caller.phone", "did you mean"),
        ("{{ calle.number }}", 1, "no such variable: calle.number", "caller.number"),
        ("{{ caller }}", 1, "no such variable: caller", ""),
        ("{{ date.year }}", 1, "no such variable: date.year", ""),
        ("a\nb\n{{ headers.X-A }}", 3, "no such variable: A", ""),
        ("{{ }}", 1, "Expected an expression", ""),
        ("{{ caller.name }", 1, "braces that belong to no variable", ""),
        ("caller.name }}", 1, "braces that belong to no variable", ""),
        ("a\n{% if caller.name %}b", 2, "endif", ""),
        ("{% fi %}", 1, "unknown tag 'fi'", ""),
        ("{{ caller.name | uper }}", 1, "no such filter: uper", "did you mean upper?"),
        ("{{ caller.name is emty }}", 1, "no such test: emty", ""),
        ("a\n\n{{ caller.name | replace }}", 3, "wrong arguments for replace", "1 to 2 values"),
        ("{% include '_x.md' %}", 1, "include takes the name", ""),
        ("{# never closed", 1, "Missing end of comment tag", ""),
        ("x" * 100_001 + "{{ 1 }}", 1, "more than 100000 characters", ""),
    ],
)
def test_each_mistake_has_its_line_and_words(template, line, what, hint):
    found = mistakes(template)
    if not line:
        assert found == []
        return
    assert found[0][0] == line
    assert what in found[0][1]
    assert hint in found[0][2]


@given(st.text("{} .acelr\n%#|()[]'\"0", max_size=60))
def test_no_text_makes_it_raise(template):
    mistakes(template)
    names_in(template)


def test_the_names_a_text_uses_are_known():
    assert names_in("{{ a.b }}{% if c %}{% endif %}") >= {"a", "c"}
