"""Writes everything an edge starts with, and says which programs the supervisor has to run for it.

Called by `sipbridge serve` (bridge/serve.py) before any process exists. Shell: files.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from bridge.edge.daemon import Spec
from bridge.edge.dispatch import Dispatch
from bridge.edge.folder import EdgeFolder, edge_secret, user_id
from bridge.edge.render import Place, host_port, kamailio_cfg, rtpengine_conf, tls_cfg
from bridge.edge.tables import address_list, dispatcher_list
from bridge.errors import EdgeError
from bridge.pool.launch import Program
from bridge.settings import Settings, slots

CHECK_S = 20.0
NEEDED = {
    "kamailio": ("kamailio", "kamailio"),
    "rtpengine": ("rtpengine", "rtpengine-daemon"),
    "setpriv": ("setpriv", "util-linux"),
}
EXTRA = {
    "tls": ("tls.so", "kamailio-tls-modules"),
    "websocket": ("websocket.so", "kamailio-websocket-modules"),
}
MODULES = "/usr/lib/*-linux-gnu*/kamailio/modules"


def places(settings: Settings) -> list[tuple[str, int]]:
    """(SIP URI, calls) of every slot of this node."""
    edge = settings.edge
    return [
        (f"sip:{host_port(edge.workers_bind, edge.workers_port + slot)}", settings.calls_per_worker)
        for slot in range(slots(settings) if settings.workers else 0)
    ]


def prepare_edge(settings: Settings, sip_port: int, stage: int) -> list[Program]:
    """The files, checked by Kamailio itself, and the two programs: rtpengine is there before Kamailio asks for it.

    Raises EdgeError: a program, a user or a certificate is missing, or Kamailio refuses what was rendered. OSError.
    """
    found = {name: _program(name) for name in NEEDED}
    _check_modules(settings)
    folder = EdgeFolder(settings)
    folder.make()
    place = Place(str(folder.path), sip_port, edge_secret(settings.state_dir))
    folder.write("kamailio.cfg", kamailio_cfg(settings, place))
    folder.write("rtpengine.conf", rtpengine_conf(settings), mode=0o644)
    folder.copy_tls()
    if settings.edge.tls:
        folder.write("tls.cfg", tls_cfg(settings, place))
    write_first(settings, folder)
    specs = [_kamailio(settings, folder, found), _rtpengine(settings, folder, found)]
    check(specs[0])
    programs = []
    for spec, when in ((specs[1], stage - 1), (specs[0], stage)):
        path = settings.state_dir / "run" / f"{spec.name}.json"
        spec = replace(spec, pid_file=str(path.with_suffix(".pid")))  # noqa: PLW2901  # the same, complete
        path.write_text(json.dumps(asdict(spec)), encoding="utf-8")
        argv = (sys.executable, "-m", "bridge.edge.daemon", str(path))
        programs.append(Program(spec.name, when, argv, says_ready=True))
    return programs


def write_first(settings: Settings, folder: EdgeFolder) -> None:
    """The lists with which Kamailio starts before control has told it anything: our workers' places, no trunks."""
    mine = Dispatch(places(settings))
    if not (folder.path / "address.list").exists():
        workers = [worker_address(uri) for uri, _ in places(settings)]
        folder.write("address.list", address_list((), workers, settings.edge.deny))
    folder.write("dispatcher.list", dispatcher_list(mine.lines, ()))


def worker_address(uri: str) -> tuple[str, int]:
    """(address, port) of `sip:ADDRESS:PORT`."""
    address, _, port = uri.removeprefix("sip:").rpartition(":")
    return address.strip("[]"), int(port)


def check(spec: Spec) -> None:
    """Have Kamailio read its configuration. Raises EdgeError with its own words."""
    command = [*spec.argv[: spec.argv.index("-DD")], "-c", "-f", spec.config]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise EdgeError(f"Kamailio did not check {spec.config} within {CHECK_S:g} s") from None
    if run.returncode:
        said = [line for line in run.stderr.splitlines() if "ERROR" in line or "CRITICAL" in line]
        raise EdgeError(f"Kamailio refuses {spec.config}:\n" + "\n".join(said[-5:] or [run.stderr[-500:]]))


def _kamailio(settings: Settings, folder: EdgeFolder, found: dict[str, str]) -> Spec:
    edge, log, config = settings.edge, settings.log, str(folder.path / "kamailio.cfg")
    command = (
        found["kamailio"], "-DD", "-E", "-f", config, "-Y", str(folder.path), "-w", str(folder.path),
        "-m", str(edge.memory_mb), "-M", "8",
    )  # fmt: skip
    argv = (*_as_user(edge.user, found["setpriv"], ending="TERM"), *command)
    place = str(folder.path)
    return Spec("kamailio", argv, config, place, folder.owner, 0, log.level, log.format, log.redact)


def _rtpengine(settings: Settings, folder: EdgeFolder, found: dict[str, str]) -> Spec:
    edge, log, config = settings.edge, settings.log, str(folder.path / "rtpengine.conf")
    command = (found["rtpengine"], "--config-file", config, "--config-section", "rtpengine")
    argv = (*_as_user(edge.media_user, found["setpriv"], ending="KILL"), *command)
    place, port = str(folder.path), edge.control_port
    return Spec("rtpengine", argv, config, place, None, port, log.level, log.format, log.redact)


def _as_user(name: str, setpriv: str, *, ending: str) -> tuple[str, ...]:
    """Give up root, but keep ports below 1024; and end with the wrapper, which setuid would make it forget.

    Kamailio's first process is only told so, because it ends the others: killed, it would leave them and its ports.
    """
    told = ("--pdeathsig", ending)
    if os.geteuid() != 0:
        return (setpriv, *told)
    keep = ("--inh-caps=-all,+net_bind_service", "--ambient-caps=+net_bind_service", "--no-new-privs")
    user_id(name)
    return (setpriv, f"--reuid={name}", f"--regid={name}", "--clear-groups", *keep, *told)


def _program(name: str) -> str:
    command, package = NEEDED[name]
    path = shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
    if path is None:
        raise EdgeError(f"edge.enabled needs the program {command}: apt-get install {package}")
    return path


def _check_modules(settings: Settings) -> None:
    for key, (module, package) in EXTRA.items():
        if getattr(settings.edge, key) and not list(Path("/").glob(f"{MODULES}/{module}".lstrip("/"))):
            raise EdgeError(f"edge.{key} needs Kamailio's module {module}: apt-get install {package}")
