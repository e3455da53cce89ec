"""`sipbridge dialplan simulate`: play a plan for real, with the local engine and a phone, before it is live.

    plan ──rehearsal──► plan.json ──► private bridge (own state folder, free ports) ◄── SIP, RTP ── phone

Nothing leaves this machine: agents talk with the local engine, targets are nowhere, and no tools are offered unless
they are asked for. The folder with the recordings stays. Exit status 0: the call was placed, whatever its end.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.call import ORDER, in_order, polite
from bridge.cli.demo import embedded_bridge, environment, say
from bridge.cli.planread import Config, Headers, PlanPath, clean, header_lines, plan_at, settings_of
from bridge.dialplan.cases import instant
from bridge.dialplan.plan import Plan
from bridge.dialplan.rehearse import rehearsal
from bridge.errors import BridgeError
from bridge.settings import Settings, load
from bridge.store.store import Store

CALLER = "+4930123456"
LAST_WORDS_MS = 2000
"""After the last step: time for the plan to end the call itself."""
FIRST_SIP_PORT, FIRST_CONSOLE_PORT, PORTS = 40_000, 45_000, 5000
"""Each simulation looks for free ports from some of its own on, so that two which start together do not collide."""
RECORD_S, CALL_MARGIN_S, POLL_S = 15.0, 20.0, 0.1

To = Annotated[str, typer.Option("--to", help="Called number.")]
From = Annotated[str, typer.Option("--from", help="Caller: number or SIP URI.")]
At = Annotated[str, typer.Option("--at", help="As if it were then: 2026-12-24T20:00 (opening hours).")]
Trunk = Annotated[str, typer.Option("--trunk", help="As if it came over this trunk.")]
Keys = Annotated[
    list[str] | None, typer.Option("--keys", help="Press keys, one after each prompt: 1,2.", metavar="KEYS")
]
Say = Annotated[
    list[str] | None, typer.Option("--say", help="Say this after the prompt; repeatable.", metavar="TEXT")
]
Tools = Annotated[bool, typer.Option("--tools", help="Offer the settings' tools: they run for real.")]
Scenario = Annotated[Path | None, typer.Option("--scenario", help="What the local engine understands.")]
MaxSeconds = Annotated[int, typer.Option("--max-seconds", min=5, max=600, help="Longest call.")]


def simulate(  # noqa: PLR0913  # one parameter is one option of the command line
    ctx: typer.Context,
    path: PlanPath = None,
    *,
    to: To,
    from_: From = CALLER,
    at: At = "",
    trunk: Trunk = "",
    header: Headers = None,
    keys: Keys = None,
    words: Say = None,
    tools: Tools = False,
    scenario: Scenario = None,
    max_seconds: MaxSeconds = 60,
    config: Config = None,
) -> None:
    """Play a dialplan with the local engine and a phone: hear it before callers do."""
    loaded = settings_of(config)
    plan = plan_at(path or loaded.dialplans, loaded).plan
    when = _when(plan, at)
    given = {"keys": iter(keys or ()), "words": iter(words or ())}
    steps = [step for one in in_order(ctx.meta[ORDER], given, KEYS) for step in _split(one)]
    folder = Path(tempfile.mkdtemp(prefix="sipbridge-simulate-"))
    environ = _environ(folder, loaded, tools=tools, scenario=scenario)
    (folder / "plan.json").write_text(rehearsal(plan, when, trunk).to_json(), encoding="utf-8")
    (folder / "phone.json").write_text(json.dumps(script(steps)), encoding="utf-8")
    call = [f"--max-seconds={max_seconds}", f"--from={from_}"]
    call += [f"--header={name}: {value}" for name, value in header_lines(header).items()]
    try:
        asyncio.run(_simulate(folder, environ, to, call, max_seconds + CALL_MARGIN_S))
    except* (BridgeError, TimeoutError) as group:
        why = "; ".join(str(problem) or "a deadline passed" for problem in group.exceptions)
        say(f"\nThe simulation failed: {why}\nWhat the bridge said is in {folder}/serve.log")
        raise typer.Exit(1) from None


KEYS = {"keys": ("dtmf", False), "words": ("say", False)}
"""Option -> key of the phone's script."""


def script(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The phone's script: each step after the prompt before it, and a moment at the end."""
    return {"version": 1, "steps": [*polite(steps), {"wait_ms": LAST_WORDS_MS}]}


def _split(step: dict[str, Any]) -> list[dict[str, Any]]:
    """`1,2` is two steps: each waits for its own prompt."""
    return [{"dtmf": part.strip()} for part in step["dtmf"].split(",")] if "dtmf" in step else [step]


def _when(plan: Plan, at: str) -> datetime | None:
    try:
        return instant(plan, at) if at else None
    except ValueError:
        raise typer.BadParameter(f"{at} is no time: write it as 2026-12-24T20:00") from None


def _environ(folder: Path, loaded: Settings, *, tools: bool, scenario: Path | None) -> dict[str, str]:
    empty = folder / "no-tools"
    empty.mkdir()
    environ = environment(folder, os.environ)
    environ["SIPBRIDGE_DIALPLANS"] = str(folder / "plan.json")
    environ["SIPBRIDGE_SIP__PORT"] = str(FIRST_SIP_PORT + os.getpid() % PORTS)
    environ["SIPBRIDGE_CONSOLE__PORT"] = str(FIRST_CONSOLE_PORT + os.getpid() % PORTS)
    environ["SIPBRIDGE_TOOLS"] = str(loaded.tools if tools else empty)
    if scenario:
        environ["SIPBRIDGE_PROVIDERS__LOCAL__SCENARIO"] = str(scenario.absolute())
    return environ


async def _simulate(
    folder: Path, environ: Mapping[str, str], to: str, call: list[str], limit_s: float
) -> None:
    say("Starting a private bridge with the local engine …")
    async with embedded_bridge(folder, environ) as address:
        say(f"Calling {clean(to)} …")
        report = await _place(f"sip:{to}@{address}", folder, environ, call, limit_s)
        recorded = await _ended(environ)
        if recorded:
            await _show(environ)
    if not report["answered"]:
        say(f"\nThe caller was not answered: {report['status']} {clean(str(report['reason']))}")
    else:
        end = f"{report['status']} {clean(str(report['reason']))}"
        say(f"\nThe call ended after {report['duration_s']:.1f} s by the {report['ended_by']}: {end}")
    if report["recording"]:
        say(f"Recording: {report['recording']} (left: the caller, right: what he heard)")
    say(
        f"Look again: SIPBRIDGE_STATE_DIR={folder} {Path(sys.executable).with_name('sipbridge')} calls show last"
    )


async def _place(
    uri: str, folder: Path, environ: Mapping[str, str], options: list[str], limit_s: float
) -> Mapping[str, Any]:
    """Place the call by a phone of its own process; its report."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "call", uri, "--script", str(folder / "phone.json"), "--json"),
        *("--record", str(folder / "phone.wav"), *options),
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(limit_s):
            output, wrong = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    try:
        report: Mapping[str, Any] = json.loads(output)
    except ValueError:
        raise BridgeError(f"the phone could not call: {wrong.decode(errors='replace').strip()}") from None
    return report


async def _ended(environ: Mapping[str, str]) -> bool:
    """Whether there is a record of the call, complete; a call that no route took has none."""
    url = str(load(None, environ).store)
    async with Store(url, migrate=False) as store:
        for _ in range(round(RECORD_S / POLL_S)):
            newest = await store.recent(1)
            if newest and newest[0].state == "ended":
                return True
            await asyncio.sleep(POLL_S)
    return False


async def _show(environ: Mapping[str, str]) -> None:
    say("")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "calls", "show", "last", env=environ
    )
    await process.wait()
