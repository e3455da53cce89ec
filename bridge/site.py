"""Which HTTP requests are ours to take: not those that another site's page made a browser send.

    Host            a name we have, or an address: a page that had its own name resolve to us (DNS rebinding) has none
    Origin          the host that was asked, when a browser says it
    Sec-Fetch-Site  same-origin, or a person who typed it (none), when a browser says it

Pure. Used by the API and the console, which both want more than that: a token, or a session and a form's own secret.
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

_OWN = frozenset({"", "none", "same-origin"})


def names(hosts: Iterable[str]) -> frozenset[str]:
    """What Host may be besides an address: these, localhost, and nothing."""
    return frozenset({"", "localhost", *(host.lower() for host in hosts)})


def stranger(headers: Mapping[str, str], hosts: Collection[str]) -> str:
    """Why the host that was asked is not us; "": it is."""
    host = _hostname(headers.get("host", ""))
    if host in hosts or _is_address(host):
        return ""
    return f"control is not called {host[:100]!r}: use its address, or name it in console.hosts"


def foreign(headers: Mapping[str, str], hosts: Collection[str] | None, own_origin: str = "") -> str:
    """Why the request is not taken; "": it is. `hosts` None: any. `own_origin`: ours behind a proxy, besides Host."""
    if hosts is not None and (why := stranger(headers, hosts)):
        return why
    origin = headers.get("origin")
    ours = origin is None or origin == own_origin or _netloc(origin) == headers.get("host")
    if not ours or headers.get("sec-fetch-site", "") not in _OWN:
        return "a request of another site is not taken"
    return ""


def _hostname(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return netloc


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
