"""`make demo` as a person runs it: real processes, real SIP, real speech; and the phone's exit statuses beside it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.demo import embedded_bridge, environment

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.system


def run(*words, environ, deadline_s):
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=deadline_s, check=False,
    )  # fmt: skip


def test_a_spoken_call_is_understood_interrupted_recorded_and_priced(tmp_path):
    result = run("demo", environ={**os.environ, "TMPDIR": str(tmp_path.parent)}, deadline_s=170)

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("✓") == 17
    assert "✗" not in result.stdout
    assert "who spoke when" in result.stdout


async def test_the_phone_tells_how_a_call_went(tmp_path):
    """The line test of dialplans/default.yaml says a sentence and hangs up."""
    environ = environment(tmp_path, os.environ)
    async with embedded_bridge(tmp_path, environ) as address:
        line_test = run("call", f"199@{address}", "--until-hang-up", "--json", environ=environ, deadline_s=20)
        cut_off = run(
            "call", f"199@{address}", "--until-hang-up", "--say", "too late", environ=environ, deadline_s=20
        )
        slow = run(
            "call", f"100@{address}", "--fail-if-silent-ms", "1", "--json", environ=environ, deadline_s=20
        )
    nobody = run("call", f"100@{address}", "--ring-seconds", "1", "--json", environ=environ, deadline_s=20)

    report = json.loads(line_test.stdout)
    assert line_test.returncode == 0, line_test.stderr
    assert (report["ended_by"], report["script"], report["times"]["turns"]) == ("peer", "done", [])
    assert 1000 < report["times"]["agent_speech_ms"] < 5000
    assert report["rtp"]["rx_lost"] == 0
    assert cut_off.returncode == 4
    assert "the other side hung up" in cut_off.stdout
    assert slow.returncode == 5
    assert json.loads(slow.stdout)["times"]["greeting_ms"] < 500
    assert nobody.returncode == 3
    assert json.loads(nobody.stdout)["answered"] is False
