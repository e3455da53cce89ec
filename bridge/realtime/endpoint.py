"""Where a Realtime session is reached: URL and headers by kind of provider.

Pure. OpenAI: `wss://api.openai.com/v1/realtime?model=…` with a bearer key. Azure: `…/openai/v1/realtime?model=
<deployment>` with an `api-key` header and no `api-version` (which gives 401). Anything else that speaks the protocol:
its own URL, a bearer key if there is one. `OpenAI-Beta` is never sent: the GA service refuses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bridge.errors import FailureKind, RemoteSessionError

_DEFAULT_PATHS: Mapping[str, str] = MappingProxyType(
    {"openai": "/v1/realtime", "azure": "/openai/v1/realtime"}
)
OPENAI_URL = "wss://api.openai.com/v1/realtime"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL and its request headers. `repr` leaves the headers out: they hold the key."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


def endpoint(kind: str, url: str, model: str, api_key: str = "", *, safety_identifier: str = "") -> Endpoint:
    """Endpoint of one session. `kind`: openai, azure, or any other word for a compatible server.

    `model` is added as `?model=` when the URL names none. `safety_identifier`: a hashed id of the caller for OpenAI.
    Raises RemoteSessionError (FATAL, `bad_url`) when the URL is no ws:// or wss:// URL.
    """
    try:
        parts = urlsplit(url or OPENAI_URL)
        host = parts.hostname
    except ValueError as error:
        raise RemoteSessionError(FailureKind.FATAL, "bad_url", f"{url!r} is no URL") from error
    if parts.scheme not in {"ws", "wss"} or not host:
        raise RemoteSessionError(FailureKind.FATAL, "bad_url", f"{url!r} is no ws:// or wss:// URL")
    path = _DEFAULT_PATHS.get(kind, parts.path) if parts.path in {"", "/"} else parts.path
    query = parse_qsl(parts.query, keep_blank_values=True)
    if model and not any(name in {"model", "call_id"} for name, _ in query):
        query.append(("model", model))
    full = urlunsplit((parts.scheme, parts.netloc, path, urlencode(query), ""))
    return Endpoint(full, _headers(kind, api_key, safety_identifier))


def _headers(kind: str, api_key: str, safety_identifier: str) -> dict[str, str]:
    headers = {}
    if api_key and kind == "azure":
        headers["api-key"] = api_key
    elif api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    if safety_identifier and kind == "openai":
        headers["OpenAI-Safety-Identifier"] = safety_identifier
    return headers
