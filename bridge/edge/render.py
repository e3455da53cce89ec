"""The configurations of Kamailio and rtpengine, out of the settings: text in, text out.

    Settings + Place(folder, ports, secret) ──kamailio_cfg──► kamailio.cfg      ops/kamailio/kamailio.cfg.j2
                                            ──rtpengine_conf─► rtpengine.conf
                                            ──tls_cfg────────► tls.cfg

What changes while they run is not here: bridge/edge/tables.py. Pure but for reading the template once. Not worker-safe.
"""

import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from bridge.settings import Settings

TEMPLATE = Path(__file__).parents[2] / "ops" / "kamailio" / "kamailio.cfg.j2"
CALL_MARGIN_S = 600
"""A call's place in the load of its worker is given back so long after its longest time, should its BYE never come."""
RING_MARGIN_S = 10
TCP_READ_MARGIN = 1024
_NO_QUOTES = str.maketrans("", "", '"\\')
"""What would end, or not end, a text in a configuration."""
SILENT_TCP_S = 30
"""Who connects and says nothing is hung up on: there are only so many connections."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this edge is on its machine. `secret`: 32 hex digits that sign our Record-Route and hide addresses."""

    folder: str
    sip_port: int
    secret: str


def kamailio_cfg(settings: Settings, place: Place) -> str:
    """The whole kamailio.cfg."""
    edge, sip = settings.edge, settings.sip
    inner = host_port(edge.inner, edge.inner_port)
    outer = host_port(sip.public_address or sip.bind, place.sip_port)
    return _template().render(
        processes=edge.processes,
        user_agent=sip.user_agent.translate(_NO_QUOTES),
        message_bytes=edge.limits.message_bytes,
        message_bytes_read=edge.limits.message_bytes + TCP_READ_MARGIN,
        tcp="tcp" in edge.transports or edge.tls is not None or edge.websocket is not None,
        silent_tcp_s=SILENT_TCP_S,
        tls=edge.tls is not None,
        websocket=edge.websocket is not None,
        websocket_port=edge.websocket.port if edge.websocket else 0,
        origins="|".join(re.escape(origin) for origin in edge.websocket.origins) if edge.websocket else "",
        listens=_listens(settings, place),
        outside=_outside(settings, place),
        outer=outer,
        outer_pattern=re.escape(outer),
        inner=inner,
        inner_ip=inner.rpartition(":")[0],
        inner_port=edge.inner_port,
        folder=place.folder,
        ring_ms=(settings.limits.ring_max_s + RING_MARGIN_S) * 1000,
        call_expire_s=settings.limits.max_call_s + CALL_MARGIN_S,
        probe_every_s=edge.probe_every_s,
        worker_answer_ms=edge.worker_answer_ms,
        control_port=edge.control_port,
        secret=place.secret,
        hidden_ip=hidden_ip(sip.public_address or sip.bind),
        strangers=edge.strangers,
        realm=edge.realm,
        no_ha1=no_ha1(place.secret),
        console_word=console_word(place.secret),
        deny=bool(edge.deny),
        wide=settings.pool.wide_workers > 0 or settings.workers == 0,
        overflow=edge.overflow,
        retry_after_s=edge.retry_after_s,
        srtp=edge.srtp,
        audio_from=edge.audio_from,
        **{key: value for key, value in edge.limits.model_dump().items() if key != "message_bytes"},
    )


def rtpengine_conf(settings: Settings) -> str:
    """The whole rtpengine.conf: userspace only, RTP of outside and inside from the same ports."""
    sip, edge = settings.sip, settings.edge
    first, last = sip.rtp_ports.split("-")
    public = f"pub/{sip.bind}" + (f"!{sip.public_address}" if sip.public_address else "")
    keys: dict[str, Any] = {
        "table": -1,
        "interface": f"{public};priv/{edge.inner}",
        "listen-ng": f"127.0.0.1:{edge.control_port}",
        "port-min": first,
        "port-max": last,
        "timeout": settings.limits.hold_max_s + settings.limits.rtp_timeout_s,
        "silent-timeout": settings.limits.hold_max_s + settings.limits.rtp_timeout_s,
        "offer-timeout": settings.limits.ring_max_s + CALL_MARGIN_S,
        "final-timeout": settings.limits.max_call_s + CALL_MARGIN_S,
        "delete-delay": 0,
        "endpoint-learning": "heuristic",
        "reject-invalid-sdp": "true",
        "num-threads": edge.media_threads,
        "tos": 184,
        "log-level": 4,
        "log-stderr": "true",
        "foreground": "true",
        "no-log-timestamps": "true",
        "software-id": sip.user_agent.translate(_NO_QUOTES),
    }
    head = "# Rendered from the settings of sipbridge; see ops/edge.md.\n[rtpengine]\n"
    return head + "".join(f"{key} = {value}\n" for key, value in keys.items())


def tls_cfg(settings: Settings, place: Place) -> str:
    """tls.cfg: TLS 1.2 and newer; certificate and key are copies in the edge's folder (bridge/edge/folder.py)."""
    tls = settings.edge.tls
    if tls is None:
        return ""
    common = (
        "method = TLSv1.2+\n"
        f"private_key = {place.folder}/tls/key.pem\ncertificate = {place.folder}/tls/cert.pem\n"
        "cipher_list = ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL\n"
    )
    if (
        tls.ca
    ):  # each of Kamailio's processes reads it: no list of all the world's (measured: 50 s, out of memory)
        common += f"ca_list = {place.folder}/tls/ca.pem\n"
    asked = "yes" if tls.ask_client else "no"
    server = f"[server:default]\n{common}verify_certificate = {asked}\nrequire_certificate = {asked}\n"
    checked = "yes" if tls.verify else "no"
    return f"{server}\n[client:default]\n{common}verify_certificate = {checked}\nrequire_certificate = yes\n"


def no_ha1(secret: str) -> str:
    """Compared with the answer of a user that does not exist. Who knows an HA1 needs no password, so it is secret."""
    return hmac.new(secret.encode(), b"nobody", hashlib.sha256).hexdigest()[:32]


def console_word(secret: str) -> str:
    """By which the edge knows a call of this node's own console (bridge/control_seats.py)."""
    return hmac.new(secret.encode(), b"console", hashlib.sha256).hexdigest()[:32]


def host_port(address: str, port: int) -> str:
    """`1.2.3.4:5060`, `[2001:db8::1]:5060`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def hidden_ip(address: str) -> str:
    """What stands for a worker's address outside: ours. Kamailio wants no loopback there, so those get a neighbour."""
    if ipaddress.ip_address(address).is_loopback:
        return "127.0.0.8"
    return f"[{address}]" if ":" in address else address


def _listens(settings: Settings, place: Place) -> list[str]:
    lines = []
    for scheme, address in _sockets(settings, place):
        port = address.rpartition(":")[2]
        advertised = settings.sip.public_address
        more = f" advertise {host_port(advertised, int(port))}" if advertised else ""
        lines.append(f"{scheme}:{address}{more}")
    return lines


def _sockets(settings: Settings, place: Place) -> list[tuple[str, str]]:
    edge, bind = settings.edge, settings.sip.bind
    sockets: list[tuple[str, str]] = [(scheme, host_port(bind, place.sip_port)) for scheme in edge.transports]
    if edge.tls:
        sockets.append(("tls", host_port(bind, edge.tls.port)))
    if edge.websocket:
        scheme = "tls" if edge.websocket.secure else "tcp"
        sockets.append((scheme, host_port(bind, edge.websocket.port)))
    return sockets


def _outside(settings: Settings, place: Place) -> list[tuple[str, str]]:
    """The socket we send from, by the transport of the next hop."""
    edge, bind = settings.edge, settings.sip.bind
    main = host_port(bind, place.sip_port)
    found: list[tuple[str, str]] = [(scheme, f"{scheme}:{main}") for scheme in edge.transports]
    if edge.tls:
        found.append(("tls", f"tls:{host_port(bind, edge.tls.port)}"))
    if edge.websocket:
        scheme = "tls" if edge.websocket.secure else "tcp"
        found.append(("wss?", f"{scheme}:{host_port(bind, edge.websocket.port)}"))
    return found


@cache
def _template() -> Template:
    environment = Environment(  # noqa: S701  # it is no HTML
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
