"""`sipbridge dialplan reload|status|versions|rollback` against a control that runs beside, in a thread."""

import asyncio
import json
import threading
from contextlib import contextmanager

import pytest
import structlog
from typer.testing import CliRunner

from bridge.cli.dialplan import app
from bridge.control import Control
from bridge.errors import BridgeError
from bridge.settings import load

PLAN = "version: 1\nroutes:\n  - name: {name}\n    do:\n      - say: Hello\n      - hang_up: {{}}\n"


class Bench:
    """A folder, the commands, and control when it is wanted."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "plans").mkdir()
        (folder / "bridge.yaml").write_text(
            "dialplans: plans\nstate_dir: st\ntools: none\nconsole: {port: 1}\n"
        )
        self.write("first")

    def write(self, name):
        (self.folder / "plans" / "a.yaml").write_text(PLAN.format(name=name))

    def run(self, *words):
        result = CliRunner().invoke(app, [*words, "--config", str(self.folder / "bridge.yaml")])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    @contextmanager
    def control(self):
        ready, loop = threading.Event(), asyncio.new_event_loop()
        control = Control(load(self.folder / "bridge.yaml", {}), {}, speak=lambda _prompt: b"\0\0")

        async def run():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(control.run())
                await control.ready.wait()
                ready.set()

        thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
        thread.start()
        try:
            assert ready.wait(20)
            with structlog.testing.capture_logs():  # what control logs is not what the command says
                yield
        finally:
            loop.call_soon_threadsafe(control.stop)
            thread.join(20)
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def versions(bench):
    return [one["version"] for one in json.loads(bench.run("versions", "--json")[1])]


def test_a_reload_waits_for_the_outcome_and_says_it(bench):
    with bench.control():
        (first,) = versions(bench)
        assert bench.run("reload") == (0, f"in force: {first}, as before\n")
        bench.write("second")
        code, output = bench.run("reload")
        assert (code, output) == (0, f"in force: {versions(bench)[0]}\n")
        (bench.folder / "plans" / "a.yaml").write_text(
            "version: 1\nnonsense: 1\nroutes: [{name: x, do: [{sayy: 1}]}]\n"
        )
        code, output = bench.run("reload")
        lines = output.splitlines()
    assert (code, lines[0], lines[-1]) == (
        1,
        f"in force: {versions_of(lines[0])}",
        "refused, 2 mistakes; everything stays as it was",
    )
    assert "a.yaml:2:1: nonsense: unknown key" in lines[1]
    assert "a.yaml:3:26: routes[0].do[0].sayy: unknown key" in lines[2]


def versions_of(line):
    return line.removeprefix("in force: ")


def test_a_rollback_says_how_long_it_lasts_and_survives_a_restart(bench):
    with bench.control():
        bench.write("second")
        bench.run("reload")
        second, first = versions(bench)
        code, output = bench.run("rollback", first[:5])
        assert code == 0
        assert f"in force: {first}\n" in output
        assert "over restarts too, until the next successful reload" in output
    with bench.control():
        code, output = bench.run("status")
        assert code == 0
        assert f"version {first} (1 routes, 0 agents) since" in output
        assert "rolled back: it stays until the next successful reload" in output
        code, output = bench.run("versions")
        assert output.index(first) < output.index(second)
        assert f"-> {first}" in output.replace("  ", " ")
        assert "rollback" in output
        assert "the rollback is over" in bench.run("reload")[1]
        assert bench.run("rollback", "zzz")[0] == 1


def test_the_status_names_a_refusal_with_its_reasons_and_fails(bench):
    with bench.control():
        bench.write("second\nnonsense: 1")
        bench.run("reload")
        code, output = bench.run("status")
        assert code == 1
        assert "refused: reload at" in output
        assert "a.yaml:" in output
        assert json.loads(bench.run("status", "--json")[1])["refused"]["problems"]


@pytest.mark.parametrize("words", [("reload",), ("status",), ("versions",), ("rollback", "abc")])
def test_without_a_running_bridge_that_is_said(bench, words):
    with pytest.raises(BridgeError, match=r"the bridge is not running \(nobody answers at .*api.sock\)"):
        bench.run(*words)


def test_a_token_is_who_asks(bench, monkeypatch):
    with bench.control():
        monkeypatch.setenv("SIPBRIDGE_TOKEN", "sbt_1_x")
        with pytest.raises(BridgeError, match="the token is not valid"):
            bench.run("reload")
