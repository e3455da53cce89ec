"""Behind the edge: whose packets a worker reads, and what the edge's word says of a request. Pure.

    stranger ──► Kamailio ──INVITE, X-Sipbridge-Source, X-Sipbridge-Trunk──► worker

The edge strips these headers from everything that comes in and writes its own; the doorman drops what does not come
from the edge's sockets, so that nobody else can write them. Without an edge they mean nothing.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import replace

from bridge.errors import SipError
from bridge.sip.events import EdgeWord, Invite

TRANSPORTS = frozenset({"udp", "tcp", "tls", "ws", "wss"})
_SOURCE = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[0-9.]{7,15}):([0-9]{1,5})((?:;[a-z]+(?:=[a-z0-9]+)?)*)")
Socket = tuple[str, int]
"""(IP address in its shortest form, port)."""


def sockets(edge: Iterable[str]) -> frozenset[Socket]:
    """The sockets in a configuration's IP:PORT texts. Raises SipError for one that is none."""
    return frozenset(map(_socket, edge))


def believed(invite: Invite, *, behind_edge: bool) -> Invite:
    """The INVITE as the edge's word has it: source, transport, whether a worker sent it.

    A request of which the edge says nothing that can be read has no source: never the edge's own address, which
    would make strangers neighbours. Without an edge the word is dropped and nothing else changes.
    """
    if not behind_edge:
        return replace(invite, edge_word=EdgeWord())
    found = _SOURCE.fullmatch(invite.edge_word.source)
    if found is None or not _is_address(found[1]):
        return replace(invite, source="", transport="", from_worker=False)
    known = dict(one.partition("=")[::2] for one in found[3].split(";")[1:])
    transport = known.get("transport", "")
    return replace(
        invite,
        source=f"{found[1]}:{found[2]}",
        transport=transport if transport in TRANSPORTS else "",
        from_worker="worker" in known,
    )


def _socket(text: str) -> Socket:
    address, _, port = text.rpartition(":")
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError:
        raise SipError(500, f"{text!r} is no socket of the edge: IP:PORT is") from None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
