"""From settings to running processes: what `sipbridge serve` does before the supervisor takes over.

    Settings ──► ports chosen, plan checked ──► run/serve.json, run/worker-<i>.json ──exec──► bridge.supervisor

This half needs pydantic and the dialplan loader; the supervisor must stay small. So it is done in the
same process before that, and then replaced by it (exec): same pid, same terminal, none of the memory.
Called by the CLI, once, on the only thread.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from bridge.config import PoolKind
from bridge.control_plan import around
from bridge.dialplan import load as dialplan
from bridge.edge.folder import EdgeFolder
from bridge.edge.prepare import prepare_edge
from bridge.errors import BridgeError, SettingsError
from bridge.pool.become import User
from bridge.pool.moves import PoolLimits
from bridge.pool.user import UMASK, cannot_use, find, open_folders
from bridge.ports import free_console_port, free_sip_port, free_tcp_port
from bridge.records import logfile
from bridge.secretsource import Secrets
from bridge.settings import STORE, Settings, missing_secrets, pool_of, secret_names, slots, worker_config
from bridge.store.store import Store
from bridge.supervision import Limits
from bridge.supervisor import Program, SupervisorError, lock

DRAIN_MARGIN_S = 5.0
"""A worker ends its drain by itself at drain_s; the supervisor steps in only after that."""
SIM, ZYGOTE, CONTROL, EDGE, WORKER = 0, 0, 1, 2, 3
"""Stages. The edge outlives the workers: in-dialog requests of the calls that drain go through it."""
SUFFIXES: dict[PoolKind, str] = {"narrow": "", "wide": "-wide"}
ROOM = "-" * 16
LEAVE_MARGIN_S = 60.0
"""A worker that is replaced may go on as long as the longest call, and so much longer."""
PRIVATE = 0o077
"""The umask of every process of the bridge: records, recordings and prompts are for its own user."""
SQLITE = "sqlite:///"
STORE_AWAY = "the store cannot be reached now: calls are taken, what they tell waits in state_dir/spool"
AS_ROOT = "workers run as root: start the bridge as an unprivileged user, or name one for them (pool.user)"
LOG_OF_ROOT = "log.file is root's, workers are not (pool.user): their lines go to standard error"
NO_HOME = "/nonexistent"
"""What programs are told that run as another user: root's home is none of theirs."""


@dataclass(frozen=True, slots=True)
class Serve:
    """Everything the supervisor is told. `leftovers`: what it removes when everything has stopped."""

    programs: tuple[Program, ...]
    limits: Limits
    announcement: str
    pool: PoolLimits = field(default_factory=PoolLimits)
    spares: int = 0
    leftovers: tuple[str, ...] = ()


def run(settings: Settings, config_path: Path | None) -> int:
    """Check, prepare, become the supervisor: returns only by an error.

    Raises BridgeError: the dialplan is wrong, a secret or a port is missing, the store cannot be opened, a
    bridge already runs here, or a file cannot be written.
    """
    user = workers_user(settings)
    os.umask(PRIVATE)
    problems = missing_secrets(settings, os.environ)
    if problems:
        raise SettingsError(problems)
    if not rolled_back(settings.state_dir):  # then the files are not what comes into force
        dialplan.load(settings.dialplans, around(settings), environment=settings.environment)
    try:
        held = lock(str(settings.state_dir))
    except SupervisorError as error:
        raise BridgeError(str(error)) from error
    for sentence in warnings(settings, user):
        sys.stdout.write(f"sipbridge: warning: {sentence}\n")  # the log, on stderr, may be JSON
    path = settings.state_dir / "run" / "serve.json"
    try:
        open_store(settings)  # the database stays private, whoever the workers are
        if user is not None:
            os.umask(UMASK)
            let_in(settings, user)
        serve = prepare(settings, config_path, user)
        path.write_text(json.dumps(asdict(serve)), encoding="utf-8")
    except OSError as error:
        where = error.filename or settings.state_dir  # a full disk names no file
        raise BridgeError(f"cannot write {where}: {error.strerror or error}") from error
    if (log := settings.log).file is not None:
        os.environ |= logfile.variable(log.file, log.file_max_mb * 1_000_000, log.file_keep)
    os.set_inheritable(held, True)
    sys.stdout.flush()
    try:
        os.execv(sys.executable, [sys.executable, "-m", "bridge.supervisor", str(path), str(held)])  # noqa: S606
    except OSError as error:
        raise BridgeError(f"cannot start {sys.executable}: {error.strerror}") from error


def warnings(settings: Settings, user: User | None) -> Iterator[str]:
    """What works, but should not be so."""
    if os.geteuid() == 0 and user is None:
        yield AS_ROOT
    if user is not None and settings.log.file is not None:
        yield LOG_OF_ROOT
    yield from Secrets(os.environ).too_open([STORE, *(name for _, name in secret_names(settings))])


def rolled_back(state_dir: Path) -> bool:
    """Whether somebody rolled back to an earlier dialplan, which stays over restarts (bridge/control_versions.py)."""
    try:
        found = json.loads((state_dir / "run" / "in-force.json").read_text(encoding="utf-8"))
        return bool(found["rolled_back"])
    except (OSError, ValueError, TypeError, KeyError):
        return False


def open_store(settings: Settings) -> None:
    """Open the store once, and close it: one that cannot be opened ends `serve` instead of control, for ever.

    A PostgreSQL that cannot be reached now is no reason not to take calls: their events wait on the disk.
    Raises StoreError; OSError when the folder of an SQLite file cannot be made.
    """
    url = str(settings.store)
    if url.startswith(SQLITE):
        Path(url.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)

    async def opened() -> None:
        async with Store(url, patient=True) as store:
            if not store.ready:
                sys.stdout.write(f"sipbridge: warning: {STORE_AWAY}\n")

    asyncio.run(opened())


def workers_user(settings: Settings) -> User | None:
    """Whom workers run as; None: as we do. Raises SettingsError when there is no such user."""
    name = settings.pool.user
    try:
        user = find(name)
    except KeyError:
        hint = f"useradd --system --no-create-home --shell /usr/sbin/nologin {name}"
        problem = settings.problem(("pool", "user"), f"there is no user {name} on this machine", hint)
        raise SettingsError([problem]) from None
    if user is not None and user[0] == 0:
        problem = settings.problem(("pool", "user"), "root is whom it should not be", "another user")
        raise SettingsError([problem])
    return user


def let_in(settings: Settings, user: User) -> None:
    """Give the workers' user the folders that it needs. Raises SettingsError when it cannot get at something."""
    state, recordings = settings.state_dir, Path(str(settings.recording.folder))
    theirs, read = [state / "spool", state / "log"], [state / "prompts", state / "speech", state / "run"]
    open_folders(user, state, theirs, read, recordings)
    packages = [spec.origin for spec in map(find_spec, ("numpy", "bridge")) if spec and spec.origin]
    programs = [Path(sys.executable), Path(os.__file__), *map(Path, packages)]
    closed = cannot_use(user, [*programs, *read], [*theirs, recordings])
    if closed:
        message = f"{settings.pool.user} cannot get at {', '.join(map(str, closed))}"
        hint = "install the bridge, and put state_dir, where every user may pass through, as in /opt and /var/lib"
        raise SettingsError([settings.problem(("pool", "user"), message, hint)])


def prepare(settings: Settings, config_path: Path | None, user: User | None = None) -> Serve:
    """Choose ports, write the workers' configurations, and list the processes."""
    embedded = config_path is None
    sip_port = _sip_port(settings, may_move=embedded)
    console_port = _console_port(settings, may_move=embedded)
    sim = _sim(settings)
    local_url = f"ws://127.0.0.1:{sim[1]}/v1/realtime" if sim else None
    run_dir = settings.state_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    configuration = ("--config", str(config_path.absolute())) if config_path else ()
    environ = {"SIPBRIDGE_SIP__PORT": str(sip_port), "SIPBRIDGE_CONSOLE__PORT": str(console_port)}
    programs = [sim[0]] if sim else []
    programs.append(
        Program(
            "control", CONTROL, _command("control", *configuration), environ, says_ready=True, secrets=True
        )
    )
    if settings.edge.enabled:
        programs += prepare_edge(settings, sip_port, EDGE)
    programs += _pool(settings, run_dir, sip_port, local_url)
    if user is not None:
        programs = [_as_user(program, user) for program in programs]
    limits = Limits(drain_s=settings.deadlines.drain_s + DRAIN_MARGIN_S)
    announcement = _announcement(settings, sip_port, console_port)
    leftovers = EdgeFolder(settings).leftovers if settings.edge.enabled else ()
    pool = _pool_limits(settings)
    return Serve(tuple(programs), limits, announcement, pool, settings.pool.spares, leftovers)


def _pool(settings: Settings, run_dir: Path, sip_port: int, local_url: str | None) -> list[Program]:
    """The worker of each slot, and what they are forked from. Any slot may be given either pool's configuration."""
    programs = []
    if settings.pool.warm and slots(settings):
        programs.append(Program("zygote", ZYGOTE, _command("zygote", ROOM), says_ready=True, role="zygote"))
    for index in range(slots(settings)):
        files: dict[PoolKind, Path] = {}
        for kind, suffix in SUFFIXES.items():
            worker = worker_config(settings, index, sip_port=sip_port, local_url=local_url, pool=kind)
            files[kind] = run_dir / f"worker-{index}{suffix}.json"
            files[kind].write_text(worker.to_json() + "\n", encoding="utf-8")
        programs.append(
            Program(
                worker.name,
                WORKER,
                _command("worker"),
                stdin=str(files["narrow"]),
                stdin_wide=str(files["wide"]),
                spool_dir=worker.paths.spool,
                index=index,
                says_ready=True,
                role="worker",
                pool=pool_of(settings, index),
                on_demand=index >= settings.workers,
            )
        )
    return programs


def _as_user(program: Program, user: User) -> Program:
    """Workers and the local engine are whom strangers' packets and words reach; control keeps the keys."""
    if program.name != "sim" and not program.role:
        return program
    return replace(program, run_as=user, environ={**program.environ, "HOME": NO_HOME})


def _pool_limits(settings: Settings) -> PoolLimits:
    pool, patience_s = settings.pool, settings.limits.max_call_s + LEAVE_MARGIN_S
    return PoolLimits(
        recycle_after_calls=pool.recycle_after_calls,
        recycle_after_s=pool.recycle_after_h * 3600,
        spread=pool.recycle_spread,
        max_memory_mb=pool.max_memory_mb,
        max_cpu_percent=pool.max_cpu_percent,
        check_s=pool.check_s,
        leave_s=patience_s,
        stop_s=settings.deadlines.drain_s + DRAIN_MARGIN_S,
    )


def _command(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "bridge", *words)


def _sim(settings: Settings) -> tuple[Program, int] | None:
    """The local engine and its port, when a provider needs it. The port stays over restarts of the engine."""
    local = [spec for spec in settings.providers.values() if spec.kind == "local" and spec.url is None]
    if not local:
        return None
    port = free_tcp_port("127.0.0.1")
    words = ["--port", str(port), "--log-level", settings.log.level, "--log-format", settings.log.format]
    words += ["--scenario", str(local[0].scenario)] if local[0].scenario else []
    return Program("sim", SIM, _command("sim", *words), says_ready=True), port


def _sip_port(settings: Settings, *, may_move: bool) -> int:
    """Where calls come in. Only the embedded default moves: trunks and phones know a configured one."""
    sip, workers = settings.sip, 1 if settings.edge.behind else settings.workers
    if settings.edge.behind and not settings.edge.enabled:
        return sip.port  # it is another host's
    with _placed(settings):
        port = free_sip_port(sip.bind, sip.port, workers)
    if port != sip.port and not may_move:
        message = f"{sip.bind}:{sip.port}/udp or tcp is taken"
        message += f", or one of the {workers} ports from it on" if workers > 1 else ""
        raise SettingsError([settings.problem(("sip", "port"), message, f"{port} is free")])
    return port


def _console_port(settings: Settings, *, may_move: bool) -> int:
    """As for SIP: whoever asks for health and metrics knows a configured port."""
    console = settings.console
    with _placed(settings):
        port = free_console_port(console.bind, console.port)
    if port != console.port and not may_move:
        message = f"{console.bind}:{console.port}/tcp is taken"
        raise SettingsError([settings.problem(("console", "port"), message, f"{port} is free")])
    return port


@contextlib.contextmanager
def _placed(settings: Settings) -> Iterator[None]:
    """Say of a problem with a port where the settings file has it."""
    try:
        yield
    except SettingsError as error:
        placed = [settings.problem(one.key.split("."), one.message, one.hint) for one in error.problems]
        raise SettingsError(placed) from error


def _announcement(settings: Settings, sip_port: int, console_port: int) -> str:
    edge, sip = settings.edge, settings.sip
    if edge.enabled:
        lines = [f"SIP on {sip.bind}:{sip_port}/{','.join(edge.transports)} (edge: Kamailio, rtpengine)"]
        lines += [f"SIP on {sip.bind}:{edge.tls.port}/tls (edge)"] if edge.tls else []
    elif edge.at:
        lines = [f"workers behind the edge at {', '.join(edge.at)}"]
    else:
        lines = [
            f"SIP on {sip.bind}:{sip_port + index}/udp (worker {index})" for index in range(settings.workers)
        ]
    if sip_port != settings.sip.port:
        lines.append(f"port {settings.sip.port} was taken, so SIP moved to {sip_port}")
    lines.append(f"console on {settings.console.base(console_port)}/console")
    lines.append(
        f"health on http://{_host(settings.console.bind)}:{console_port}/healthz, /metrics beside it"
    )
    if console_port != settings.console.port:
        lines.append(f"port {settings.console.port} was taken, so health moved to {console_port}")
    return "\nsipbridge: ".join(lines)


def _host(bind: str) -> str:
    return f"[{bind}]" if ":" in bind else bind
