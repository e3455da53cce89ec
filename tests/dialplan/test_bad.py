"""Every kind of mistake, one a file: bad/ holds them, each with the one message it gives in its first line.

    # says plan.yaml:LINE:COLUMN: key: what is wrong (what to do)
    # environment production            (only where an overlay is laid over the plan)

To add one, put the file there with `# says ?` and copy what the failing test shows. A folder is one case: its
main.yaml is loaded, or the whole folder where there is none.
"""

import json
from pathlib import Path

import jsonschema
import pytest

from bridge import yamlfile
from bridge.dialplan import load
from bridge.dialplan.around import Around
from bridge.errors import DialplanError

BAD = Path(__file__).parent / "bad"
CASES = sorted(BAD.iterdir())
SCHEMA = json.loads((Path(__file__).parents[2] / "dialplans/schema.json").read_text())
AROUND = Around(providers=("main",), channels=("front-office", "ops"))
OF_STRUCTURE = (
    "unknown key",
    "this key is needed",
    "is needed",
    "must be at",
    "is no language",
    "is no window",
    "is no key",
    "is no name of a variable",
    "is no name of a SIP header",
    "cannot end an entry",
)
"""Words of the mistakes that an editor must show too."""


def first_file(case):
    if case.is_file():
        return case
    main = case / "main.yaml"
    return main if main.exists() else min(case.glob("*.yaml"))


def expected(case):
    """(message, environment) in the head of a case."""
    head = first_file(case).read_bytes().splitlines()[:2]
    lines = [line.decode() for line in head if line.startswith(b"# ")]
    found = {line.split(" ", 2)[1]: line.split(" ", 2)[2] for line in lines if line.count(" ") >= 2}
    return found.get("says", "?"), found.get("environment")


def told(case, monkeypatch):
    """What loading a case says, its paths relative to its folder."""
    first = first_file(case)
    monkeypatch.chdir(first.parent)
    whole_folder = case.is_dir() and first.name != "main.yaml"
    with pytest.raises(DialplanError) as caught:
        load.load(Path() if whole_folder else Path(first.name), AROUND, environment=expected(case)[1])
    return [
        str(problem).replace(f"{first.parent}/", "").replace(str(first.parent), "FOLDER")
        for problem in caught.value.problems
    ]


def test_there_are_enough_kinds_of_mistakes():
    assert len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_mistake_gives_exactly_the_message_in_its_first_line(case, monkeypatch):
    assert told(case, monkeypatch) == [expected(case)[0]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_message_says_what_to_do(case):
    assert expected(case)[0].endswith(")")


STRUCTURE = [
    case
    for case in CASES
    if case.is_file()
    and not case.name.startswith(
        ("yaml-", "vars-", "agent-no-instructions", "recording-ask-nothing")
    )  # one of two keys: no schema says so
    and any(words in expected(case)[0] for words in OF_STRUCTURE)
]


@pytest.mark.parametrize("case", STRUCTURE, ids=lambda case: case.stem)
def test_an_editor_shows_mistakes_of_structure_too(case):
    data = yamlfile.read(case, DialplanError).data
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(data))
