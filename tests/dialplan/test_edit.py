"""Edits of a file that a person wrote: only what is meant changes."""

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import yamlfile
from bridge.dialplan.edit import adding, edited, graft, setting, unsetting
from bridge.errors import DialplanError

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*ROOT.glob("dialplans/*.yaml"), *ROOT.glob("dialplans/examples/*/*.yaml")])
TEXT = """# head
version: 1   # of the format

agents:
  a: &a {voice: marin, instructions: "x",
         tools: [one,   two]}          # in its own way
  b:
    <<: *a
    greeting: 'hello'
hours:
    office:
        timezone: Europe/Berlin
        week: {mon: ["09:00-18:00"]}
        holidays:
        - "2026-12-25"   # Christmas

        # New Year
        - "2027-01-01"

# the routes
routes:
- name: first
  when: {to: "100"}
  do: [{agent: a}]
- name: a.b
  do: [{hang_up: {}}]
"""


def changed(change, text=TEXT):
    """Lines that went and came."""
    new = edited("p.yaml", text, change)
    lines = difflib.ndiff(text.splitlines(), new.splitlines())
    return [line for line in lines if line[0] in "+-"]


def data(text):
    return yamlfile.parse("p.yaml", text.encode(), DialplanError).data


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (
            "routes.first.when.to",
            '["100", "101"]',
            ['-   when: {to: "100"}', '+   when: {to: ["100", "101"]}'],
        ),
        ("routes.0.when.to", "+4930", ['-   when: {to: "100"}', '+   when: {to: "+4930"}']),
        ("routes[a.b].name", "other", ["- - name: a.b", "+ - name: other"]),
        ("agents.b.greeting", "hi", ["-     greeting: 'hello'", "+     greeting: 'hi'"]),
        ("agents.b.voice", "cedar", ["+     voice: cedar"]),
        ("version", "2", ["- version: 1   # of the format", "+ version: 2   # of the format"]),
    ],
)
def test_one_value_is_set_and_nothing_else(path, value, lines):
    assert changed(setting(path, value)) == lines


def test_a_line_with_the_change_may_be_written_anew_and_means_the_same():
    new = edited("p.yaml", TEXT, setting("agents.a.voice", "cedar"))
    assert data(new)["agents"]["b"] == {
        "voice": "cedar",
        "instructions": "x",
        "tools": ["one", "two"],
        "greeting": "hello",
    }
    assert "# in its own way" in new


def test_a_date_goes_to_its_place_in_the_list():
    assert changed(adding("hours.office.holidays", ["2026-12-31"])) == ['+         - "2026-12-31"']
    new = edited("p.yaml", TEXT, adding("hours.office.holidays", ["2027-04-02", "2026-12-25"]))
    assert data(new)["hours"]["office"]["holidays"] == ["2026-12-25", "2027-01-01", "2027-04-02"]
    assert '- "2027-01-01"\n        - "2027-04-02"\n\n# the routes\n' in new


def test_a_list_that_is_not_there_is_made():
    text = TEXT[: TEXT.index("        holidays:")] + "\nroutes: []\n"
    new = edited("p.yaml", text, adding("hours.office.holidays", ["2027-04-02"]))
    assert data(new)["hours"]["office"]["holidays"] == ["2027-04-02"]


def test_what_is_taken_out_leaves_the_rest():
    assert changed(unsetting("agents.b.greeting")) == ["-     greeting: 'hello'"]
    assert "routes[a.b]" not in changed(unsetting("routes[a.b]"))
    assert [one["name"] for one in data(edited("p.yaml", TEXT, unsetting("routes[a.b]")))["routes"]] == [
        "first"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (setting("agents.c.voice", "x"), "there is no c (allowed: a, b)"),
        (setting("routes.frist.name", "x"), "there is no frist in the list (did you mean first?)"),
        (setting("routes.9.name", "x"), "there is no 9 in the list"),
        (setting("..", "x"), "is no path"),
        (setting("a]b", "x"), "is no path"),
        (setting("version", "["), "[ is no YAML"),
        (unsetting("agents.b.greting"), "is not written there"),
        (adding("version", ["x"]), "version is no list"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(change, said):
    with pytest.raises(DialplanError) as error:
        edited("p.yaml", TEXT, change)
    assert said in str(error.value)


def test_a_file_that_is_no_yaml_is_refused_with_its_line():
    with pytest.raises(DialplanError, match=r"p\.yaml:2:"):
        edited("p.yaml", "a: [1\nb: }", setting("a", "1"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_file_keeps_every_line_but_the_one_that_is_changed(path):
    text = path.read_text()
    assert edited(path.name, text, lambda _data: None) == text
    assert changed(setting("version", "2"), text) == ["- version: 1", "+ version: 2"]


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=12)


@given(LINES, LINES)
def test_a_graft_without_own_ways_is_the_changed_text(plain, new):
    assert list(graft(plain, plain, new)) == new


@given(LINES, LINES)
def test_a_graft_without_a_change_is_the_persons_text(own, plain):
    assert list(graft(own, plain, plain)) == own
