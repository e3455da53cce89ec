"""The settings of the edge: Kamailio and rtpengine between the network and the workers.

Not worker-safe (pydantic). Pure. What becomes of them: bridge/edge/; for people: ops/edge.md.
"""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.settings_base import (
    FilePath,
    Network,
    Port,
    RtpPorts,
    Section,
    SipAddress,
    too_open,
)

Transport = Literal["udp", "tcp"]


def _sip_uri(value: str) -> str:
    if not value.startswith("sip:") or any(char.isspace() or char in '"<>;?$\\' for char in value):
        raise ValueError("a SIP address without parameters is needed | for example sip:queue@10.0.0.9:5060")
    return value


def _inner_socket(value: str) -> str:
    address, _, port = value.rpartition(":")
    try:
        inside = not ipaddress.ip_address(address.strip("[]")).is_global
    except ValueError:
        inside = False
    if not inside or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("a private address and a port are needed | for example 10.0.0.5:5090")
    return value


InnerSocket = Annotated[str, Field(max_length=64), AfterValidator(_inner_socket)]
SipUri = Annotated[str, Field(min_length=5, max_length=255), AfterValidator(_sip_uri)]
UserName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
PerSecond = Annotated[int, Field(ge=1, le=100_000)]


class EdgeTls(Section):
    """SIP over TLS. Certificate and key are read again when the files change."""

    port: Port = Field(default=5061, description="TCP port of sip.bind for TLS.")
    certificate: FilePath = Field(default=..., description="Certificate chain, PEM.")
    key: FilePath = Field(default=..., description="Its private key, PEM, without a password.")
    ca: FilePath | None = Field(
        default=None,
        description="Certificates of the authorities that `verify` and `ask_client` trust, PEM. The few you need: each "
        "of Kamailio's processes reads them all.",
    )
    verify: bool = Field(
        default=True,
        description="Check the certificate of a server we connect to (calls to a trunk by TLS) by `ca`; without `ca` "
        "no such connection comes about.",
    )
    ask_client: bool = Field(
        default=False, description="Demand a certificate from whoever connects, signed by one of `ca`."
    )


class EdgeWebSocket(Section):
    """SIP over WebSocket (RFC 7118), for browsers; media is DTLS-SRTP with ICE."""

    port: Port = Field(default=8443, description="TCP port of sip.bind.")
    secure: bool = Field(
        default=True, description="wss with the certificate of edge.tls; false: ws, for tests."
    )
    origins: list[Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:-]{1,253}$")]] = Field(
        default_factory=list,
        max_length=32,
        description="Web pages (https://HOST) from which a browser may connect; none: any.",
    )


class EdgeLimits(Section):
    """What is too much."""

    calls_per_s: PerSecond = Field(
        default=100, description="New calls a second of everybody; more get 503 with Retry-After."
    )
    source_calls_per_s: PerSecond = Field(default=30, description="New calls a second of one address.")
    stranger_requests_per_s: PerSecond = Field(
        default=15,
        description="Requests a second of one address that is no trunk's; more and it is banned. Trunks are never "
        "banned.",
    )
    strangers_per_s: PerSecond = Field(
        default=500,
        description="Requests a second of all addresses that are no trunk's, but for those of calls that are up; more "
        "are not heard. Each address is remembered for a minute (350 bytes of edge.memory_mb), and a flood can forge "
        "any number of them.",
    )
    strikes: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Requests within a minute, of an address that is no trunk's, that nothing of ours fits (no known "
        "dialog, a wrong password); more and it is banned.",
    )
    ban_s: int = Field(default=300, ge=10, le=86_400, description="How long an address is banned.")
    message_bytes: int = Field(
        default=16_384, ge=2048, le=65_000, description="Largest SIP message; more gets 513."
    )
    crypto_lines: int = Field(
        default=8, ge=1, le=64, description="Most a=crypto lines in an SDP; more gets 488."
    )


class Edge(Section):
    """The hardened edge: Kamailio for SIP and rtpengine for audio, started and watched by the bridge."""

    enabled: bool = Field(
        default=False,
        description="Put Kamailio and rtpengine in front of the workers; sip.bind, sip.port, sip.rtp_ports and "
        "sip.public_address are then theirs, and sip.bind may be a public address.",
    )
    at: list[InnerSocket] = Field(
        default_factory=list,
        max_length=8,
        description="On a node whose edge is another host: that edge's inner socket, ADDRESS:PORT (edge.inner and "
        "edge.inner_port over there). The workers then hear nobody else.",
    )
    workers_bind: SipAddress = Field(
        default="127.0.0.1",
        description="IP address the workers bind: loopback, or on several nodes the node's own private address.",
    )
    workers_port: Port = Field(
        default=15060, description="UDP port of the first worker's slot; slot i: port + i."
    )
    workers_rtp_ports: RtpPorts = Field(
        default="40000-47999", description="UDP ports for the workers' RTP, shared out among the slots."
    )
    inner: SipAddress = Field(
        default="127.0.0.1",
        description="IP address of the edge towards the workers, for SIP and audio; with workers on several nodes a "
        "private address that they reach.",
    )
    inner_port: Port = Field(
        default=5090, description="UDP port of the edge's SIP socket towards the workers."
    )
    transports: list[Transport] = Field(
        default=["udp", "tcp"], min_length=1, max_length=2, description="Transports on sip.port."
    )
    tls: EdgeTls | None = Field(default=None, description="SIP over TLS; none when left out.")
    websocket: EdgeWebSocket | None = Field(
        default=None, description="SIP over WebSocket; none when left out."
    )
    srtp: Literal["off", "optional", "required"] = Field(
        default="optional",
        description="SRTP with keys in the SDP (SDES): off refuses it with 488; optional takes it on a call that came "
        "by TLS, where nobody on the way can read the keys; required refuses calls by TLS without it.",
    )
    audio_from: Literal["sdp", "first_packet"] = Field(
        default="sdp",
        description="Whose audio is taken: sdp: only what comes from the address and port that the other side said; "
        "for a phone behind NAT (a private address in its SDP) from wherever its first packet came. first_packet: that "
        "for everybody, for trunks that send from another port than they say; who is faster than the trunk is heard.",
    )
    strangers: Literal["drop", "reject", "accept"] = Field(
        default="drop",
        description="What a call gets that comes from no trunk of the dialplan (trunks.NAME.addresses, .digest or "
        ".register): no answer at all, 403, or it is taken. accept is for phones in a closed network.",
    )
    realm: str = Field(
        default="sipbridge",
        pattern=r"^[A-Za-z0-9.-]{1,64}$",
        description="Realm of the digest challenge for trunks with digest.",
    )
    deny: list[Network] = Field(
        default_factory=list, max_length=256, description="Addresses or networks that are never heard."
    )
    overflow: SipUri | None = Field(
        default=None,
        description="Where calls go when no worker is free, such as a PBX's queue: sip:queue@10.0.0.9. None: 503 with "
        "Retry-After.",
    )
    retry_after_s: int = Field(default=5, ge=1, le=3600, description="Retry-After of a 503.")
    worker_answer_ms: int = Field(
        default=1000,
        ge=100,
        le=10_000,
        description="A worker that says nothing at all to a call for so long is passed over for the next one.",
    )
    probe_every_s: int = Field(default=5, ge=1, le=300, description="Between two OPTIONS to a worker.")
    processes: int = Field(default=4, ge=1, le=64, description="Kamailio's processes for each UDP socket.")
    memory_mb: int = Field(default=64, ge=16, le=65_536, description="Kamailio's shared memory.")
    media_threads: int = Field(default=2, ge=1, le=64, description="rtpengine's threads.")
    control_port: Port = Field(
        default=2223, description="UDP port of 127.0.0.1 by which Kamailio commands rtpengine."
    )
    user: UserName = Field(
        default="kamailio",
        description="User that Kamailio runs as when the bridge is started by root; rtpengine runs as `media_user`.",
    )
    media_user: UserName = Field(default="rtpengine", description="User that rtpengine runs as, likewise.")
    limits: EdgeLimits = Field(default_factory=EdgeLimits, description="What is too much.")

    @property
    def behind(self) -> bool:
        """Whether this node's workers have an edge before them, here or on another host."""
        return self.enabled or bool(self.at)

    @property
    def inner_sockets(self) -> tuple[str, ...]:
        """IP:PORT of the sockets that this node's workers listen to."""
        address = f"[{self.inner}]" if ":" in self.inner else self.inner
        own = (f"{address}:{self.inner_port}",) if self.enabled else ()
        return (*own, *self.at)


def edge_rules(edge: Edge, bind: str, port: int, workers: int) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(key, mistake, hint) that only show when several keys are seen together; `bind`, `port`: of `sip`."""
    if not edge.enabled:
        if problem := too_open(bind):
            message, _, hint = problem.partition(" | ")
            yield ("sip", "bind"), message, hint
        if workers == 0:
            yield ("workers",), "without workers only an edge makes sense", "set edge.enabled, or workers: 1"
        return
    if ipaddress.ip_address(bind).is_unspecified:
        yield ("sip", "bind"), "the edge must know its own address", "name one address of this machine"
    if edge.websocket and edge.websocket.secure and not edge.tls:
        yield ("edge", "websocket"), "wss needs a certificate", "add edge.tls, or secure: false for tests"
    if edge.tls and edge.tls.ask_client and not edge.tls.ca:
        yield ("edge", "tls", "ask_client"), "by what are certificates to be checked?", "add edge.tls.ca"
    if edge.srtp == "required" and not edge.tls:
        yield ("edge", "srtp"), "keys of SRTP are taken over TLS only", "add edge.tls"
    yield from _same_port(edge, bind, port)


def _same_port(edge: Edge, bind: str, port: int) -> Iterator[tuple[tuple[str, ...], str, str]]:
    taken = [("sip", "port", port, bind)]
    if edge.tls:
        taken.append(("edge.tls", "port", edge.tls.port, bind))
    if edge.websocket:
        taken.append(("edge.websocket", "port", edge.websocket.port, bind))
    for section, key, number, _ in taken:  # by its port Kamailio knows where a request came in
        if number == edge.inner_port:
            yield ("edge", "inner_port"), f"{number} is {section}.{key} too", "use another port"
    taken.append(("edge", "inner_port", edge.inner_port, edge.inner))
    taken.append(("edge", "workers_port", edge.workers_port, edge.workers_bind))
    seen: dict[tuple[str, int], str] = {}
    for section, key, number, address in taken:
        if (address, number) in seen and number != edge.inner_port:
            yield (*section.split("."), key), f"{number} is {seen[address, number]} too", "use another port"
        seen.setdefault((address, number), f"{section}.{key}")


__all__ = ["Edge", "EdgeLimits", "EdgeTls", "EdgeWebSocket", "edge_rules"]
