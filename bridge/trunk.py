"""A SIP trunk (a carrier, a PBX): where its calls come from and go to, and how we behave towards it. A plan holds them.

The dialplan compiles them (bridge/dialplan/compile_trunks.py), the SIP side follows them (bridge/sip/trunkdesk.py);
both import this. No secret is in it: a password is named by the environment variable of control that holds it.

Worker-safe: standard library only. Pure: no I/O, any thread.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Literal

from bridge.errors import SipError

Use = Literal["off", "optional", "required"]
DtmfMode = Literal["rfc4733", "info"]

MAX_IDENTITIES = 7
"""pjsua as compiled has eight accounts (PJSUA_MAX_ACC), one is the worker's own; a ninth aborts the process."""

OWN_HEADERS = frozenset({
    "Accept", "Accept-Encoding", "Accept-Language", "Allow", "Authorization", "Call-ID", "Contact", "Content-Encoding",
    "Content-Length", "Content-Type", "CSeq", "From", "Max-Forwards", "P-Asserted-Identity", "P-Preferred-Identity",
    "Privacy", "Proxy-Authorization", "Record-Route", "Refer-To", "Referred-By", "Replaces", "Require", "Route", "To",
    "Supported", "Via",
})  # fmt: skip
"""Headers that the SIP side makes itself: no plan sets them, in a request or in a URI (RFC 3261 section 19.1.5)."""

EDGE_HEADERS = "x-sipbridge-"
"""Prefix, in lower case, of the headers by which our own edge speaks to a worker (bridge/sip/edge.py)."""

_NUMBER = re.compile(r"\+?[A-Za-z0-9*#_.-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Registration:
    """REGISTER (RFC 3261 section 10): `user` at `registrar` (HOST[:PORT]) is to be found at our address."""

    registrar: str
    user: str
    expires_s: int = 600


@dataclass(frozen=True, slots=True)
class Digest:
    """Who we say we are when we are challenged (RFC 3261 section 22). An empty `realm`: any."""

    user: str
    realm: str = ""
    password_env: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """The answer to a digest challenge: `value` is the password, or with `ha1` MD5(user:realm:password) in hex."""

    user: str
    realm: str
    value: str = field(repr=False)
    ha1: bool = False


@dataclass(frozen=True, slots=True)
class CallerId:
    """What calls to the trunk say of us.

    `number` and `display` stand in From unless the call asks for a number that fits `allowed` (a number, or a prefix
    with * at its end). `asserted`: P-Asserted-Identity too (RFC 3325). `anonymous`: From hides it (RFC 3323).
    """

    number: str = ""
    display: str = ""
    host: str = ""
    allowed: tuple[str, ...] = ()
    asserted: bool = False
    anonymous: bool = False

    def allows(self, number: str) -> bool:
        """Whether a call may show this number."""
        return any(
            number.startswith(one[:-1]) if one.endswith("*") else number == one for one in self.allowed
        )


@dataclass(frozen=True, slots=True)
class Trunk:
    """One trunk. `addresses`: networks its calls come from. `host`: HOST[:PORT] calls to it go to; "": none do.

    `codecs` empty: those of the settings. `session_timer`: RFC 4028. `prack`: RFC 3262. `dtmf`: how we send digits.
    `options_every_s`: 0 is never. `verstat`: what it says of the caller's number is believed. `login`: with which
    password its calls have to come; the edge asks for it (ops/edge.md).
    """

    name: str
    addresses: tuple[str, ...] = ()
    host: str = ""
    register: Registration | None = None
    digest: Digest | None = None
    proxy: str = ""
    caller_id: CallerId = field(default_factory=CallerId)
    codecs: tuple[str, ...] = ()
    session_timer: Use = "optional"
    session_expires_s: int = 1800
    prack: Use = "off"
    dtmf: DtmfMode = "rfc4733"
    options_every_s: int = 0
    verstat: bool = False
    login: Digest | None = None
    target: str = "sip:{number}@{host}"

    @property
    def route(self) -> str:
        """HOST[:PORT] of the proxy that requests go through; "" when they go straight to `host`."""
        return self.proxy or (self.host if self.target.startswith("tel:") else "")

    @property
    def identity(self) -> tuple[object, ...]:
        """What its pj account is made of. Trunks with equal ones share one account."""
        return self.register, self.digest, self.route, self.session_timer, self.session_expires_s, self.prack

    @property
    def plain(self) -> bool:
        """Whether the worker's own account does for it."""
        return self.identity == Trunk("").identity

    def uri(self, number: str) -> str:
        """The URI to dial for `number`, by the `target` template. Raises SipError when that is not possible."""
        if not self.host and "{host}" in self.target:
            raise SipError(503, f"trunk {self.name} has no host: no call goes to it")
        if not _NUMBER.match(number):
            raise SipError(484, f"{number[:40]!r} is no number to dial")
        return self.target.replace("{number}", number.replace("#", "%23")).replace("{host}", self.host)


def line_token(registration: Registration, credential: Credential | None) -> str:
    """The `line` parameter of a registered Contact: only the registrar is told, and every worker makes the same.

    So a call that the edge gives to any worker is known by it. Derived from the password, which whoever sees the token
    learns no more of than from a digest; without one there is no secret that workers share, and "" is the answer.
    """
    if credential is None:
        return ""
    text = f"line {registration.user}@{registration.registrar}".encode()
    return hmac.new(credential.value.encode(), text, hashlib.sha256).hexdigest()[:32]


def identities(trunks: tuple[Trunk, ...]) -> int:
    """How many accounts of pjsua the trunks need; at most MAX_IDENTITIES."""
    return len({trunk.identity for trunk in trunks if not trunk.plain})
