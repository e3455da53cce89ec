"""What the parts of the settings are made of: the base class, and types that check addresses, names, paths and URLs.

Not worker-safe (pydantic). Pure but for looking up the working folder and the user's home.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

EDGE_HINT = (
    "use 127.0.0.1 or a private address (10.x, 172.16-31.x, 192.168.x), or put the edge in front: edge.enabled: true "
    "(ops/edge.md)"
)


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("an IP address is needed | for example 127.0.0.1") from None


def too_open(value: str) -> str:
    """Why a worker must not bind this address, with a hint after `|`; "": it may. Design section 5."""
    address = ipaddress.ip_address(value)
    if address.is_loopback or not (address.is_global or address.is_unspecified or address.is_multicast):
        return ""
    what = "every network" if address.is_unspecified else "a public address"
    why = "a worker must not face strangers: its SIP library has known flaws that one packet can reach"
    return f"{address} is {what}; {why} | {EDGE_HINT}"


def _inside_address(value: str) -> str:
    address = _address(value)
    if problem := too_open(address):
        raise ValueError(problem)
    return address


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("an IP address or network is needed | for example 10.0.0.0/24") from None


def _env_name(value: str) -> str:
    if re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", value):
        return value
    if re.match(r"(sk|pk|ek|eyJ|gsk)[-_.a-zA-Z0-9]{12,}", value) or len(value) >= 32:
        hint = "put the key into an environment variable, write its name here, and have the key replaced"
        raise ValueError(f"this looks like a secret itself, not the name of an environment variable | {hint}")
    raise ValueError("the name of an environment variable is needed | for example OPENAI_API_KEY")


def _rtp_ports(value: str) -> str:
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value)
    if not found:
        raise ValueError("two ports are needed | for example 20000-20999")
    first, last = int(found[1]), int(found[2])
    if not 1024 <= first < last <= 65535:
        raise ValueError("the ports must rise, from 1024 up to 65535 at most")
    if first % 2:
        raise ValueError(f"the first port must be even, RTCP uses the odd one after it | {first + 1}-{last}")
    return value


def _server_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not a URL | for example wss://host/v1/realtime") from None
    if parts.scheme not in {"ws", "wss"} or not host:
        raise ValueError("a ws:// or wss:// URL is needed | for example wss://host/v1/realtime")
    if parts.username or parts.password:
        raise ValueError(
            "a URL must not hold a name or password | name the variable of the key in api_key_env"
        )
    return value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("an http:// or https:// URL is needed | for example https://host/mcp")
    if parts.username or parts.password:
        raise ValueError("a URL must not hold a name or password | name the variable that holds the secret")
    if parts.scheme == "http" and not _near(host):
        raise ValueError("http:// over a network can be read and changed on the way | use https://")
    return value


def _near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def _store_url(value: str) -> str:
    scheme = value.partition("://")[0]
    if scheme not in {"sqlite", "postgresql"} or "://" not in value:
        example = "sqlite:///var/sipbridge.db or postgresql://host/name"
        raise ValueError(f"a database URL is needed | for example {example}")
    if scheme == "sqlite" and not value.startswith("sqlite:///"):
        raise ValueError("three slashes, then the path | sqlite:///var/sipbridge.db")
    return value


def _path(value: Any, info: ValidationInfo) -> Path:
    if isinstance(value, str) and 0 < len(value) <= 4096:
        value = Path(value)
    if not isinstance(value, Path):
        raise ValueError("a path is needed")  # noqa: TRY004  # pydantic wants ValueError
    try:
        return Path((info.context or {}).get("base", Path.cwd()), value.expanduser()).absolute()
    except RuntimeError:
        raise ValueError("there is no such user's home") from None


SipAddress = Annotated[str, AfterValidator(_inside_address)]
HostAddress = Annotated[str, AfterValidator(_address)]
Network = Annotated[str, AfterValidator(_network)]
EnvName = Annotated[str, AfterValidator(_env_name)]
RtpPorts = Annotated[str, AfterValidator(_rtp_ports)]
ServerUrl = Annotated[str, AfterValidator(_server_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Section(BaseModel):
    """Base of every part: strict types, unknown keys are mistakes, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)
