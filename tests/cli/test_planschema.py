from pathlib import Path

import jsonschema
import pytest

from bridge import yamlfile
from bridge.cli.planschema import cases_schema, json_schema
from bridge.errors import DialplanError

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("dialplans/examples/*/*.yaml"))


def test_the_schema_of_test_files_is_current():
    """dialplans/test.schema.json is generated: sipbridge dialplan schema --tests > dialplans/test.schema.json."""
    assert (ROOT / "dialplans/test.schema.json").read_text() == cases_schema()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_example_names_the_schema_that_it_fits(path):
    import json

    tests = path.name.endswith(".test.yaml")
    first = path.read_text().partition("\n")[0]
    name = "test.schema.json" if tests else "schema.json"
    assert first == f"# yaml-language-server: $schema=../../{name}"
    data = yamlfile.read(path, DialplanError).data
    jsonschema.validate(data, json.loads(cases_schema() if tests else json_schema()))
