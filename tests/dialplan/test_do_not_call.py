from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.do_not_call import MAX_BYTES, content_hash, mistakes, numbers


def test_numbers_are_one_a_line_with_comments_and_layout():
    content = (
        b"\xef\xbb\xbf# who asked not to be called\n+49 30 1234-5678  # Mrs Smith\r\n\n+1 (202) 555.0123\n"
    )
    assert numbers(content) == {"+493012345678", "+12025550123"}
    assert not list(mistakes(content))


def test_every_line_that_is_no_number_is_told_with_its_line():
    content = b"+493012345678\n030 123\nSmith\n+49\xff30\n"
    assert [line for line, _ in mistakes(content)] == [2, 3, 4]
    assert "'030 123' is no number in international form" in next(wrong for _, wrong in mistakes(content))


def test_a_file_that_is_too_long_is_one_mistake():
    assert len(list(mistakes(b"x\n" * (MAX_BYTES // 2 + 1)))) == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_numbers_or_mistakes(content):
    assert all(number.startswith("+") for number in numbers(content))
    list(mistakes(content))


def test_the_hash_names_the_content():
    assert content_hash(b"a") != content_hash(b"b")
    assert len(content_hash(b"")) == 16
