#!/usr/bin/env bash
# Writes requirements.lock: every dependency, direct or not, run-time and development, at one version.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check --upgrade pip setuptools
"$work/venv/bin/python" - <<'PY' >"$work/wanted.txt"
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))
print("\n".join([*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *project["build-system"]["requires"]]))
PY
"$work/venv/bin/pip" install -q --disable-pip-version-check -r "$work/wanted.txt"
{
    echo "# Written by ops/lock.sh (make lock). Do not edit."
    "$work/venv/bin/pip" freeze --all | grep -viE '^(pip)=='
} >requirements.lock
