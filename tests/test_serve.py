import json
import os
import socket
import stat
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from bridge.config import WorkerConfig
from bridge.errors import BridgeError, DialplanError, SettingsError, StoreError
from bridge.ports import free_sip_port
from bridge.serve import let_in, open_store, prepare, run, workers_user
from bridge.settings import load
from bridge.supervisor import lock, read_serve
from tests.fakes.ports import free_port

PLAN = "version: 1\nroutes:\n  - name: all\n    do:\n      - hang_up: {}\n"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path / "settings.yaml"


@pytest.fixture(autouse=True)
def umask():
    """`run` sets it for the processes to come, which here is every test to come."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


def settings(config, text="", environ=None):
    ports = f"sip: {{port: {free_sip_port('127.0.0.1', free_port(), 4)}}}\n" + (
        "" if "console:" in text else f"console: {{port: {free_port()}}}\n"
    )
    config.write_text(f"dialplans: plan.yaml\nstate_dir: state\n{ports}{text}")
    return load(config, environ or {})


def test_processes_are_listed_in_stages_and_workers_get_their_configuration(config):
    chosen = settings(config, "workers: 2\ndeadlines: {drain_s: 7}\n")
    serve = prepare(chosen, config)
    assert [(program.name, program.stage) for program in serve.programs] == [
        ("sim", 0),
        ("control", 1),
        ("zygote", 0),
        ("worker-0", 3),
        ("worker-1", 3),
    ]
    assert serve.programs[1].argv[-3:] == ("control", "--config", str(config))
    assert serve.limits.drain_s > 7
    engine_port = serve.programs[0].argv[serve.programs[0].argv.index("--port") + 1]
    for index, program in enumerate(serve.programs[3:]):
        worker = WorkerConfig.from_json(Path(program.stdin).read_text().splitlines()[0])
        assert (worker.index, worker.sip.port) == (index, chosen.sip.port + index)
        assert worker.provider(None).url == f"ws://127.0.0.1:{engine_port}/v1/realtime"
        assert (program.spool_dir, program.index) == (worker.paths.spool, index)
    assert f"SIP on 127.0.0.1:{chosen.sip.port}/udp" in serve.announcement
    assert f"http://127.0.0.1:{chosen.console.port}/healthz" in serve.announcement


def test_the_supervisor_reads_what_was_prepared(config, tmp_path):
    serve = prepare(settings(config), config)
    (tmp_path / "serve.json").write_text(json.dumps(asdict(serve)))
    assert read_serve(str(tmp_path / "serve.json")) == asdict_of(serve)


def asdict_of(serve):
    return {
        "programs": list(serve.programs),
        "limits": serve.limits,
        "announcement": serve.announcement,
        "pool": serve.pool,
        "spares": serve.spares,
        "leftovers": list(serve.leftovers),
    }


def test_any_slot_can_be_given_to_either_pool(config):
    serve = prepare(settings(config, "workers: 2\npool: {wide_workers: 1}\n"), config)
    workers = [program for program in serve.programs if program.role == "worker"]
    assert [program.pool for program in workers] == ["narrow", "wide"]
    for program in workers:
        told = [
            WorkerConfig.from_json(Path(file).read_text()) for file in (program.stdin, program.stdin_wide)
        ]
        assert [(one.pool, one.index) for one in told] == [("narrow", program.index), ("wide", program.index)]


def test_without_warm_there_is_no_zygote(config):
    serve = prepare(settings(config, "pool: {warm: false}\n"), config)
    assert "zygote" not in [program.name for program in serve.programs]


def test_the_pool_is_told_its_limits(config):
    text = "pool: {recycle_after_h: 2, max_memory_mb: 99, spares: 3}\nlimits: {max_call_s: 100}\n"
    serve = prepare(settings(config, text), config)
    assert (serve.pool.recycle_after_s, serve.pool.max_memory_mb, serve.spares) == (7200, 99, 3)
    assert serve.pool.leave_s > 100


def test_without_a_local_provider_there_is_no_engine(config):
    chosen = settings(config, "providers: {own: {kind: compatible, url: 'ws://127.0.0.1:9/v1/realtime'}}\n")
    assert [program.name for program in prepare(chosen, config).programs] == ["control", "zygote", "worker-0"]


def test_the_scenario_of_the_local_provider_reaches_the_engine(config, tmp_path):
    chosen = settings(config, "providers: {own: {kind: local, scenario: s.yaml}}\n")
    assert prepare(chosen, config).programs[0].argv[-2:] == ("--scenario", str(tmp_path / "s.yaml"))


def test_only_a_rollback_has_the_bridge_start_with_files_that_are_wrong(config):
    chosen = settings(config)
    held = lock(str(chosen.state_dir))  # ends `run` right after the dialplan, whoever runs this test
    (config.parent / "plan.yaml").write_text("nonsense: 1\n")
    with pytest.raises(DialplanError, match="nonsense"):
        run(chosen, config)
    note = config.parent / "state" / "run" / "in-force.json"
    note.parent.mkdir()
    for text, error in (
        ('{"rolled_back": false}', DialplanError),
        ("{", DialplanError),
        ('{"rolled_back": true}', BridgeError),
    ):
        note.write_text(text)
        with pytest.raises(error) as refused:
            run(chosen, config)
        assert type(refused.value) is error
    os.close(held)


@pytest.fixture
def taken():
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_a_configured_port_that_is_taken_is_an_error_that_names_a_free_one(config, taken):
    chosen = settings(config, "", {"SIPBRIDGE_SIP__PORT": str(taken)})
    with pytest.raises(
        SettingsError,
        match=rf"^environment variable SIPBRIDGE_SIP__PORT: sip.port: "
        rf"127.0.0.1:{taken}/udp or tcp is taken \(\d+ is free\)$",
    ):
        prepare(chosen, config)


def test_a_port_in_the_file_is_told_with_its_line(config, taken):
    chosen = settings(config, f"workers: 2\nconsole: {{port: {free_port()}}}\n")
    config.write_text(config.read_text().replace(f"port: {chosen.sip.port}", f"port: {taken}", 1))
    with pytest.raises(
        SettingsError, match=rf"settings.yaml:3:13: sip.port: .*{taken}/udp or tcp is taken, or one of"
    ):
        prepare(load(config, {}), config)


def test_a_configured_console_port_that_is_taken_is_refused_as_well(config):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        chosen = settings(config, f"console: {{port: {port}}}\n")
        with pytest.raises(
            SettingsError, match=rf"settings.yaml:4:17: console.port: 127.0.0.1:{port}/tcp is taken \("
        ):
            prepare(chosen, config)


def test_an_address_of_another_machine_is_told_with_its_line(config):
    settings(config)
    config.write_text(config.read_text().replace("sip: {", "sip: {bind: 192.168.254.253, "))
    with pytest.raises(
        SettingsError, match=r"settings.yaml:3:13: sip.bind: 192.168.254.253 is not an address of"
    ):
        prepare(load(config, {}), config)


def test_the_folder_of_the_store_is_made_and_a_store_that_cannot_be_opened_is_told(config, tmp_path):
    open_store(settings(config, f"store: sqlite:///{tmp_path}/deep/er/a.db\n"))
    assert (tmp_path / "deep" / "er" / "a.db").exists()
    (tmp_path / "b.db").mkdir()
    with pytest.raises(StoreError, match="cannot open the store"):
        open_store(settings(config, f"store: sqlite:///{tmp_path}/b.db\n"))
    with pytest.raises(BridgeError, match=r"cannot write .*null"):
        run(settings(config, "store: sqlite:////dev/null/x/a.db\n"), config)


def serve_until_ready(config, environ=None):
    """The `serve` process as people start it, up to its announcement."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "serve", "--config", str(config)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | (environ or {}),
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    for line in process.stdout:
        if "SIP on" in line and line.startswith("sipbridge:"):
            return process
    return pytest.fail(process.communicate()[1])


def test_what_the_bridge_writes_is_for_its_own_user_only(config, tmp_path):
    settings(
        config, "log: {format: json}\nproviders: {own: {kind: compatible, url: 'ws://127.0.0.1:9/v1/x'}}\n"
    )
    with serve_until_ready(config) as process:
        paths = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
        modes = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in paths}
        process.terminate()
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    assert {"state", "state/sipbridge.db", "state/run/plan.json", "state/link.sock"} <= set(modes)
    assert not {name: oct(mode) for name, mode in modes.items() if mode & 0o077}
    assert all(json.loads(line)["event"] for line in told.splitlines())


@pytest.mark.skipif(os.geteuid() != 0, reason="told to root only")
def test_root_is_warned(config, capsys, tmp_path):
    (tmp_path / "b.db").mkdir()
    with pytest.raises(StoreError):
        run(settings(config, f"store: sqlite:///{tmp_path}/b.db\n"), config)
    assert capsys.readouterr().out == (
        "sipbridge: warning: workers run as root: start the bridge as an unprivileged user, or name one for them "
        "(pool.user)\n"
    )


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody-like-that", r"pool\.user: there is no user nobody-like-that on this machine \(useradd "),
        ("root", r"pool\.user: root is whom it should not be"),
    ],
)
def test_a_user_for_workers_that_is_none_ends_serve_with_the_line(config, name, words):
    with pytest.raises(SettingsError, match=words):
        run(settings(config, f"pool: {{user: {name}}}\n"), config)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_state_folder_that_the_workers_user_cannot_reach_ends_serve(config):
    chosen = settings(config, "pool: {user: nobody}\n")
    chosen.state_dir.mkdir(parents=True)
    with pytest.raises(
        SettingsError, match=r"nobody cannot get at .*state/spool.* \(install the bridge, and put"
    ):
        let_in(chosen, workers_user(chosen))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_database_is_the_bridge_s_alone_when_workers_are_another_user(config, tmp_path, capsys):
    with pytest.raises(SettingsError, match="nobody cannot get at"):
        run(settings(config, f"pool: {{user: nobody}}\nlog: {{file: {tmp_path}/bridge.log}}\n"), config)
    assert stat.S_IMODE((tmp_path / "state" / "sipbridge.db").stat().st_mode) == 0o600
    assert "sipbridge: warning: log.file is root's" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_workers_the_zygote_and_the_engine_run_as_the_user_and_control_does_not(config):
    chosen = settings(config, "pool: {user: nobody}\n")
    user = workers_user(chosen)
    serve = prepare(chosen, config, user)
    assert {program.name: program.run_as for program in serve.programs} == {
        "sim": user,
        "control": None,
        "zygote": user,
        "worker-0": user,
    }
    assert serve.programs[0].environ["HOME"] == "/nonexistent"
