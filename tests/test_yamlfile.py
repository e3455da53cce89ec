"""YAML files of people: data, places and clear words for everything that is wrong."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from bridge import yamlfile
from bridge.errors import DialplanError, SettingsError
from bridge.yamlfile import key_text


def parse(text):
    return yamlfile.parse("f.yaml", text if isinstance(text, bytes) else text.encode(), SettingsError)


class Inner(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    size: int = 0
    word: str = ""


class Outer(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    inner: list[Inner] = Field(default_factory=list)


def test_scalars_are_read_as_yaml_1_2():
    text = "[no, on, 12:30, 2026-11-20, true, ~, 7, -3, 1.5, .5, 1e3, '7', 0x1F]"
    expected = ["no", "on", "12:30", "2026-11-20", True, None, 7, -3, 1.5, 0.5, 1000.0, "7", "0x1F"]
    assert parse(text).data == expected


def test_keys_are_always_text():
    assert parse("100: a\ntrue: b").data == {"100": "a", "true": "b"}


def test_an_alias_repeats_its_anchor():
    assert parse("a: &x {k: 1}\nb: *x\nc: [*x]").data == {"a": {"k": 1}, "b": {"k": 1}, "c": [{"k": 1}]}


def test_an_alias_keeps_the_place_of_its_own_key():
    document = parse("a: &x {k: 1}\nb: *x")
    assert document.problem(("b",), "m", at_key=True).line == 2
    assert document.problem(("a",), "m", at_key=True).line == 1


def test_a_scalar_can_be_repeated():
    assert parse("a: &x 5\nb: *x").data == {"a": 5, "b": 5}


def test_a_merge_fills_in_what_is_not_given():
    text = "a: &x {k: 1, m: 2}\nd: &y {n: 3}\nb: {<<: *x, k: 5}\nc: {<<: [*x, *y]}"
    data = parse(text).data
    assert data["b"] == {"k": 5, "m": 2}
    assert data["c"] == {"k": 1, "m": 2, "n": 3}


def test_a_byte_order_mark_is_no_part_of_the_data():
    assert parse(b"\xef\xbb\xbfa: 1").data == {"a": 1}


def test_places_count_from_one():
    problem = parse("a:\n  - b: 1\n").problem(("a", 0, "b"), "wrong")
    assert (problem.line, problem.column, problem.key) == (2, 8, "a[0].b")


def test_a_path_that_is_not_there_gives_the_place_around_it():
    problem = parse("a:\n  b: 1\n").problem(("a", "zz"), "wrong")
    assert (problem.line, problem.column, problem.key) == (2, 3, "a.zz")


def test_key_text_reads_like_code():
    assert key_text(("routes", 3, "do", 0, "agent")) == "routes[3].do[0].agent"


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(8)
)


CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", (1, 1), "empty"),
        ("# only a comment", (1, 1), "empty"),
        ("~", (1, 1), "empty"),
        ("a: 1\nb: 2\na: 3", (3, 1), "given twice, first in line 1"),
        ("a:\n\tb: 1", (2, 1), "tab"),
        ("a: 1\nb: [1\nc: 2", (3, 2), "did not find expected"),
        ("a: 'x", (1, 6), "unexpected end"),
        ("a: b: c", (1, 5), "colon"),
        ("--- 1\n--- 2", (2, 1), "second document"),
        ("a: !!python/object:os.system x", (1, 4), "tag"),
        ("a: !secret x", (1, 4), "tag"),
        ("a: *x", (1, 4), "no anchor"),
        ("a: &x [*x]", (1, 8), "itself"),
        ("a: &x [1]\n*x : 2", (2, 1), "cannot be a key"),
        ("? [1]\n: 2", (1, 3), "cannot be a key"),
        ("a: {{ name }}", (1, 5), "cannot be a key"),
        ("a: &x [1]\n<<: *x", (1, 8), "takes a mapping"),
        ('a: "\\0"', (1, 4), "control character"),
        ("[" * 3000, (1, 41), "deeper than"),
        ("- " * 3000 + "x", (1, 81), "deeper than"),
        (CHAIN, (40, 12), "deeper than"),
        (BOMB, (6, 20), "more than 400000"),
        (b"a: 1\nb: \xff", (2, 4), "not UTF-8"),
        (b"a: \x01", (1, 4), "control character"),
        (b"x" * (8 * 1024 * 1024 + 1), (0, 0), "larger than 8 MiB"),
        ("a: \ufffe", (1, 4), "not allowed"),
        ("%YAML 3.0\n---\na: 1", (1, 1), "incompatible"),
    ],
)
def test_a_broken_file_gives_one_clear_problem(text, place, words):
    with pytest.raises(SettingsError) as caught:
        parse(text)
    (problem,) = caught.value.problems
    assert words in problem.message
    assert (problem.line, problem.column) == place


def test_all_duplicate_keys_are_told_at_once():
    with pytest.raises(SettingsError) as caught:
        parse("a: 1\na: 2\nb: {c: 1, c: 2}")
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_the_number_of_problems_is_bounded():
    with pytest.raises(SettingsError) as caught:
        parse("a: 1\n" * 500)
    assert len(caught.value.problems) == yamlfile.MAX_PROBLEMS


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    with pytest.raises(DialplanError, match="cannot be read"):
        yamlfile.read(tmp_path / "no.yaml", DialplanError)


def test_a_file_is_read_from_disk(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1")
    assert yamlfile.read(path, DialplanError).data == {"a": 1}


def problems(text):
    with pytest.raises(SettingsError) as caught:
        yamlfile.validate(parse(text), Outer, SettingsError)
    return [str(problem) for problem in caught.value.problems]


def test_validation_gives_the_typed_value():
    assert yamlfile.validate(parse("name: x\ninner: [{size: 2}]"), Outer, SettingsError).inner[0].size == 2


def test_misfits_are_told_in_file_order_with_place_and_key():
    assert problems("inner:\n  - {size: big}\n  - {siez: 1}\nname: 5\n") == [
        "f.yaml:2:12: inner[0].size: a whole number is needed",
        "f.yaml:3:6: inner[1].siez: unknown key (did you mean size?)",
        'f.yaml:4:7: name: text is needed (YAML reads 5 as something else: write "5" in quotes)',
    ]


def test_a_missing_key_is_placed_where_it_should_stand():
    assert problems("inner: []") == ["f.yaml:1:1: name: this key is needed"]


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!#'\"\\|>%@`? \n\t,<~0.\u2028é"), max_size=60))
def test_no_text_raises_anything_else(text):
    with contextlib.suppress(SettingsError):
        yamlfile.validate(parse(text), Outer, SettingsError)


@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_else(raw):
    with contextlib.suppress(SettingsError):
        parse(raw)
