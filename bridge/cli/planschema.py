"""`sipbridge dialplan schema`: the JSON Schemas of dialplan files and of their tests, for editors."""

import json
import sys
from typing import Annotated

import typer

from bridge.dialplan.editor_schema import editor_schema
from bridge.dialplan.schema_cases import CaseFile

OfTests = Annotated[bool, typer.Option("--tests", help="Of *.test.yaml files instead.")]


def schema(*, tests: OfTests = False) -> None:
    """Print the JSON Schema of dialplan files, for editors."""
    sys.stdout.write(cases_schema() if tests else json_schema())


def json_schema() -> str:
    """The text of dialplans/schema.json."""
    return json.dumps(editor_schema(), indent=1) + "\n"


def cases_schema() -> str:
    """The text of dialplans/test.schema.json."""
    body = CaseFile.model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **body}, indent=1) + "\n"
