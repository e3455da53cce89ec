"""Judgement about listening and talking by the browser (ops/seats.md): ports, addresses, https. Pure.

The facts are gathered by examine.py and gather_network.py.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bridge.doctor.finding import Finding, Level

SECTION = "audio"
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """Of console.audio and console. `ports`: first and last, (0, 0): any. `taken`: (port, who) of others in there.

    `local`: addresses of this machine. `host_at`: the address of the host in `url`, "" when it was not asked for.
    """

    seats: int
    ports: tuple[int, int]
    taken: tuple[tuple[int, str], ...]
    address: str
    local: tuple[str, ...]
    url: str
    bind: str
    host_at: str = ""
    servers: tuple[str, ...] = ()
    password: bool = False


def audio(facts: AudioFacts) -> Iterator[Finding]:
    """What would keep browsers from hearing, or from being heard."""
    if facts.seats == 0:
        yield _found(Level.NOTE, "nobody may listen or talk by the browser (console.audio.seats: 0)")
        return
    told = [*_page(facts), *_ports(facts), *_addresses(facts), *_servers(facts)]
    yield from told
    if all(one.level < Level.WARN for one in told):
        yield _found(Level.OK, f"{facts.seats} people at a time may listen and talk by the browser")


def _page(facts: AudioFacts) -> Iterator[Finding]:
    """Browsers give a microphone to secure contexts only (W3C: https, or localhost)."""
    url = urlsplit(facts.url)
    do = "a proxy with a certificate before the console, and console.url with https (ops/console.md)"
    if url.scheme == "http" and url.hostname not in LOCAL:
        words = (
            f"browsers give no microphone to {facts.url}: people can listen there, but neither talk nor call"
        )
        yield _found(Level.WARN, words, do)
    elif not facts.url and facts.bind not in LOCAL:
        words = f"people who reach the console at {facts.bind} by http have no microphone there"
        yield _found(Level.WARN, words, do)


def _ports(facts: AudioFacts) -> Iterator[Finding]:
    first, last = facts.ports
    if not first:
        words = "any UDP port may be used for the audio of browsers: a firewall would have to let all in"
        yield _found(Level.NOTE, words, "console.audio.ports, such as 30000-30099")
        return
    count = last - first + 1
    needed = facts.seats * max(len(_outer(facts.local)), 1)
    if facts.taken:
        shown = ", ".join(f"{port} ({who})" for port, who in facts.taken[:3])
        words = f"{len(facts.taken)} UDP ports of {first}-{last} are used by other programs: {shown}"
        yield _found(Level.WARN, words, "move console.audio.ports, or those programs")
    if count - len(facts.taken) < needed:
        words = f"{count - len(facts.taken)} free UDP ports are too few: {facts.seats} seats take one for each address"
        yield _found(
            Level.WARN, f"{words} of this machine, {needed}", "widen console.audio.ports, or fewer seats"
        )


def _addresses(facts: AudioFacts) -> Iterator[Finding]:
    """What browsers are told to send to. Loopback addresses are never told (RFC 8445 section 5.1.1.1)."""
    relayed = any(one.startswith("turn") for one in facts.servers)
    outer = _outer(facts.local)
    if facts.address:
        if _nowhere(facts.address):
            words = f"console.audio.address is {facts.address}: no browser on another machine reaches it"
            yield _found(Level.WARN, words, "the address at which the router lets the UDP ports in")
        elif not facts.ports[0] and not any(one == facts.address for one in facts.local):
            words = f"browsers are told {facts.address}, but a router can forward no port that is not known before"
            yield _found(Level.WARN, words, "console.audio.ports, and forward those")
    elif not outer and not relayed:
        words = "this machine has no address besides the loopback's: browsers are told none to send audio to"
        yield _found(Level.WARN, words, "a network address, or console.audio.address")
    elif _global(facts.host_at) and not any(_global(one) for one in outer) and not relayed:
        words = f"people come to {facts.url} ({facts.host_at}), but browsers are told private addresses only"
        yield _found(Level.WARN, words, "console.audio.address: the address outside; or a TURN server")


def _servers(facts: AudioFacts) -> Iterator[Finding]:
    if any(one.startswith("turn") for one in facts.servers) and not facts.password:
        words = "TURN servers are named without a password: hardly one lets anybody in"
        yield _found(Level.WARN, words, "console.audio.ice_user and ice_password_env")


def _outer(local: tuple[str, ...]) -> list[str]:
    """Those that ICE tells of: no loopback, no link-local address of IPv6."""
    return [one for one in local if not _loopback(one) and not one.startswith("fe80:")]


def _nowhere(address: str) -> bool:
    return address in {"0.0.0.0", "::"} or _loopback(address)  # noqa: S104  # nobody binds it


def _loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _global(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _found(level: Level, words: str, do: str = "") -> Finding:
    return Finding(SECTION, level, words, do)
