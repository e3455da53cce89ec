"""The units of ops/systemd, looked at by systemd's own tools. No systemd runs here: nothing is started by these tests.

A bridge that really runs under the same restrictions: tests/system/test_hardened.py.
"""

import re
import subprocess
from pathlib import Path

import pytest

from bridge.serve import DRAIN_MARGIN_S
from bridge.settings import load

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "ops" / "systemd"
SERVICES = ("sipbridge.service", "sipbridge-edge.service", "sipbridge-backup.service")
WORST = 2.0
"""Of `systemd-analyze security`: 0 is closed, 10 is open; 9.6 is what a unit without a word gets."""


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """Copies that name programs which are here: systemd refuses an ExecStart that is not."""
    folder = tmp_path_factory.mktemp("units")
    for path in UNITS.glob("sipbridge*.*"):
        if path.suffix in {".service", ".timer"}:
            text = (
                path.read_text()
                .replace("/opt/sipbridge/.venv", str(ROOT / ".venv"))
                .replace("/opt/sipbridge", str(ROOT))
            )
            (folder / path.name).write_text(text)
    return folder


@pytest.mark.parametrize("name", [*SERVICES, "sipbridge-backup.timer"])
def test_systemd_finds_nothing_wrong_with_a_unit(units, name):
    checked = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(units / name))
    assert (checked.returncode, checked.stderr.strip()) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_exposes_little(units, name):
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(units / name))
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)[1])
    assert exposure <= WORST, judged.stdout


def options(name):
    lines = (UNITS / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_a_stop_gives_calls_their_time():
    unit = options("sipbridge.service")
    drain_s = load(None, {}).deadlines.drain_s
    assert int(unit["TimeoutStopSec"]) >= drain_s + DRAIN_MARGIN_S + 3 + 20
    assert (unit["KillMode"], unit["Type"], unit["WatchdogSec"]) == ("mixed", "notify", "30")


@pytest.mark.parametrize("name", ["sipbridge.service", "sipbridge-edge.service"])
def test_a_telephone_system_is_never_given_up(name):
    unit = options(name)
    assert (unit["Restart"], unit["StartLimitIntervalSec"], unit["RestartSec"]) == ("always", "0", "5")


def test_the_account_and_the_folders_can_be_made(tmp_path):
    for folder in ("etc", "var/backups"):
        (tmp_path / folder).mkdir(parents=True)
    made = run("systemd-sysusers", f"--root={tmp_path}", str(UNITS / "sipbridge-sysusers.conf"))
    assert made.returncode == 0, made.stderr
    assert "sipbridge:" in (tmp_path / "etc" / "passwd").read_text()
    listed = run("systemd-tmpfiles", f"--root={tmp_path}", "--create", str(UNITS / "sipbridge-tmpfiles.conf"))
    assert listed.returncode == 0, listed.stderr
    assert (tmp_path / "etc/sipbridge/secrets").stat().st_mode & 0o777 == 0o700


def test_reserved_ports_are_those_of_the_defaults():
    text = (UNITS / "sipbridge-sysctl.conf").read_text()
    settings = load(None, {})
    ports = f"{settings.sip.rtp_ports},{settings.edge.workers_rtp_ports}"
    assert f"ip_local_reserved_ports = {ports}\n" in text


def test_an_edge_host_s_unit_differs_only_in_what_is_its_own():
    ours, edge = options("sipbridge.service"), options("sipbridge-edge.service")
    different = {name for name in ours if ours[name] != edge.get(name)}
    assert different == {
        "Description",
        "After",
        "ExecStart",
        "Environment",
        "StateDirectory",
        "LogsDirectory",
    }
