"""`sipbridge demo`: the main job on the embedded default, in front of everybody's eyes. No key, no network.

    bridge (sipbridge serve, own state folder, free port) ◄── SIP, RTP ── phone (sipbridge call)
        └── store, recording ──► sipbridge calls show ──► claims, one line each
    then three callers who want money back: demorefunds.py

Both are processes of their own; this one only starts them, waits and judges. Exit status 0 only when every claim holds.
The state folder stays, so that the call can be looked at afterwards. Bounded in time by the deadlines below.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import typer

import bridge
from bridge import settings
from bridge.cli import demorefunds
from bridge.cli.democlaims import Claim, Evidence, claims, listen
from bridge.errors import BridgeError
from bridge.records.cdr import CallRecord
from bridge.sim.phonefile import load
from bridge.store.callrows import StoredEvent
from bridge.store.store import Store

SCRIPT = Path(__file__).with_name("demo_call.yaml")
NUMBER = "100"
CALLER = "+4930123456"
START_S, CALL_S, RECORD_S, STOP_S = 60.0, 60.0, 15.0, 5.0
POLL_S = 0.1
FOREIGN = ("SIPBRIDGE_", "OPENAI_", "AZURE_OPENAI_")
"""Variables that would turn the demo into something else than the embedded default."""
_ADDRESS = re.compile(r"^sipbridge: SIP on ([0-9.]+):(\d+)/udp", re.MULTILINE)


def demo() -> None:
    """A whole call against the embedded default, start to end."""
    folder = Path(tempfile.mkdtemp(prefix="sipbridge-demo-"))
    ok = False
    try:
        ok = asyncio.run(_demo(folder))
    except* (BridgeError, TimeoutError) as group:
        why = "; ".join(str(problem) or "a deadline passed" for problem in group.exceptions)
        say(f"\nThe demo failed: {why}\nWhat the bridge said is in {folder}/serve.log")
    raise typer.Exit(0 if ok else 1)


def say(text: str) -> None:
    """One line for the person who watches, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def environment(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The embedded default with its state in `folder`, whatever the person has set for a bridge of their own."""
    kept = {name: value for name, value in environ.items() if not name.startswith(FOREIGN)}
    return kept | {"SIPBRIDGE_STATE_DIR": str(folder)}


async def _demo(folder: Path) -> bool:
    environ = environment(folder, os.environ)
    environ["SIPBRIDGE_TOOLS"] = str(demorefunds.own_tools(_home() / "tools", folder))
    say("Starting the bridge with the local engine …")
    async with embedded_bridge(folder, environ) as address:
        uri = f"sip:{NUMBER}@{address}"
        say(
            f"The bridge listens on {address}. A phone in another process dials {uri} and talks for half a minute …"
        )
        report = await _call(uri, folder, environ)
        record, events = (await _records(environ, 1))[0]
        status = await _show(record.call_id, environ)
        first = status == 0 and _judge(report, record, events)
        decided = await demorefunds.run(uri, environ, say)
        calls = await _records(environ, 1 + len(demorefunds.VERDICTS))
        said = {one.from_uri or "": found for one, found in calls if one.from_uri in demorefunds.VERDICTS}
        seen = await demorefunds.outcome(decided, said, environ, folder)
    say("")
    second = _told(demorefunds.claims(seen))
    say(f"\nLook again: SIPBRIDGE_STATE_DIR={folder} {_command()} calls list   (or: approvals list --all)")
    return first and second


@asynccontextmanager
async def embedded_bridge(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[str]:
    """The bridge, up; its SIP address. Stopped at the end, by force if it has to be."""
    output = folder / "serve.log"
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "serve"), cwd=_home(), env=environ, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(START_S):
            address = await _address(process, output)
        yield address
    finally:
        await _stop(process)


async def _address(process: asyncio.subprocess.Process, output: Path) -> str:
    """Where it listens, as soon as it says so."""
    while True:
        if found := said_address(output):
            return found
        if process.returncode is not None:
            raise BridgeError(f"the bridge did not start (status {process.returncode})")
        await asyncio.sleep(POLL_S)


def said_address(output: Path) -> str | None:
    """The SIP address in what the bridge said so far, once all of it is up."""
    found = _ADDRESS.search(output.read_text(encoding="utf-8", errors="replace"))
    return f"{found[1]}:{found[2]}" if found else None


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _call(uri: str, folder: Path, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Place the call; the phone's report."""
    recording = str(folder / "phone.wav")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "call", uri, "--script", str(SCRIPT)),
        *("--from", CALLER, "--record", recording, "--json", "--max-seconds", str(CALL_S - 5)),
        env=environ, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(CALL_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    try:
        report: Mapping[str, Any] = json.loads(output)
    except ValueError:
        raise BridgeError(f"the phone could not call (status {process.returncode})") from None
    if not report["answered"]:
        raise BridgeError(f"the call was not answered: {report['status']} {report['reason']}")
    return report


async def _records(environ: Mapping[str, str], count: int) -> list[tuple[CallRecord, list[StoredEvent]]]:
    """The records of so many calls with their events, newest first, as soon as all are complete."""
    url = settings.load(None, environ).store
    async with asyncio.timeout(RECORD_S), Store(str(url), migrate=False) as store:
        while True:
            newest = await store.recent(count)
            if len(newest) == count and all(one.state == "ended" for one in newest):
                return [(one, await store.events(one.call_id)) for one in newest]
            await asyncio.sleep(POLL_S)


async def _show(call_id: str, environ: Mapping[str, str]) -> int:
    say("")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "calls", "show", call_id, env=environ
    )
    return await process.wait()


def _judge(report: Mapping[str, Any], record: CallRecord, events: list[StoredEvent]) -> bool:
    steps = load(SCRIPT).steps
    spoken = [step.say for step in steps if step.say]
    keys = "".join(step.dtmf for step in steps if step.dtmf)
    audio = listen(Path(record.recording_path or ""))
    say("")
    holds = _told(claims(Evidence(spoken, keys, record, events, audio, report)))
    say(f"\nRecordings: {record.recording_path} (bridge), {report['recording']} (phone)")
    return holds


def _told(found: Iterable[Claim]) -> bool:
    holds = True
    for claim in found:
        say(f"{'✓' if claim.holds else '✗'} {claim.text}: {claim.seen}")
        holds = holds and claim.holds
    return holds


def _home() -> Path:
    """Where dialplans/ and tools/ are: the checkout."""
    return Path(bridge.__file__).parents[1]


def _command() -> str:
    return os.path.relpath(Path(sys.executable).with_name("sipbridge"))
