"""The files that Kamailio reads again while it runs: trunks' addresses, logins, workers.

    address.list       group 1: trunks (tag: the trunk's name), group 2: workers (none), group 3: never heard
    tables/users …     db_text tables for htables: HA1 by user, trunk by user, trunks with wideband
    dispatcher.list    every place a worker can be at, GENERATIONS times; which ones are in use is their state

A place's entry counts the calls of one life of a worker. A reload of the dispatcher sets all counts to zero
(measured, Kamailio 5.6.3), so workers come and go by set_state, and a worker that follows one that died with calls
takes the next generation of its place, whose count is right. Pure.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.edge.target import SETS
from bridge.trunk import Credential, Trunk, line_token

TRUNKS, WORKERS, DENIED = 1, 2, 3
GENERATIONS = 4
"""Deaths of a worker in one place, with calls up, within the longest call that stay without effect on the counts."""
ACTIVE, INACTIVE = 0, 1
"""Kamailio's flags of a dispatcher entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the dispatcher's list."""

    pool: str
    uri: str
    generation: int
    max_calls: int = 4

    @property
    def dispatcher_uri(self) -> str:
        """The worker's URI, told apart from the same place's other generations by a parameter that means nothing."""
        return f"{self.uri};g={self.generation}"

    @property
    def set_id(self) -> int:
        """Kamailio's number of the pool."""
        return SETS[self.pool]


def entries(places: Iterable[tuple[str, int]]) -> list[Entry]:
    """All lines for these places (URI, calls of one worker)."""
    return [
        Entry(pool, uri, generation, max_calls)
        for uri, max_calls in places
        for pool in SETS
        for generation in range(GENERATIONS)
    ]


def dispatcher_list(lines: Sequence[Entry], in_use: Iterable[tuple[str, str]]) -> str:
    """dispatcher.list; `in_use`: (pool, dispatcher URI) of those that get calls from Kamailio's start on."""
    active = set(in_use)
    text = ["# set uri flags priority attributes; written by control, see bridge/edge/tables.py"]
    for line in lines:
        flags = ACTIVE if (line.pool, line.dispatcher_uri) in active else INACTIVE
        name = hashlib.sha256(f"{line.pool} {line.dispatcher_uri}".encode()).hexdigest()[:16]
        text.append(f"{line.set_id} {line.dispatcher_uri} {flags} 0 duid={name};maxload={line.max_calls}")
    return "\n".join(text) + "\n"


def address_list(
    trunks: Iterable[tuple[str, str]], workers: Iterable[tuple[str, int]], denied: Iterable[str] = ()
) -> str:
    """address.list. `workers`: (address, SIP port).

    `trunks`: (network, name); the smaller networks win, of two equal ones the first.
    """
    known: dict[ipaddress.IPv4Network | ipaddress.IPv6Network, str] = {}
    for network, name in trunks:
        known.setdefault(ipaddress.ip_network(network), name)
    networks = sorted(
        known.items(),
        key=lambda one: (-one[0].prefixlen, str(one[0])),
    )
    text = ["# group address prefix port tag; written by control, see bridge/edge/tables.py"]
    text += [f"{TRUNKS} {_address(network)} 0 {name}" for network, name in networks]
    # without a tag: to look whether an address is a worker's must not change whose call it is
    text += [f"{WORKERS} {address} {_whole(address)} {port}" for address, port in sorted(set(workers))]
    text += [f"{DENIED} {_address(ipaddress.ip_network(network))} 0 denied" for network in denied]
    return "\n".join(text) + "\n"


def htable(values: Mapping[str, str]) -> str:
    """A table of db_text that an htable loads: name to text."""
    head = "key_name(string) key_type(int) value_type(int) key_value(string) expires(int)\n"
    rows = [f"{_escaped(key)}:0:0:{_escaped(value)}:0\n" for key, value in sorted(values.items())]
    return head + "".join(rows)


ANYBODY = "*"
"""In `logins`: there are trunks with a password, so that strangers are challenged."""
HTABLES = ("users", "logins", "wide", "lines")


def table_versions() -> str:
    """db_text's table of versions."""
    return "table_name(string) table_version(int)\n" + "".join(f"{name}:2\n" for name in HTABLES)


def logins(trunks: Iterable[Trunk], realm: str, passwords: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """`users` (HA1 by user) and `logins` (trunk by user) of trunks that come with a password.

    HA1 is MD5(user:realm:password) (RFC 2617 section 3.2.2.2). A trunk whose password is not there cannot log in.
    """
    users: dict[str, str] = {}
    names: dict[str, str] = {}
    for trunk in trunks:
        if trunk.login is None or not passwords.get(trunk.login.password_env):
            continue
        text = f"{trunk.login.user}:{realm}:{passwords[trunk.login.password_env]}"
        users[trunk.login.user] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        names[trunk.login.user] = trunk.name
    if names:
        names.setdefault(ANYBODY, "1")  # a trunk's user may be called that
    return {"users": users, "logins": names}


def lines(trunks: Iterable[Trunk], credentials: Mapping[str, Credential]) -> dict[str, str]:
    """Trunk by the token in the Contact that a worker registers for it; `credentials` by trunk."""
    found = {
        line_token(trunk.register, credentials.get(trunk.name)): trunk.name
        for trunk in trunks
        if trunk.register
    }
    found.pop("", None)  # without a password there is no token
    return found


def _address(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return f"{network.network_address} {network.prefixlen}"


def _whole(address: str) -> int:
    return 128 if ":" in address else 32


def _escaped(text: str) -> str:
    """As db_text reads it: a colon separates columns."""
    return text.replace("\\", "\\\\").replace(":", "\\:")
