"""The settings of control's HTTP: where it listens, how people reach the console, how long they stay signed in.

Not worker-safe (pydantic). Pure.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from bridge.forwarded import Network
from bridge.settings_base import EnvName, HostAddress, HttpUrl, Port, RtpPorts, Section
from bridge.settings_base import Network as NetworkText

_ICE = r"^(stun|turns?):[A-Za-z0-9.-]+(:\d{1,5})?(\?transport=(udp|tcp))?$"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nobody binds it: it is what is replaced


def _not_everybody(value: str) -> str:
    if ipaddress.ip_network(value).prefixlen == 0:
        raise ValueError("this trusts everybody to say who they are | name the proxies: 10.0.0.2")
    return value


ProxyNetwork = Annotated[NetworkText, AfterValidator(_not_everybody)]
Role = Literal["viewer", "operator", "approver", "admin"]
Claim = Annotated[str, Field(min_length=1, max_length=200)]
GroupName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class StepUp(Section):
    """Decisions that need a second factor (TOTP or a passkey) which was proved just now. ops/sign-in.md."""

    risks: list[Literal["read", "write", "money", "irreversible"]] = Field(
        default_factory=list, description="To approve a function of such a risk always needs it."
    )
    amount: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="To approve anything whose amounts come to so much, or more, needs it; so does a function that "
        "moves money and has no amount that is recognised. The currency is not looked at.",
    )
    fresh_s: float = Field(
        default=300, ge=30, le=3600, description="Proved so long ago at most, in this session."
    )

    @property
    def on(self) -> bool:
        """Whether any decision needs it; then what makes users and factors needs it too."""
        return bool(self.risks) or self.amount is not None


class Oidc(Section):
    """A provider that signs people in (OpenID Connect, code flow with PKCE). ops/sign-in.md."""

    issuer: HttpUrl = Field(description="Its address, exactly as it names itself (`iss`).")
    client_id: str = Field(min_length=1, max_length=200, description="What the bridge is called there.")
    client_secret_env: EnvName | None = Field(
        default=None, description="Environment variable with the client's secret; without: a public client."
    )
    label: str = Field(
        default="single sign-on", max_length=60, description="What the button says: Sign in by …"
    )
    scopes: list[Annotated[str, Field(pattern=r"^[\x21\x23-\x5B\x5D-\x7E]{1,100}$")]] = Field(
        default_factory=lambda: ["openid", "profile", "email"],
        min_length=1,
        max_length=20,
        description="Asked for.",
    )
    name_claim: Claim = Field(
        default="preferred_username", description="Claim of the ID token that becomes the sign-in name."
    )
    roles_claim: Claim = Field(
        default="groups",
        description="Claim of the ID token that `roles` and `groups` look up; dots lead inside: realm_access.roles.",
    )
    roles: dict[Claim, list[Role]] = Field(
        min_length=1,
        max_length=200,
        description="Roles by a value of that claim. Who has none does not get in.",
    )
    groups: dict[Claim, list[GroupName]] = Field(
        default_factory=dict, max_length=200, description="Groups of approvers by a value of that claim."
    )
    deadline_s: float = Field(default=5, gt=0, le=20, description="For each request to the provider.")

    @model_validator(mode="after")
    def _has_openid(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("scopes must hold openid | scopes: [openid, profile, email]")
        return self


class Audio(Section):
    """console.audio: listening to calls, talking on them, and calling, by the browser (WebRTC)."""

    seats: int = Field(
        default=8,
        ge=0,
        le=64,
        description="How many people may listen or talk by their browser at a time; each is a process of some 70 MB. "
        "0: nobody may.",
    )
    address: HostAddress | None = Field(
        default=None,
        description="IP address that browsers are told to send audio to, where a router stands between (NAT 1:1).",
    )
    ports: RtpPorts | None = Field(
        default=None,
        description="UDP ports for the audio of browsers, such as 30000-30099, which a firewall must let in; a seat "
        "takes one for each address of the machine. Without: any port.",
    )
    ice_servers: list[Annotated[str, Field(pattern=_ICE)]] = Field(
        default_factory=list,
        max_length=4,
        description="STUN or TURN servers, such as turn:turn.example:3478, for browsers that cannot reach the bridge "
        "directly. None are used by default.",
    )
    ice_user: str = Field(default="", max_length=128, description="User name for the TURN servers.")
    ice_password_env: EnvName | None = Field(
        default=None,
        description="Environment variable with their password; the browsers of those who may listen or call get it.",
    )

    @property
    def port_range(self) -> tuple[int, int]:
        """First and last; (0, 0): any."""
        first, _, last = (self.ports or "0-0").partition("-")
        return int(first), int(last)


def audio_rules(audio: Audio, taken: Sequence[tuple[str, int, int]]) -> Iterator[tuple[str, str]]:
    """(mistake, hint) about console.audio.ports; `taken`: (key, first, last) of other UDP ports of this node."""
    first, last = audio.port_range
    if not first:
        return
    for key, low, high in taken:
        if first <= high and low <= last:
            where = f"{low}-{high}" if low != high else f"{low}"
            yield f"{audio.ports} overlaps {key} ({where})", "give the browsers ports of their own"
    if last - first + 1 < audio.seats:
        message = f"{last - first + 1} ports are too few for {audio.seats} seats"
        yield message, "one a seat for each address of the machine"


class Console(Section):
    """HTTP of the control process: /console, /healthz, /metrics and the API."""

    bind: HostAddress = Field(default="127.0.0.1", description="IP address it binds.")
    port: Port = Field(default=8080, description="TCP port.")
    hosts: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")]] = Field(
        default_factory=list,
        max_length=20,
        description="Names by which clients reach it, besides localhost, any IP address and the name in url; a "
        "request for another name is refused (DNS rebinding).",
    )
    url: Annotated[str, Field(pattern=r"^https?://([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?$")] | None = (
        Field(
            default=None,
            description="Where people reach the console, such as https://bridge.example: for links, and what comes "
            "from there is taken. With https its cookies are never sent in the clear.",
        )
    )
    trusted_proxies: list[ProxyNetwork] = Field(
        default_factory=list,
        max_length=20,
        description="Addresses and networks of the proxies before it, such as 10.0.0.2 or 10.0.0.0/24: only from these "
        "X-Forwarded-For is believed, and only its right-most address that is none of them. Wrong passwords and links "
        "are counted for that one. A proxy must add to the header whom it heard.",
    )
    session_idle_s: float = Field(
        default=3600,
        ge=60,
        le=604_800,
        description="Signed out after so long without use; an open page is use.",
    )
    session_s: float = Field(
        default=43_200, ge=60, le=604_800, description="Signed out so long after signing in, at the latest."
    )

    step_up: StepUp = Field(default_factory=StepUp, description="Decisions that need a second factor.")
    oidc: Oidc | None = Field(
        default=None, description="A provider that signs people in, besides or instead."
    )
    local_sign_in: bool = Field(
        default=True,
        description="Whether people sign in by a password kept here. Only with console.oidc it may be off.",
    )

    audio: Audio = Field(default_factory=Audio, description="Listening and talking by the browser.")
    api_per_s: float = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Requests a second that one API token may make in the long run; more get 429.",
    )
    api_burst: float = Field(default=100, ge=1, le=100_000, description="As many at once.")

    @model_validator(mode="after")
    def _somebody_gets_in(self) -> Self:
        if self.local_sign_in:
            return self
        if self.oidc is None:
            raise ValueError(
                "local_sign_in is off and there is no oidc: nobody could sign in | set console.oidc"
            )
        if not any("admin" in roles for roles in self.oidc.roles.values()):
            raise ValueError(
                "local_sign_in is off and oidc.roles makes nobody an admin | give a value of its claim the role admin"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """What the Host of a request may be, besides addresses."""
        named = urlsplit(self.url).hostname if self.url else None
        return (self.bind, *self.hosts, *([named] if named else []))

    @property
    def proxies(self) -> tuple[Network, ...]:
        """`trusted_proxies`, read."""
        return tuple(ipaddress.ip_network(one) for one in self.trusted_proxies)

    def base(self, port: int) -> str:
        """Where people reach it: `url`, or the port that was bound."""
        host = _EVERYWHERE.get(self.bind, self.bind)
        return self.url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
