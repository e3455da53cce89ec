import xml.etree.ElementTree as ET
from pathlib import Path

from typer.testing import CliRunner

from bridge.cli.dialplan import app

EXAMPLE = str(Path(__file__).parents[2] / "dialplans/examples/shop")


def run(*words):
    result = CliRunner().invoke(app, ["graph", EXAMPLE, *words])
    return result.exit_code, result.output


def test_the_picture_goes_to_a_file_or_to_standard_output(tmp_path):
    code, output = run()
    assert (code, ET.fromstring(output).tag) == (0, "{http://www.w3.org/2000/svg}svg")
    file = tmp_path / "flow.svg"
    assert run("-o", str(file))[0] == 0
    assert file.read_text() == output


def test_one_route_can_be_drawn_and_must_be_there():
    assert run("--route", "sales")[1].count("<g>") < run()[1].count("<g>")
    code, output = run("--route", "sale")
    assert (code, "did you mean sales?" in output) == (2, True)
