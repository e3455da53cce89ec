"""Finding free local ports. Shell: it opens and closes sockets, holds no rule but the order.

Called by `serve` before any process exists; a port may be taken by somebody else between the look and the use,
then the worker fails to start and is restarted. An address that is not ours or a port that needs root is told at
once: no other port would help. Worker-safe.
"""

import errno
import ipaddress
import socket
from collections.abc import Sequence

from bridge.errors import Problem, SettingsError

TRIES = 200
"""Ports looked at before giving up."""
SIP_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
HTTP_KINDS = (socket.SOCK_STREAM,)


def free_sip_port(bind: str, first: int, count: int = 1) -> int:
    """`first`, or the next port above it from which `count` ports are free on `bind`, UDP and TCP.

    Raises SettingsError (key sip.bind or sip.port) when there is none.
    """
    return _free_port("sip", bind, range(first, min(first + TRIES, 65537 - count)), count, SIP_KINDS)


def free_console_port(bind: str, first: int) -> int:
    """`first`, or the next TCP port above it that is free. Raises SettingsError (console.bind, console.port)."""
    return _free_port("console", bind, range(first, min(first + TRIES, 65536)), 1, HTTP_KINDS)


def free_tcp_port(bind: str) -> int:
    """A TCP port the system chooses on `bind`."""
    with socket.socket(_family(bind), socket.SOCK_STREAM) as probe:
        probe.bind((bind, 0))
        port: int = probe.getsockname()[1]
        return port


def _free_port(section: str, bind: str, ports: range, count: int, kinds: Sequence[socket.SocketKind]) -> int:
    for port in ports:
        wanted = range(port, port + count)
        if all(_can_bind(section, bind, one, kind) for one in wanted for kind in kinds):
            return port
    message = f"no free port from {ports.start} on"
    hint = f"set {section}.port to another number"
    raise SettingsError([Problem("settings", 0, 0, f"{section}.port", message, hint)])


def _can_bind(section: str, bind: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(_family(bind), kind) as probe:
        if kind == socket.SOCK_STREAM:  # as the servers do: connections that just ended do not hold a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise SettingsError([_refusal(section, bind, port, error)]) from error
        return True


def _refusal(section: str, bind: str, port: int, error: OSError) -> Problem:
    if error.errno == errno.EADDRNOTAVAIL:
        message = f"{bind} is not an address of this machine"
        return Problem("settings", 0, 0, f"{section}.bind", message, "see `ip -br addr`")
    if error.errno == errno.EACCES:
        message, hint = f"{port} cannot be bound", "ports below 1024 need root"
        return Problem("settings", 0, 0, f"{section}.port", message, hint)
    message = f"{bind}:{port} cannot be bound: {error.strerror}"
    return Problem("settings", 0, 0, f"{section}.port", message)


def _family(bind: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ipaddress.ip_address(bind).version == 6 else socket.AF_INET
