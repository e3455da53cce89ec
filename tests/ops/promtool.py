"""Prometheus' own tool: it reads rules and configurations as Prometheus would, and runs rules over series."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = ROOT / "ops" / "prometheus"


def promtool(*words, stdin=None):
    """(exit status, output)."""
    run = subprocess.run(
        ["promtool", *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    return run.returncode, run.stdout + run.stderr


def test_rules(folder, groups):
    """Run promtool's unit tests (a list of test groups) over the shipped rules; its output, "" when all passed."""
    files = [str(RULES / name) for name in ("rules.yml", "alerts.yml")]
    body = {"rule_files": files, "evaluation_interval": "1m", "tests": groups}
    path = folder / "tests.json"  # JSON is YAML
    path.write_text(json.dumps(body))
    status, output = promtool("test", "rules", path)
    return "" if status == 0 else output


test_rules.__test__ = False
