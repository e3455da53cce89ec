import json
import os
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from bridge.config import WorkerConfig
from bridge.errors import BridgeError, DialplanError, SettingsError
from bridge.serve import prepare, run
from bridge.settings import load
from bridge.supervisor import lock, read_serve

PLAN = "version: 1\nroutes:\n  - name: all\n    do:\n      - hang_up: {}\n"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path / "settings.yaml"


def settings(config, text="", environ=None):
    config.write_text(f"dialplans: plan.yaml\nstate_dir: state\nsip: {{port: {free_port()}}}\n{text}")
    return load(config, environ or {})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_processes_are_listed_in_stages_and_workers_get_their_configuration(config):
    chosen = settings(config, "workers: 2\ndeadlines: {drain_s: 7}\n")
    serve = prepare(chosen, config)
    assert [(program.name, program.stage) for program in serve.programs] == [
        ("sim", 0),
        ("control", 1),
        ("worker-0", 2),
        ("worker-1", 2),
    ]
    assert serve.programs[1].argv[-3:] == ("control", "--config", str(config))
    assert serve.limits.drain_s > 7
    engine_port = serve.programs[0].argv[serve.programs[0].argv.index("--port") + 1]
    for index, program in enumerate(serve.programs[2:]):
        worker = WorkerConfig.from_json(Path(program.stdin).read_text().splitlines()[0])
        assert (worker.index, worker.sip.port) == (index, chosen.sip.port + index)
        assert worker.provider(None).url == f"ws://127.0.0.1:{engine_port}/v1/realtime"
        assert (program.spool_dir, program.index) == (worker.paths.spool, index)
    assert f"SIP on 127.0.0.1:{chosen.sip.port}/udp" in serve.announcement
    assert "http://127.0.0.1:8080/healthz" in serve.announcement


def test_the_supervisor_reads_what_was_prepared(config, tmp_path):
    serve = prepare(settings(config), config)
    (tmp_path / "serve.json").write_text(json.dumps(asdict(serve)))
    assert read_serve(str(tmp_path / "serve.json")) == (
        list(serve.programs),
        serve.limits,
        serve.announcement,
    )


def test_without_a_local_provider_there_is_no_engine(config):
    chosen = settings(config, "providers: {own: {kind: compatible, url: 'ws://127.0.0.1:9/v1/realtime'}}\n")
    assert [program.name for program in prepare(chosen, config).programs] == ["control", "worker-0"]


def test_the_scenario_of_the_local_provider_reaches_the_engine(config, tmp_path):
    chosen = settings(config, "providers: {own: {kind: local, scenario: s.yaml}}\n")
    assert prepare(chosen, config).programs[0].argv[-2:] == ("--scenario", str(tmp_path / "s.yaml"))


@pytest.fixture
def taken():
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_a_configured_port_that_is_taken_is_an_error_that_names_a_free_one(config, taken):
    chosen = settings(config, "", {"SIPBRIDGE_SIP__PORT": str(taken)})
    with pytest.raises(SettingsError, match=rf"sip.port: 127.0.0.1:{taken} is taken .*is free"):
        prepare(chosen, config)


def test_the_embedded_default_moves_and_says_so(config, taken):
    chosen = settings(config, "", {"SIPBRIDGE_SIP__PORT": str(taken)})
    with socket.socket() as console:
        console.bind(("127.0.0.1", 0))
        port = console.getsockname()[1]
        chosen = chosen.model_copy(update={"console": chosen.console.model_copy(update={"port": port})})
        serve = prepare(chosen, None)
    assert f"port {taken} was taken, so SIP moved to" in serve.announcement
    assert f"port {port} was taken, so health moved to" in serve.announcement
    control = next(program for program in serve.programs if program.name == "control")
    assert control.argv[-1] == "control"
    assert int(control.environ["SIPBRIDGE_SIP__PORT"]) > taken
    assert int(control.environ["SIPBRIDGE_CONSOLE__PORT"]) != port


def test_a_missing_key_a_wrong_plan_and_a_running_bridge_are_told_before_anything_starts(config, tmp_path):
    with pytest.raises(SettingsError, match="NO_SUCH_KEY is not set"):
        run(settings(config, "providers: {o: {kind: openai, api_key_env: NO_SUCH_KEY}}\n"), config)
    (tmp_path / "plan.yaml").write_text("nonsense: 1\n")
    with pytest.raises(DialplanError, match="nonsense"):
        run(settings(config), config)
    (tmp_path / "plan.yaml").write_text(PLAN)
    held = lock(str(tmp_path / "state"))
    with pytest.raises(BridgeError, match="already runs on"):
        run(settings(config), config)
    os.close(held)
