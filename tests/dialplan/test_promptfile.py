"""A prompt file by itself; how agents use them is in test_prompts.py."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.dialplan.promptfile import MAX_PROMPT_BYTES, read

HEAD = "---\nid: a\nversion: 1\n---\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no front matter"),
        (b"no dashes", "no front matter"),
        (b"---\nid: a\n", "no front matter"),
        (b"---\nid: a\nversion: 1\n---\n", "no text"),
        (b"---\n---\nx", "empty"),
        (b"---\nid: a\nid: b\nversion: 1\n---\nx", "given twice"),
        (b"\xff\xfe", "cannot be read"),
        (HEAD.encode() + b"x" * MAX_PROMPT_BYTES, "more than"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, raw, message):
    path = tmp_path / "a.md"
    path.write_bytes(raw)
    assert message in str(read(path).problems[0])


def test_a_file_that_is_not_there_is_a_problem_too(tmp_path):
    assert "cannot be read" in str(read(tmp_path / "none.md").problems[0])


def test_windows_line_ends_and_a_byte_order_mark_are_no_mistake(tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode() + b"Hi\r\n")
    found = read(path)
    assert (found.problems, found.text) == ([], "Hi")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("-\n:{}%# abidversonx'\"[]", max_size=80), st.booleans())
def test_no_file_makes_it_raise(tmp_path, text, headed):
    path = tmp_path / "a.md"
    path.write_text((HEAD if headed else "") + text)
    read(path)
