"""Judgement about the network: ports, addresses and NAT, certificates, a call to ourselves. Pure.

The facts are gathered by gather_network.py and selfcall.py.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bridge.doctor.finding import Finding, Level

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class PortFacts:
    """A port that the settings name. `state`: free, ours, taken, or why it cannot be bound at all; `who` has it."""

    what: str
    proto: str
    address: str
    port: int
    state: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class AddressFacts:
    """`local`: of this machine's interfaces. `peers`: (name, address) of trunks and targets. `edge`: it is in front."""

    bind: str
    public: str | None
    local: tuple[str, ...]
    edge: bool = False
    peers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """`error`: it cannot be read at all. Times are unix seconds. `names`: whom it is for."""

    path: str
    error: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    names: tuple[str, ...] = ()
    issuer: str = ""
    self_signed: bool = False
    chain_broken: str = ""
    alone: bool = False
    key_error: str = ""
    key_matches: bool = True
    key_mode: int = 0o600


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What a call to ourselves saw. `status` 0: no answer. `from_address`: where the RTP really came from."""

    uri: str
    status: int = 0
    reason: str = ""
    setup_ms: float = 0.0
    number: str = ""
    sdp_address: str = ""
    sdp_port: int = 0
    codecs: tuple[str, ...] = ()
    packets: int = 0
    loud_packets: int = 0
    from_address: str = ""
    error: str = ""


def ports(all_facts: Sequence[PortFacts], *, running: bool) -> Iterator[Finding]:
    """Free when nothing runs, ours when it does."""
    good = 0
    for facts in all_facts:
        here = f"{facts.what}: {facts.address}:{facts.port}/{facts.proto}"
        match (facts.state, running):
            case ("ours", True) | ("free", False):
                good += 1
            case ("free", True):
                do = "see the bridge's log: the process that should listen did not start"
                yield Finding("ports", Level.FAIL, f"{here}: nobody listens, although the bridge runs", do)
            case ("ours", False) | ("taken", _):
                do = f"stop {facts.who or 'it'}, or set another port"
                yield Finding("ports", Level.FAIL, f"{here} is taken by {facts.who or 'another program'}", do)
            case _:
                yield Finding(
                    "ports",
                    Level.FAIL,
                    f"{here}: {facts.state}",
                    "set sip.bind to an address of this machine",
                )
    if good:
        yield Finding("ports", Level.OK, f"{good} ports are {'ours' if running else 'free'}")


def foreign_rtp(taken: Sequence[tuple[int, str]], first: int, last: int) -> Iterator[Finding]:
    """(port, who) of sockets of others in the RTP range."""
    if taken:
        shown = ", ".join(f"{port} ({who})" for port, who in taken[:3])
        words = f"{len(taken)} UDP ports of {first}-{last} are used by other programs: {shown}"
        yield Finding(
            "ports",
            Level.WARN,
            words,
            "move sip.rtp_ports, or those programs: a call on such a port is refused",
        )


def addresses(facts: AddressFacts) -> Iterator[Finding]:
    """What we write into Contact and SDP, against where we are and who shall reach us."""
    bind, public = ipaddress.ip_address(facts.bind), ipaddress.ip_address(facts.public or facts.bind)
    if facts.bind not in facts.local and not bind.is_unspecified and not bind.is_loopback:
        here = ", ".join(facts.local) or "none"
        yield Finding(
            "addresses",
            Level.FAIL,
            f"sip.bind {bind} is not an address of this machine ({here})",
            "see ip -br addr",
        )
        return
    far = [(name, where) for name, where in facts.peers if not _loopback(where)]
    outside = [(name, where) for name, where in far if _global(where)]
    if public.is_loopback and far:
        name, where = far[0]
        words = (
            f"we say {public} in SDP and Contact, but {name} is at {where}: calls would have no audio, if any"
        )
        yield Finding(
            "addresses",
            Level.FAIL,
            words,
            "sip.bind: an address that it reaches; sip.public_address behind NAT",
        )
    elif outside and not public.is_global:
        name, where = outside[0]
        words = f"we say {public}, a private address, to {name} on the internet ({where}): no audio would reach us"
        do = "sip.public_address: the address of the NAT, which forwards the SIP and RTP ports here"
        yield Finding("addresses", Level.FAIL, words, do)
    elif facts.public and facts.public not in facts.local and not public.is_global:
        words = f"sip.public_address {public} is neither ours nor public"
        yield Finding("addresses", Level.WARN, words, "right only behind a NAT into another private network")
    else:
        yield Finding(
            "addresses", Level.OK, f"SIP and SDP say {public}" + ("" if facts.edge else ", no edge in front")
        )
    if bind.is_global and not facts.edge:
        yield Finding(
            "addresses", Level.FAIL, f"{bind} is public and no edge is in front", "edge: {enabled: true}"
        )


def certificates(
    all_facts: Iterable[CertificateFacts], *, now: float, names: Sequence[str]
) -> Iterator[Finding]:
    """`names`: by which peers connect to us; empty: nobody said."""
    for facts in all_facts:
        if facts.error:
            yield Finding(
                "certificates", Level.FAIL, f"{facts.path}: {facts.error}", "a PEM file with the whole chain"
            )
            continue
        problems = list(_of_certificate(facts, now, names))
        yield from problems
        if not problems:
            days = (facts.not_after - now) / DAY_S
            yield Finding(
                "certificates", Level.OK, f"{facts.path}: {', '.join(facts.names[:3])}, {days:.0f} days left"
            )


def _of_certificate(facts: CertificateFacts, now: float, names: Sequence[str]) -> Iterator[Finding]:
    missing = [name for name in names if not any(_matches(name, known) for known in facts.names)]
    days = (facts.not_after - now) / DAY_S
    readable = not facts.key_error and facts.key_matches and bool(facts.key_mode & 0o007)
    alone = facts.alone and not facts.self_signed
    pair = "edge.tls.key and edge.tls.certificate of one pair"
    table = (
        (
            days < 0,
            Level.FAIL,
            f"expired {-days:.0f} days ago",
            "renew it; it is read again without a restart",
        ),
        (
            0 <= days < 21,
            Level.WARN,
            f"expires in {days:.0f} days",
            "renew it; see why nothing renewed it by itself",
        ),
        (now < facts.not_before, Level.FAIL, "is not valid yet", "see the clock"),
        (
            bool(facts.key_error),
            Level.FAIL,
            facts.key_error,
            "a PEM key without a password, readable for the bridge",
        ),
        (not facts.key_matches, Level.FAIL, "the key belongs to another certificate", pair),
        (
            readable,
            Level.WARN,
            "its key can be read by every account",
            "chmod o= of the key; then replace it",
        ),
        (
            bool(facts.chain_broken),
            Level.FAIL,
            facts.chain_broken,
            "append the intermediates (fullchain.pem)",
        ),
        (
            facts.self_signed,
            Level.WARN,
            "is signed by itself: carriers will refuse it",
            "one of a public authority",
        ),
        (
            alone,
            Level.WARN,
            f"its issuer ({facts.issuer}) is not in the file",
            "append the intermediates (fullchain.pem)",
        ),
        (
            bool(missing),
            Level.WARN,
            f"is not for {', '.join(missing)}",
            f"it is for {', '.join(facts.names) or 'nobody'}",
        ),
    )
    for wrong, level, words, do in table:
        if wrong:
            yield Finding("certificates", level, f"{facts.path}: {words}", do)


def call(facts: CallFacts, *, edge: bool, expected: str) -> Iterator[Finding]:
    """OPTIONS (no `number`) or a whole call. `expected`: the address we mean to say in SDP."""
    if facts.error:
        yield Finding("call", Level.FAIL, f"{facts.uri}: {facts.error}", "see the bridge's log")
        return
    if facts.status == 0:
        if edge:
            words = f"{facts.uri} does not answer us: the edge drops who is no trunk"
            yield Finding(
                "call",
                Level.NOTE,
                words,
                "to test through it, make 127.0.0.1 a trunk of the plan, or call from one",
            )
            return
        yield Finding(
            "call",
            Level.FAIL,
            f"{facts.uri} does not answer",
            "see whether a worker runs and what its log says",
        )
        return
    if not facts.number:
        yield Finding(
            "call", Level.OK, f"{facts.uri} answers OPTIONS with {facts.status} after {facts.setup_ms:.0f} ms"
        )
        return
    yield from _whole_call(facts, expected)


def _whole_call(facts: CallFacts, expected: str) -> Iterator[Finding]:
    if facts.status != 200:
        words = f"a call to {facts.number} got {facts.status} {facts.reason}"
        do = f"sipbridge dialplan explain --to {facts.number}"
        yield Finding("call", Level.FAIL, words, "all lines are taken" if facts.status == 503 else do)
        return
    where = f"{facts.sdp_address}:{facts.sdp_port}"
    if facts.sdp_address != expected:
        words = f"SDP says {facts.sdp_address}, the settings mean {expected}"
        yield Finding(
            "call", Level.WARN, words, "see sip.public_address; with the edge, rtpengine's interface"
        )
    if not facts.codecs:
        yield Finding("call", Level.FAIL, "the answer has no codec we offered (PCMU, PCMA)", "see sip.codecs")
    if facts.packets == 0:
        words = f"the call to {facts.number} was answered, but no audio came from {where}"
        yield Finding("call", Level.FAIL, words, "a firewall between RTP ports, or a wrong address in SDP")
    elif facts.from_address and facts.from_address != facts.sdp_address:
        words = f"audio came from {facts.from_address}, SDP says {facts.sdp_address}: a peer that checks will drop it"
        yield Finding("call", Level.WARN, words, "NAT without sip.public_address, or a second route out")
    elif facts.loud_packets == 0:
        words = f"{facts.packets} packets came, all silent"
        yield Finding("call", Level.WARN, words, "a number whose route speaks tells more")
    else:
        words = f"a call to {facts.number} was answered after {facts.setup_ms:.0f} ms and heard {facts.packets} packets"
        yield Finding("call", Level.OK, f"{words} of {facts.codecs[0]} from {where}")


def _global(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return text == "localhost"


def _matches(name: str, pattern: str) -> bool:
    """RFC 6125 section 6.4.3: a star stands for one label, the first."""
    name, pattern = name.lower(), pattern.lower()
    return name == pattern or (
        pattern.startswith("*.") and name.partition(".")[2] == pattern[2:] and "." in name
    )
