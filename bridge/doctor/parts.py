"""Judgement about the parts of an installation: settings, dialplan, processes, store, versions, providers, MCP. Pure.

The facts are gathered by gather_parts.py. Known flaws (CVEs) are a dated table, flaws.toml.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bridge.doctor.finding import Finding, Level
from bridge.errors import Problem


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """`revision`: of the database, None without tables; `head`: this program's newest; `known`: all it knows."""

    url: str
    error: str = ""
    revision: str | None = None
    head: str = ""
    known: tuple[str, ...] = ()
    works_from: str | None = None
    latency_ms: float = 0.0
    size_bytes: int | None = None
    open_calls: int = 0


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """`pid`: the supervisor's, None when nothing runs. `health`: the body of /healthz; `error`: why there is none."""

    pid: int | None = None
    status: int = 0
    health: Mapping[str, Any] | None = None
    error: str = ""
    workers: int = 0


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node that shares the store. `state`: live, draining, lost or left; `problems`: what it says of itself."""

    name: str
    state: str
    age_s: float
    version: str
    plan: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """How far we came with a Realtime endpoint: `stage`: where it ended, or done; `auth`: of a free request."""

    name: str
    where: str
    stage: Literal["embedded", "dns", "connect", "tls", "done", "skipped"] = "done"
    error: str = ""
    auth: int | None = None
    certificate_days: float | None = None
    connect_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class McpFacts:
    """An MCP server. `accepted`: definitions an admin has accepted; `allowed`: tools the settings name, 0 for all."""

    name: str
    where: str
    error: str = ""
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class Flaw:
    """A known flaw. `fixed`: first version without it; "" for none yet. `reach`: who could use it here.

    `off`: the product never uses that part. `edge`: closed by the edge, and by a loopback bind. `open`: always there.
    """

    component: str
    flaw_id: str
    fixed: str
    what: str
    reach: Literal["off", "edge", "open"]
    why: str


def settings(
    problems: Sequence[Problem], secrets: Sequence[Problem], too_open: Sequence[str], source: str
) -> Iterator[Finding]:
    """Mistakes of the file, secrets that are nowhere, and files that everybody can read."""
    for problem in problems:
        yield Finding("settings", Level.FAIL, str(problem), "ops/settings.md lists every key")
    for problem in secrets:
        yield Finding("settings", Level.FAIL, f"{problem.key}: {problem.message}", problem.hint)
    for sentence in too_open:
        text, _, do = sentence.partition(": ")
        yield Finding("settings", Level.WARN, text, do)
    if not problems and not secrets:
        yield Finding("settings", Level.OK, f"{source}: read, and every secret that it names is there")


def dialplan(
    problems: Sequence[Problem], warnings: Sequence[Problem], routes: int, *, rolled_back: bool
) -> Iterator[Finding]:
    """What `sipbridge dialplan check` says, in short."""
    for problem in problems[:5]:
        yield Finding("dialplan", Level.FAIL, str(problem), "sipbridge dialplan check shows all")
    for problem in warnings[:5]:
        yield Finding("dialplan", Level.WARN, str(problem), "sipbridge dialplan check shows all")
    if rolled_back:
        words = "somebody rolled back: the plan in force is an earlier one, not what the files say"
        yield Finding(
            "dialplan", Level.NOTE, words, "sipbridge dialplan status; sipbridge dialplan reload ends it"
        )
    if not problems:
        yield Finding("dialplan", Level.OK, f"{routes} routes")


def processes(facts: ProcessFacts) -> Iterator[Finding]:
    """What runs, and what it says of itself."""
    if facts.pid is None:
        yield Finding("processes", Level.NOTE, "the bridge is not running; checks that need it are left out")
        return
    if facts.health is None:
        do = "see its log; systemctl restart sipbridge if it does not come back"
        yield Finding(
            "processes",
            Level.FAIL,
            f"the bridge runs (process {facts.pid}), control does not answer: {facts.error}",
            do,
        )
        return
    for problem in facts.health.get("problems", ()):
        yield Finding("processes", Level.FAIL, str(problem), "see the bridge's log")
    for note in facts.health.get("notes", ()):
        yield Finding("processes", Level.NOTE, str(note))
    workers = facts.health.get("workers")
    for index, status in workers.items() if isinstance(workers, dict) else ():
        yield from _worker(str(index), status if isinstance(status, dict) else {})
    if not facts.health.get("problems"):
        connected = len(workers) if isinstance(workers, dict) else 0
        words = (
            f"process {facts.pid}: {connected} of {facts.workers} workers, plan {facts.health.get('plan')}"
        )
        yield Finding("processes", Level.OK, words)


def _worker(index: str, status: Mapping[str, Any]) -> Iterator[Finding]:
    link = status.get("link")
    backlog = link.get("backlog_bytes", 0) if isinstance(link, dict) else 0
    if isinstance(backlog, int | float) and backlog > 1_000_000:
        words = f"worker {index} has {backlog / 1e6:.1f} MB of events that the store has not taken"
        yield Finding("processes", Level.WARN, words, "see the store, and control's log for store.refuses")
    restarts = status.get("clock_restarts", 0)
    if isinstance(restarts, int | float) and restarts > 0:
        words = f"worker {index}: the media clock stood still {restarts:g} times; callers heard gaps"
        yield Finding("processes", Level.WARN, words, "too little CPU, or a quota on it")


def nodes(all_facts: Sequence[NodeFacts]) -> Iterator[Finding]:
    """Whether all nodes live and agree."""
    here = [one for one in all_facts if one.state in {"live", "draining"}]
    for one in all_facts:
        if one.state == "lost":
            words = f"{one.name} has not been seen for {one.age_s:.0f} s: its calls are ended in the record"
            yield Finding("nodes", Level.FAIL, words, f"start it, or sipbridge nodes forget {one.name}")
        if one.state == "draining":
            do = f"sipbridge nodes undrain {one.name} when it may take calls again"
            yield Finding("nodes", Level.NOTE, f"{one.name} drains: it gets no new calls", do)
        for problem in one.problems if one in here else ():
            yield Finding("nodes", Level.WARN, f"{one.name}: {problem}", "sipbridge doctor on that node")
    for what, values in (("plan", {one.plan for one in here}), ("version", {one.version for one in here})):
        if len(values) > 1:
            words = f"the nodes differ in their {what}: {', '.join(sorted(values))}"
            do = "sipbridge dialplan reload on each" if what == "plan" else "go on with the rolling upgrade"
            yield Finding("nodes", Level.WARN, words, do)
    if here:
        yield Finding("nodes", Level.OK, f"{len(here)} of {len(all_facts)} nodes are here")


def sign_in(provider: str, error: str, *, local: bool, asked: bool) -> Iterator[Finding]:
    """Whether the provider that signs people in answers. `provider`: its issuer; "": there is none."""
    if not provider:
        yield Finding("sign-in", Level.OK, "by passwords of the bridge")
    elif error:
        do = "see console.oidc, and the provider" + (
            "" if local else "; until then nobody can sign in: ops/sign-in.md"
        )
        yield Finding("sign-in", Level.WARN if local else Level.FAIL, f"{provider}: {error}", do)
    elif asked:
        yield Finding("sign-in", Level.OK, f"{provider} answers as console.oidc says")
    else:
        yield Finding("sign-in", Level.NOTE, f"{provider} was not asked")


def store(facts: StoreFacts, *, running: bool) -> Iterator[Finding]:
    """Reachable, of the right version, quick."""
    if facts.error:
        do = "see that the database runs, the URL, and the account's rights"
        yield Finding("store", Level.FAIL, f"{facts.url}: {facts.error}", do)
        return
    newer = facts.revision is not None and facts.revision not in facts.known
    if newer and facts.works_from not in facts.known:
        words = f"the database is at revision {facts.revision}, this program knows up to {facts.head}"
        yield Finding(
            "store",
            Level.FAIL,
            words,
            "install the newer program again, or restore the backup (ops/upgrade.md)",
        )
        return
    if facts.revision is None:
        yield Finding("store", Level.NOTE, f"{facts.url} has no tables yet", "sipbridge serve makes them")
        return
    if newer:
        words = f"a newer program made the database ({facts.revision}); this one can still use it"
        yield Finding("store", Level.NOTE, words, "go on with the rolling upgrade (ops/upgrade.md)")
    elif facts.revision != facts.head:
        words = f"the database is at revision {facts.revision}, the program's is {facts.head}"
        do = "restart the bridge" if running else "the next start migrates it; make a backup first"
        yield Finding("store", Level.WARN if running else Level.NOTE, words, do)
    if facts.latency_ms > 50:
        words = f"{facts.url} takes {facts.latency_ms:.0f} ms for the smallest question"
        yield Finding(
            "store", Level.WARN, words, "decisions and records wait for it: a nearer or faster database"
        )
    else:
        size = f", {facts.size_bytes / 1e6:.0f} MB" if facts.size_bytes else ""
        yield Finding("store", Level.OK, f"{facts.url}: {facts.latency_ms:.1f} ms{size}")
    if facts.open_calls and not running:
        words = f"{facts.open_calls} calls have no end, and nothing runs"
        yield Finding("store", Level.NOTE, words, "the next start ends them in the record")


def versions(found: Mapping[str, str | None], needed: Sequence[str]) -> Iterator[Finding]:
    """What is installed. `needed`: programs that have to be there."""
    for name in needed:
        if found.get(name) is None:
            do = "sudo ops/setup.sh, or apt-get install kamailio rtpengine-daemon"
            yield Finding("versions", Level.FAIL, f"{name} is not installed, and the settings need it", do)
    there = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    yield Finding("versions", Level.OK, there)


def flaws(
    table: Iterable[Flaw], found: Mapping[str, str | None], *, edge: bool, loopback: bool, as_of: str
) -> Iterator[Finding]:
    """Which known flaws are in what is installed, and what keeps them out of reach here."""
    closed: dict[str, list[Flaw]] = {}
    for flaw in table:
        version = found.get(flaw.component)
        if version is None or (flaw.fixed and _key(version) >= _key(flaw.fixed)):
            continue
        if flaw.reach == "off" or (flaw.reach == "edge" and (edge or loopback)):
            closed.setdefault(flaw.component, []).append(flaw)
            continue
        words = f"{flaw.component} {version}: {flaw.flaw_id}, {flaw.what}"
        do = flaw.why if flaw.reach == "open" else f"edge: {{enabled: true}}, then it is closed: {flaw.why}"
        yield Finding("versions", Level.WARN, words, do)
    for component, those in closed.items():
        ids = ", ".join(flaw.flaw_id for flaw in those)
        words = (
            f"{component} {found[component]}: {len(those)} flaws known on {as_of}, none in reach here: {ids}"
        )
        yield Finding("versions", Level.NOTE, words, "why, one by one: ops/doctor.md")


def _key(version: str) -> tuple[int, ...]:
    """Comparable; letters of OpenSSL's old names count as numbers."""
    parts = re.findall(r"\d+|[a-z]", version.lower().split("-")[0].split("+")[0])
    return tuple(int(part) if part.isdigit() else ord(part) for part in parts)


def providers(all_facts: Iterable[ProviderFacts]) -> Iterator[Finding]:
    """Reachable, and does the key count."""
    for facts in all_facts:
        here = f"{facts.name} ({facts.where})"
        match facts.stage:
            case "embedded":
                yield Finding("providers", Level.OK, f"{facts.name}: the embedded engine")
            case "skipped":
                yield Finding("providers", Level.NOTE, f"{here}: not looked at (--offline)")
            case "dns":
                yield Finding(
                    "providers",
                    Level.FAIL,
                    f"{here}: the name is not found: {facts.error}",
                    "see /etc/resolv.conf",
                )
            case "connect":
                do = "a firewall or proxy on the way, or nothing listens there"
                yield Finding("providers", Level.FAIL, f"{here}: no connection: {facts.error}", do)
            case "tls":
                do = "ca-certificates of this machine, its clock, or a proxy that opens TLS"
                yield Finding("providers", Level.FAIL, f"{here}: TLS fails: {facts.error}", do)
            case _:
                yield _answer(facts, here)


def _answer(facts: ProviderFacts, here: str) -> Finding:
    if facts.auth in {401, 403}:
        return Finding(
            "providers",
            Level.FAIL,
            f"{here} refuses the key ({facts.auth})",
            "replace it: every call would fail",
        )
    if facts.auth == 429:
        return Finding(
            "providers", Level.WARN, f"{here} says 429: too many requests, or no credit", "see the account"
        )
    if facts.certificate_days is not None and facts.certificate_days < 7:
        words = f"{here}: its certificate ends in {facts.certificate_days:.0f} days"
        return Finding("providers", Level.WARN, words, "tell whoever runs it")
    key = {None: "", 200: ", the key is good"}.get(facts.auth, f", answered {facts.auth}")
    return Finding("providers", Level.OK, f"{here}: reached in {facts.connect_ms:.0f} ms{key}")


def mcp(all_facts: Iterable[McpFacts]) -> Iterator[Finding]:
    """Whether each server is there, and whether anybody has accepted its tools."""
    for facts in all_facts:
        here = f"{facts.name} ({facts.where})"
        if facts.error:
            yield Finding(
                "mcp", Level.FAIL, f"{here}: {facts.error}", "its tools will fail; see mcp in the settings"
            )
        elif not facts.accepted:
            do = f"sipbridge tools mcp, then sipbridge tools accept {facts.name}"
            yield Finding(
                "mcp", Level.WARN, f"{here}: none of its tools was accepted, so none is offered", do
            )
        else:
            yield Finding("mcp", Level.OK, f"{here}: {facts.accepted} tools accepted")
