"""The root of the command line, as a process: what goes wrong is one sentence."""

import subprocess
import sys

import pytest


def sipbridge(*words, folder):
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=folder,
    )


def test_what_the_system_refuses_is_a_sentence_and_no_traceback(tmp_path):
    (tmp_path / "s.yaml").write_text("store: sqlite:////dev/null/x.db\nstate_dir: /dev/null/state\n")
    (tmp_path / "dialplans").mkdir()
    (tmp_path / "dialplans" / "a.yaml").write_text("version: 1\nroutes: [{name: a, do: [{hang_up: {}}]}]\n")
    done = sipbridge("serve", "--config", "s.yaml", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["cannot write /dev/null/state/supervisor.pid: Not a directory"]


def test_an_error_of_the_system_in_a_command_is_one_sentence(tmp_path, capfd):
    code = (
        "import sys, bridge.cli.main as m; from pathlib import Path; sys.argv = ['sipbridge', 'serve'];"
        "m.app = lambda: Path('/dev/null/x').read_text(); sys.exit(m.run())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (1, "/dev/null/x: Not a directory\n")


@pytest.mark.parametrize("group", [(), ("calls",), ("dialplan",)])
def test_help_offers_no_shell_completion(tmp_path, group):
    done = sipbridge(*group, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert "--install-completion" not in done.stdout
