"""Trunks as a person writes them. Compiled to bridge/trunk.py.

Not worker-safe (pydantic). Pure.
"""

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.dialplan.schema_base import ONE_OR_MORE, OrWord, Part, listed

HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,126}[A-Za-z0-9])?)"
USER = r"\+?[A-Za-z0-9*#_.-]{1,64}"


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        hint = "for example 198.51.100.7 or 198.51.100.0/24"
        if "host bits" in str(error):
            hint = f"the network is {ipaddress.ip_network(text, strict=False)}"
        raise ValueError(f"{text[:60]} is no address or network | {hint}") from None


def _as_mode(value: Any) -> Any:
    return {"mode": value} if isinstance(value, str) else value


def _template(text: str) -> str:
    rest = text.replace("{number}", "", 1).replace("{host}", "", 1)
    if "{number}" not in text or "{" in rest or "}" in rest:
        raise ValueError('a target has {number} once, and {host} at most once | "sip:{number}@{host}"')
    return text


HostPort = Annotated[str, Field(pattern=rf"^{HOST}(:[0-9]{{1,5}})?$")]
User = Annotated[str, Field(pattern=rf"^{USER}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Realm = Annotated[str, Field(min_length=1, max_length=128, pattern=r'^[^"\\\r\n]+$')]
Display = Annotated[str, Field(min_length=1, max_length=64, pattern=r'^[^"\\<>\r\n]+$')]
Shown = Annotated[str, Field(pattern=rf"^{USER}\*?$")]
Network = Annotated[str, Field(min_length=2, max_length=64), AfterValidator(_network)]
Networks = Annotated[list[Network], BeforeValidator(listed), Field(min_length=1, max_length=256), ONE_OR_MORE]
Template = Annotated[
    str, Field(pattern=r"^(sip|tel):[A-Za-z0-9_.!~*'(){}+;=@:-]{1,256}$"), AfterValidator(_template)
]
Mode = Literal["off", "optional", "required"]


class Register(Part):
    """Be an extension of a PBX or a carrier's account: REGISTER with digest, again before it expires."""

    registrar: HostPort = Field(description="Where REGISTER goes: HOST[:PORT].")
    user: User = Field(description="The extension or account.")
    auth_user: Annotated[str, Field(pattern=r'^[^"\\\s]{1,128}$')] | None = Field(
        default=None, description="User name for digest; `user` when left out."
    )
    realm: Realm | None = Field(
        default=None,
        description="Of the digest challenge; any when left out. With it workers get no password.",
    )
    password_env: Variable | None = Field(
        default=None, description="Environment variable of control that holds the password."
    )
    expires_s: int = Field(default=600, ge=10, le=86400, description="Asked for; renewed before it is over.")


class Auth(Part):
    """Digest for our own requests without registration."""

    user: Annotated[str, Field(pattern=r'^[^"\\\s]{1,128}$')] = Field(description="User name for digest.")
    realm: Realm | None = Field(default=None, description="Of the challenge; any when left out.")
    password_env: Variable = Field(description="Environment variable of control that holds the password.")


class Login(Part):
    """The password that its calls have to come with; from any address. Only with the edge (ops/edge.md)."""

    user: Annotated[str, Field(pattern=r'^[^"\\:\s*]{1,128}$')] = Field(
        description="User name of its digest answers; no two trunks have the same."
    )
    password_env: Variable = Field(description="Environment variable of control that holds the password.")


class CallerId(Part):
    """What our calls to the trunk say of the caller."""

    number: User | None = Field(default=None, description="In From; the registered user when left out.")
    display: Display | None = Field(default=None, description="Name in From.")
    host: HostPort | None = Field(default=None, description="Host in From; registrar or host when left out.")
    allowed: list[Shown] = Field(
        default_factory=list,
        max_length=1000,
        description='Other numbers a call may show: "+493012345", or a prefix "+4930123*". Any else becomes `number`.',
    )
    asserted: bool = Field(default=False, description="Send P-Asserted-Identity too (RFC 3325).")
    anonymous: bool = Field(
        default=False, description="Hide it: From anonymous@anonymous.invalid and Privacy: id (RFC 3323)."
    )


class SessionTimer(Part):
    """RFC 4028: both sides refresh the session; one that is dead is found and ended."""

    mode: Mode = Field(description="off, optional (if the peer does too), or required.")
    expires_s: int = Field(default=1800, ge=90, le=86400, description="Session-Expires we ask for.")


class Trunk(Part):
    """A carrier or a PBX: where its calls come from and go to, and how we behave towards it."""

    addresses: Networks | None = Field(
        default=None, description='Where its calls come from: "198.51.100.0/24" or a list.'
    )
    login: Login | None = Field(
        default=None,
        alias="digest",
        description="Its calls come from anywhere, with this password; the edge asks for it.",
    )
    host: HostPort | None = Field(default=None, description="Where calls to it go: HOST[:PORT].")
    register_: Register | None = Field(
        default=None, alias="register", description="Register there with this account."
    )
    auth: Auth | None = Field(default=None, description="Digest for calls; that of `register` when left out.")
    proxy: HostPort | None = Field(default=None, description="Outbound proxy: HOST[:PORT].")
    caller_id: CallerId | None = Field(default=None, description="What our calls show.")
    codecs: list[Literal["PCMU", "PCMA", "G722"]] | None = Field(
        default=None, min_length=1, max_length=3, description="Of those in the settings, best first."
    )
    session_timer: Annotated[
        SessionTimer, BeforeValidator(_as_mode), OrWord(("off", "optional", "required"))
    ] = Field(default_factory=lambda: SessionTimer(mode="optional"), description="Session timers.")
    prack: Mode = Field(default="off", description="Reliable provisional responses (RFC 3262).")
    dtmf: Literal["rfc4733", "info"] = Field(default="rfc4733", description="How we send digits.")
    options_every_s: Annotated[int, Field(ge=5, le=3600)] | None = Field(
        default=None, description="Ask it with OPTIONS whether it is there, so often."
    )
    verstat: bool = Field(
        default=False, description="Believe what it says of the caller's number (STIR/SHAKEN verstat)."
    )
    target: Template = Field(
        default="sip:{number}@{host}", description="What is dialled for a number; sip: or tel:."
    )
