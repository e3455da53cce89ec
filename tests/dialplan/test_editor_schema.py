"""The schema for editors accepts what the loader accepts, and shows mistakes of structure."""

import jsonschema
import pytest

from bridge import yamlfile
from bridge.dialplan.editor_schema import editor_schema
from bridge.errors import DialplanError
from tests.dialplan.test_book import PLAN
from tests.dialplan.test_load import GOOD
from tests.dialplan.test_overlay import BASE

VALIDATOR = jsonschema.Draft202012Validator(editor_schema())


def complaints(text):
    data = yamlfile.parse("p.yaml", text.encode(), DialplanError).data
    return [error.message for error in VALIDATOR.iter_errors(data)]


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(editor_schema())


@pytest.mark.parametrize("text", [GOOD, PLAN, BASE])
def test_what_the_loader_takes_an_editor_takes(text):
    assert complaints(text) == []


@pytest.mark.parametrize(
    "step",
    ["{ring: {ms: '${wait}'}}", "{reject: {status: '${status}'}}", "{agent: '${desk}'}", "{say: '${hello}'}"],
)
def test_a_constant_may_stand_for_a_number_or_a_word(step):
    assert complaints(f"version: 1\nroutes: [{{name: r, do: [{step}]}}]\n") == []


@pytest.mark.parametrize(
    "step", ["{ring: {ms: long}}", "{ring: {ms: 5, s: 1}}", "{agent: 'front desk'}", "ring"]
)
def test_a_mistake_of_structure_is_shown(step):
    assert complaints(f"version: 1\nroutes: [{{name: r, do: [{step}]}}]\n")


def test_every_key_a_person_may_write_is_described():
    top = editor_schema()["properties"]
    assert not [name for name, part in top.items() if not part.get("description")]
