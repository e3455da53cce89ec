"""Machines of their own on one machine: network namespaces, joined by switches. Linux, root, iproute2.

    with Network({"edge": {"out": "203.0.113.1", "in": "10.77.0.1"}, "node-a": {"in": "10.77.0.11"}}) as net:
        with net.inside("node-a"):                    # sockets opened here, programs started here are that machine's
            process = subprocess.Popen(...)
        net.cut("node-a")                             # its cable is out; `mend` puts it back

A switch (`out`, `in`) is a bridge in a namespace that has no way out of it: nothing sent here can leave the machine,
and the same addresses may be used by several runs at a time. Names carry our process id; what is made here is removed.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

CLONE_NEWNET = 0x40000000
RUN = Path("/run/netns")
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str:
    """Why namespaces cannot be made here; "" when they can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2: apt-get install iproute2"
    probe = f"sb{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made here: {made.stderr.strip()}"
    _ip("netns", "del", probe)
    return ""


class Network:
    """`hosts`: name → {switch: address}; every network is a /24."""

    def __init__(self, hosts: Mapping[str, Mapping[str, str]]) -> None:
        self._hosts = hosts
        self._prefix = f"sb{os.getpid()}-"
        self._made: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._add("switch")
            for switch in sorted({name for places in self._hosts.values() for name in places}):
                self._in("switch", "link", "add", f"br-{switch}", "type", "bridge")
                self._in("switch", "link", "set", f"br-{switch}", "up")
            for host, places in self._hosts.items():
                self._add(host)
                for switch, address in places.items():
                    self._plug(host, switch, address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", self._prefix + name], check=False, capture_output=True)
        self._made.clear()

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """This thread is on that machine. Nothing may be awaited inside: a socket keeps where it was opened."""
        with Path("/proc/thread-self/ns/net").open("rb") as before, self.path(host).open("rb") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(before.fileno())

    def path(self, host: str) -> Path:
        """The namespace as a file, for `nsenter --net=…`."""
        return RUN / (self._prefix + host)

    def cut(self, host: str) -> None:
        """Every cable of that machine is out: what it sends and what is sent to it is lost without a word."""
        self._cables(host, "down")

    def mend(self, host: str) -> None:
        """They are in again."""
        self._cables(host, "up")

    def _cables(self, host: str, state: str) -> None:
        for switch in self._hosts[host]:
            self._in("switch", "link", "set", _port(host, switch), state)

    def _add(self, name: str) -> None:
        _ip("netns", "add", self._prefix + name)
        self._made.append(name)
        self._in(name, "link", "set", "lo", "up")

    def _plug(self, host: str, switch: str, address: str) -> None:
        port = _port(host, switch)
        here = ("link", "add", switch, "type", "veth", "peer", port, "netns", self._prefix + "switch")
        self._in(host, *here)
        self._in(host, "addr", "add", f"{address}/24", "dev", switch)
        self._in(host, "link", "set", switch, "up")
        self._in("switch", "link", "set", port, "master", f"br-{switch}")
        self._in("switch", "link", "set", port, "up")

    def _in(self, host: str, *words: str) -> None:
        _ip("-n", self._prefix + host, *words)


def own_network() -> bool:
    """Move this thread, and all it starts from now on, into a new network namespace: loopback, and a cable to nowhere.

    Browsers and aiortc talk to each other by an address that is not loopback's; nothing leaves the namespace.

    False where that is not allowed: nothing changed. To be called before other threads open sockets.
    """
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or _libc.unshare(CLONE_NEWNET) != 0:
        return False
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "out0", "type", "veth", "peer", "name", "out1")
    _ip("addr", "add", "10.199.0.1/24", "dev", "out0")
    for end in ("out0", "out1"):
        _ip("link", "set", end, "up")
    return True


def _port(host: str, switch: str) -> str:
    return f"{host[:10]}.{switch}"


def _setns(handle: int) -> None:
    if _libc.setns(handle, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
