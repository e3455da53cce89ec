import asyncio
import json

from typer.testing import CliRunner

from bridge.cli.main import app
from tests.fakes import wholecontrol


async def test_the_description_of_the_running_bridge_is_printed(tmp_path):
    async with wholecontrol.running(tmp_path) as whole:
        words = ["api", "schema", "--config", str(tmp_path / "settings.yaml")]
        result = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert json.loads(result.output) == await whole.document()


def test_without_a_bridge_there_is_a_sentence(tmp_path):
    (tmp_path / "settings.yaml").write_text("state_dir: .\n")
    result = CliRunner().invoke(app, ["api", "schema", "--config", str(tmp_path / "settings.yaml")])
    assert result.exit_code
    assert "not running" in str(result.exception)
