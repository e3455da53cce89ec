"""`dialplan simulate` from the command line: a bridge, a phone, and the clock of another day."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAN = """version: 1
hours: {office: {timezone: Europe/Berlin, week: {mon: ["09:00-18:00"]}}}
agents: {desk: {instructions: x, greeting: Hello., provider: local}}
routes:
- {name: night, when: {outside: office}, do: [{say: Closed.}, {hang_up: {}}]}
- {name: day, do: [{agent: desk}]}
"""
pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("at", "route", "heard"),
    [("2026-11-23T10:00", "day", "Hello."), ("2026-11-23T20:00", "night", "Closed.")],
)
def test_a_plan_is_played_as_if_it_were_another_time(tmp_path, at, route, heard):
    (tmp_path / "p.yaml").write_text(PLAN)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "bridge",
            "dialplan",
            "simulate",
            str(tmp_path / "p.yaml"),
            "--to",
            "100",
            "--at",
            at,
        ],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path.parent)},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(rf"^route +{route} ", run.stdout, re.MULTILINE)
    assert f"“{heard}”" in run.stdout
    recording = re.search(r"^Recording: (\S+)", run.stdout, re.MULTILINE)
    assert Path(recording[1]).stat().st_size > 8000
