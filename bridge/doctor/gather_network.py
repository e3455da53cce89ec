"""Facts about sockets and addresses, for network.py. Opens and closes sockets of this machine; changes nothing."""

import contextlib
import errno
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bridge.doctor.network import PortFacts

KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
_TABLES = {"udp": ("udp", "udp6"), "tcp": ("tcp", "tcp6")}
LISTENS = "0A"
"""State of a listening TCP socket in /proc/net/tcp; of UDP any counts."""
MAX_PARENTS = 16
IP = "/usr/sbin/ip"


def ports(wanted: Iterable[tuple[str, str, str, int]], supervisor: int | None) -> list[PortFacts]:
    """(what, proto, address, port) of each; `supervisor`: the pid whose children are ours."""
    owners = {proto: dict(bound(proto)) for proto in KINDS}
    pids = _pids_of_sockets()
    found = []
    for what, proto, address, port in wanted:
        state = _try(proto, address, port)
        who = ""
        if state == "taken":
            pid = pids.get(owners[proto].get(port, ""))
            who = f"{_name(pid)} (process {pid})" if pid else ""
            if pid and supervisor and _descends(pid, supervisor):
                state = "ours"
        found.append(PortFacts(what, proto, address, port, state, who))
    return found


def foreign(first: int, last: int, supervisor: int | None) -> list[tuple[int, str]]:
    """(port, who) of UDP sockets in a range that are not the bridge's."""
    pids = _pids_of_sockets()
    found = []
    for port, inode in sorted(bound("udp")):
        if first <= port <= last:
            pid = pids.get(inode)
            if not (pid and supervisor and _descends(pid, supervisor)):
                found.append((port, _name(pid) if pid else "?"))
    return found


def bound(proto: str) -> Iterator[tuple[int, str]]:
    """(port, inode) of every bound socket of this network namespace."""
    for table in _TABLES[proto]:
        for line in _lines(Path("/proc/net", table))[1:]:
            parts = line.split()
            if len(parts) > 9 and (proto == "udp" or parts[3] == LISTENS):
                yield int(parts[1].rpartition(":")[2], 16), parts[9]


def local_addresses() -> tuple[str, ...]:
    """Of all interfaces that are up."""
    try:
        listed = subprocess.run(  # noqa: S603  # a fixed command
            [IP, "-o", "addr", "show", "up"], capture_output=True, text=True, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ("127.0.0.1",)
    return tuple(dict.fromkeys(re.findall(r"inet6? ([0-9a-f.:]+)", listed)))


def resolve(host: str) -> str:
    """The first IPv4 address of a name, or the name itself when nobody knows it."""
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0])
    except OSError:
        return host


def _try(proto: str, address: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, KINDS[proto]) as probe:
        if proto == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return "taken" if error.errno == errno.EADDRINUSE else f"cannot be bound: {error.strerror}"
    return "free"


def _pids_of_sockets() -> Mapping[str, int]:
    """Inode to process, as far as we may look."""
    found: dict[str, int] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                for entry in (process / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        target = str(entry.readlink())
                        if target.startswith("socket:["):
                            found[target[8:-1]] = int(process.name)
    return found


def _name(pid: int | None) -> str:
    return "".join(_lines(Path("/proc", str(pid), "comm"))[:1]) or "?"


def _descends(pid: int, ancestor: int) -> bool:
    for _ in range(MAX_PARENTS):
        if pid == ancestor:
            return True
        status = _lines(Path("/proc", str(pid), "status"))
        pid = next((int(line.split()[1]) for line in status if line.startswith("PPid:")), 0)
        if pid <= 1:
            return False
    return False


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
