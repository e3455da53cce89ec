#!/usr/bin/env bash
# Installs what the project needs on Debian 12: system packages (root only) and .venv from the lock file.
# Safe to run again. Without root it says what is missing and goes on with what it can do.
set -euo pipefail
cd "$(dirname "$0")/.."

# package -> the file that proves it is there
declare -A needs=(
    [gcc]=/usr/bin/gcc
    [sip-tester]=/usr/bin/sipp
    [baresip-core]=/usr/bin/baresip
    [kamailio]=/usr/sbin/kamailio
    [kamailio-tls-modules]=/usr/share/doc/kamailio-tls-modules
    [kamailio-websocket-modules]=/usr/share/doc/kamailio-websocket-modules
    [rtpengine-daemon]=/usr/bin/rtpengine
    [prometheus]=/usr/bin/promtool
    [sipvicious]=/usr/bin/svmap
    [chromium]=/usr/bin/chromium
    [postgresql-15]=/usr/lib/postgresql/15/bin/postgres
)
python=${PYTHON:-python3}
missing=()
for package in "${!needs[@]}"; do
    [ -e "${needs[$package]}" ] || missing+=("$package")
done
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
"$python" - <<'PY' 2>/dev/null || missing+=(python3-dev)
import pathlib, sysconfig
raise SystemExit(not pathlib.Path(sysconfig.get_paths()["include"], "Python.h").exists())
PY
if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing ${missing[*]}"
        apt-get update -q >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "setup: missing Debian packages: ${missing[*]}" >&2
        echo "setup: not root, so run: sudo apt-get install ${missing[*]}" >&2
    fi
fi

"$python" - <<'PY' || { echo "setup: Python 3.11 or 3.12 is needed (set PYTHON=/path/to/python3.11)" >&2; exit 1; }
import sys
raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PY
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.lock 2> >(grep -v 'is neither a file' >&2)
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . 2> >(grep -v 'is neither a file' >&2)
