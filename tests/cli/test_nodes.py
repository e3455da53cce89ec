import asyncio
import json

import pytest
from typer.testing import CliRunner

from bridge.cli.main import app
from bridge.errors import BridgeError
from tests.test_control_api_nodes import nodes


@pytest.fixture
def config(tmp_path):
    (tmp_path / "settings.yaml").write_text("state_dir: .\n")
    return str(tmp_path / "settings.yaml")


async def run(config, *words):
    return await asyncio.to_thread(CliRunner().invoke, app, ["nodes", *words, "--config", config])


async def test_an_operator_sees_every_node(tmp_path, config):
    async with nodes(tmp_path):
        lines = (await run(config, "list")).output.splitlines()
        assert lines[0].split()[:4] == ["node", "state", "seen", "address"]
        assert lines[1].split()[:3] == ["a", "(this", "one)"]
        assert lines[2].split()[:2] == ["b", "live"]
        assert "p1 !" in lines[1]  # b has another plan
        assert [one["name"] for one in json.loads((await run(config, "list", "--json")).output)] == ["a", "b"]


async def test_an_admin_drains_a_node_and_gives_it_calls_again(tmp_path, config):
    async with nodes(tmp_path) as (_, desk):
        assert (await run(config, "drain", "b")).output.endswith("b: draining\n")
        assert (await run(config, "undrain", "b")).output.endswith("b: live\n")
        (b,) = desk.others()
        await desk._store.leave("b", b.epoch)
        assert (await run(config, "forget", "b")).output.endswith("b: forgotten\n")


@pytest.mark.parametrize(
    ("words", "says"), [(["drain", "nobody"], "no node"), (["drain", "../x"], "is no node's name")]
)
async def test_what_is_refused_is_said_plainly(tmp_path, config, words, says):
    async with nodes(tmp_path):
        result = await run(config, *words)
        assert isinstance(result.exception, BridgeError)
        assert says in str(result.exception)
