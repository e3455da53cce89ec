"""Finding free local ports. Shell: it opens and closes sockets, holds no rule but the order.

Called by the supervisor at its start, before any worker exists; a port may be taken by somebody else between
the look and the use, then the worker fails to start and is restarted with the next answer. Worker-safe.
"""

import ipaddress
import socket

from bridge.errors import Problem, SettingsError

TRIES = 200
"""Ports looked at before giving up."""


def free_sip_port(bind: str, first: int, count: int = 1) -> int:
    """`first`, or the next port above it from which `count` ports are free on `bind`, UDP and TCP.

    Raises SettingsError when there is none.
    """
    for port in range(first, min(first + TRIES, 65537 - count)):
        wanted = range(port, port + count)
        if all(
            _can_bind(bind, one, kind) for one in wanted for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        ):
            return port
    hint = "set sip.port to another number"
    raise SettingsError([Problem("settings", 0, 0, "sip.port", f"no free port from {first} on", hint)])


def free_tcp_port(bind: str) -> int:
    """A TCP port the system chooses on `bind`."""
    with socket.socket(_family(bind), socket.SOCK_STREAM) as probe:
        probe.bind((bind, 0))
        port: int = probe.getsockname()[1]
        return port


def _can_bind(bind: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(_family(bind), kind) as probe:
        try:
            probe.bind((bind, port))
        except OSError:
            return False
        return True


def _family(bind: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ipaddress.ip_address(bind).version == 6 else socket.AF_INET
