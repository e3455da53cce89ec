"""A real bridge and a caller who wants forty dollars back, with nothing in between: no greeting, no read-back.

The approval waits some five seconds after the phone has dialled. Tools and dialplan lie in the bridge's own folder.
"""

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path

from bridge.cli.demo import environment

ROOT = Path(__file__).parents[2]
CALLER = "+49301111"
SCRIPT = """
version: 1
voice: en-us
wpm: 160
steps:
  - wait_ms: 500
  - say: I want a refund of forty dollars.
  - wait_ms: 60000
"""
PLAN = """
version: 1
agents:
  front: {instructions: Be brief., tools: [refund], transcription: {model: gpt-transcribe, language: en}}
routes:
  - name: all
    do: [{agent: front, or_else: [{hang_up: {}}]}]
"""


def _unconfirmed(folder):
    """The delivered tools, whose refunds are asked about at once."""
    tools = folder / "tools"
    shutil.copytree(ROOT / "tools", tools, ignore=shutil.ignore_patterns("__pycache__"))
    lines = (tools / "policy.yaml").read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if "You want a refund" in line)
    (tools / "policy.yaml").write_text("\n".join(lines[: at - 1] + lines[at + 1 :]))
    return tools


def bridge_environ(folder, **more):
    """For embedded_bridge; `more`: variables of its own."""
    (folder / "plan.yaml").write_text(PLAN)
    own = {"SIPBRIDGE_TOOLS": str(_unconfirmed(folder)), "SIPBRIDGE_DIALPLANS": str(folder / "plan.yaml")}
    return environment(folder, os.environ) | own | more


@contextlib.asynccontextmanager
async def caller(environ, folder, address):
    """Listens on when the wish is said, until the bridge hangs up; what is left of it at the end is killed."""
    script = folder / "call.yaml"
    script.write_text(SCRIPT)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "call", f"sip:100@{address}", "--script", str(script)),
        *("--from", CALLER), cwd=ROOT, env=environ, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
