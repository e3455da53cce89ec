"""Where an HTTP request comes from when a proxy stands before us: X-Forwarded-For, as far as it can be believed. Pure.

    browser 198.51.100.7 ─► proxy 10.0.0.2 ─► us     X-Forwarded-For: 1.2.3.4, 198.51.100.7
                                                      └ the browser wrote that ┘└ the proxy did

Each proxy adds whom it heard at the right. So it is read from the right, and only while who said it is a proxy of ours
(`console.trusted_proxies`): the first address that is none of them is the client's. What stands left of it anybody may
have written. A word that is no address ("unknown", RFC 7239 section 6.3) ends the reading at the proxy that wrote it.

uvicorn has ProxyHeadersMiddleware for this. It would take such a word for the client, believe X-Forwarded-Proto too,
and change what every handler sees; we want an address to count wrong tries under, and nothing else.
"""

import ipaddress
import re
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}")


def client_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address. `peer`: who opened the connection; `forwarded`: every X-Forwarded-For, as they came."""
    address = _read(peer)
    if address is None or not trusted:
        return peer
    for hop in reversed([hop for line in forwarded for hop in line.split(",")]):
        said = _read(hop.strip()) if _inside(address, trusted) else None
        if said is None:
            break
        address = said
    return str(address)


def _read(text: str) -> Address | None:
    """An address, with or without a port; IPv4 within IPv6 is IPv4."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _inside(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
