"""The second part of the demo: three callers want money back; one gets it, one is denied, one is not decided about.

    3 phones ─► bridge ─► read-back ─► gate ◄── sipbridge approvals list · approve · deny (this process, as you)
                                         └─► refunds table, audit chain ─► claims

The tools and the policy are the delivered ones, but for the time to decide: twenty seconds instead of ninety.
"""

import asyncio
import json
import os
import pwd
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.cli.democlaims import Claim, transcripts
from bridge.errors import BridgeError
from bridge.records.cdr import CallEvent

SCRIPT = Path(__file__).with_name("demo_refund.yaml")
DECIDE_S = 20
VERDICTS = {"+4930111": "approve", "+4930222": "deny", "+4930333": ""}
"""What becomes of each caller's request, by their number; "": nobody decides."""
WAIT_S = 30.0
LOOK_S = 0.2
READ_BACK = "You want a refund of 40 dollars. Is that right?"
HEARD = {
    "approve": "Done. I have refunded forty dollars",
    "deny": "was not approved",
    "": "could not be approved in time",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen: transcripts and states by caller, what the commands printed, and the refunds that were made."""

    said: Mapping[str, Sequence[str]]
    states: Mapping[str, str]
    decided: Mapping[str, str]
    refunds: Sequence[tuple[str, float]]
    audit: str
    audit_status: int


def own_tools(source: Path, folder: Path) -> Path:
    """The delivered tools, with little time to decide."""
    tools = folder / "demo-tools"
    shutil.copytree(source, tools, ignore=shutil.ignore_patterns("__pycache__"))
    policy = (tools / "policy.yaml").read_text(encoding="utf-8")
    changed = re.sub(r"decide_s: 90\b", f"decide_s: {DECIDE_S}", policy)
    (tools / "policy.yaml").write_text(changed, encoding="utf-8")
    return tools


async def run(uri: str, environ: Mapping[str, str], say: Callable[[str], None]) -> Mapping[str, str]:
    """Let the three call, and decide. Answers what became of each decision. Raises BridgeError, TimeoutError."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    await _shown(environ, say, "users", "add", me, "--role", "approver", "--group", "supervisors")
    say("\nThree callers want a refund of forty dollars, and say yes when it is read back to them …")
    async with asyncio.TaskGroup() as tasks:
        for caller in VERDICTS:
            tasks.create_task(_phone(uri, caller, environ))
        decided = tasks.create_task(_decide(environ, say))
    return decided.result()


async def _decide(environ: Mapping[str, str], say: Callable[[str], None]) -> Mapping[str, str]:
    waiting: dict[str, str] = {}
    async with asyncio.timeout(WAIT_S):
        while {*VERDICTS} - {*waiting}:
            await asyncio.sleep(LOOK_S)
            _, output = await command(environ, "approvals", "list", "--json")
            rows = json.loads(output or "[]")
            waiting = {row["caller"]: row["request_id"] for row in rows if row["state"] == "pending"}
    await _shown(environ, say, "approvals", "list")
    decided = {}
    for caller, verdict in VERDICTS.items():
        if verdict:
            words = ("approvals", verdict, waiting[caller], "--reason", "seen in the demo")
            decided[caller] = (await _shown(environ, say, *words)).strip()
    say(f"… nobody decides about the third, which expires after {DECIDE_S} seconds.")
    return decided


async def outcome(
    decided: Mapping[str, str],
    events: Mapping[str, Sequence[CallEvent]],
    environ: Mapping[str, str],
    folder: Path,
) -> Outcome:
    """What is left when the calls are over. `events`: of each caller's call."""
    _, output = await command(environ, "approvals", "list", "--all", "--json")
    status, audit = await command(environ, "audit", "verify")
    with closing(sqlite3.connect(folder / "tools" / "shop.db")) as shop:
        refunds = [(row[0], row[1]) for row in shop.execute("SELECT caller, amount FROM refunds")]
    return Outcome(
        said={caller: transcripts(found, "agent") for caller, found in events.items()},
        states={row["caller"]: row["state"] for row in json.loads(output)},
        decided=decided,
        refunds=refunds,
        audit=audit.strip(),
        audit_status=status,
    )


def claims(seen: Outcome) -> Iterator[Claim]:
    """Every claim about the three."""
    read_back = [caller for caller, lines in seen.said.items() if any(READ_BACK in line for line in lines)]
    yield Claim(
        "each request was read back to its caller before anybody was asked",
        len(read_back) == len(VERDICTS),
        f"“{READ_BACK}” to {len(read_back)} of {len(VERDICTS)}",
    )
    taken = [answer for answer in seen.decided.values() if answer.startswith("taken")]
    yield Claim(
        "the decisions were taken from the command line",
        len(taken) == sum(1 for verdict in VERDICTS.values() if verdict),
        "; ".join(seen.decided.values()),
    )
    names = {
        "approve": "the approved caller",
        "deny": "the denied caller",
        "": "the caller nobody decided about",
    }
    wanted = {"approve": "succeeded", "deny": "denied", "": "expired"}
    for caller, verdict in VERDICTS.items():
        last = [line for line in seen.said.get(caller, ()) if HEARD[verdict] in line]
        others = [words for other, words in HEARD.items() if other != verdict]
        wrong = [line for line in seen.said.get(caller, ()) if any(words in line for words in others)]
        yield Claim(
            f"{names[verdict]} heard what became of it",
            len(last) == 1 and not wrong and seen.states.get(caller) == wanted[verdict],
            f"{seen.states.get(caller)}: “{(last or ['nothing'])[0]}”",
        )
    approved = next(caller for caller, verdict in VERDICTS.items() if verdict == "approve")
    yield Claim(
        "the money went out once, to that caller only",
        list(seen.refunds) == [(approved, 40.0)],
        f"{len(seen.refunds)} row in the refunds table: {seen.refunds}",
    )
    yield Claim("the audit chain is whole and signed", seen.audit_status == 0, seen.audit)


async def command(environ: Mapping[str, str], *words: str) -> tuple[int, str]:
    """Run `sipbridge WORDS`; its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *words), env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def _shown(environ: Mapping[str, str], say: Callable[[str], None], *words: str) -> str:
    status, output = await command(environ, *words)
    say(f"\n$ sipbridge {' '.join(words)}\n{output.rstrip()}")
    if status:
        raise BridgeError(f"sipbridge {' '.join(words[:2])} ended with {status}")
    return output


async def _phone(uri: str, caller: str, environ: Mapping[str, str]) -> Any:
    words = ("call", uri, "--script", str(SCRIPT), "--from", caller, "--json")
    status, output = await command(environ, *words)
    if status:
        raise BridgeError(f"the phone of {caller} ended with {status}: {output[:200]}")
    return json.loads(output)
