import json

from typer.testing import CliRunner

import bridge
from bridge.cli.main import app
from bridge.store.migrate import revisions


def test_the_version_names_program_and_database():
    head, known = revisions()
    assert (
        CliRunner()
        .invoke(app, ["version"])
        .output.startswith(f"sipbridge {bridge.__version__}, database revision {head}")
    )
    data = json.loads(CliRunner().invoke(app, ["version", "--json"]).output)
    assert (data["version"], data["database"], data["reads"]) == (bridge.__version__, head, sorted(known))
