"""Answers a worker's question for the credential of one session. Long-lived keys stay in this process.

For kind `openai` a client secret is minted for every call (`POST …/realtime/client_secrets`, valid a
minute: long enough to connect, the session itself lasts on); if that fails the call fails, the key itself
is never sent instead. Azure and compatible servers have no such thing, there the key is the credential.
Nothing secret is logged or put into an error. Runs on control's loop.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from bridge.config import ProviderConfig
from bridge.errors import LinkError
from bridge.secretsource import Secrets

SECRET_LIFETIME_S = 60
"""The API takes 10 to 7200 seconds; it is the time to connect, not that of the session."""

FINAL_STATUSES = frozenset({401, 403, 404})
"""The key or the model is wrong. 429 is not here: only its code tells an empty account from a busy minute."""


class Credentials:
    """`client` carries the deadline; `environ` holds the keys under the names the settings give."""

    def __init__(
        self, providers: Iterable[ProviderConfig], environ: Mapping[str, str], client: httpx.AsyncClient
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._environ = environ
        self._client = client

    async def answer(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """`{provider, model, call_id}` → `{value, headers}`; `value` is empty when the provider has no key.

        Raises LinkError with a sentence for the operator; `fatal` when no retry can help.
        """
        provider = self._providers.get(str(data.get("provider")))
        if provider is None:
            raise LinkError(f"no provider is called {str(data.get('provider'))[:40]!r}", fatal=True)
        headers = {name: self._secret(provider, variable) for name, variable in provider.headers_env}
        key = self._secret(provider, provider.api_key_env) if provider.api_key_env else ""
        if provider.kind == "openai" and key:
            model = str(data.get("model") or provider.model)
            return {**await self._mint(provider, key, model), "headers": headers}
        return {"value": key, "headers": headers}

    def _secret(self, provider: ProviderConfig, variable: str) -> str:
        value = self._environ.get(variable, "")
        if not value:
            why = Secrets(self._environ).why_missing(variable)
            raise LinkError(f"provider {provider.name}: {why}", fatal=True)
        return value

    async def _mint(self, provider: ProviderConfig, key: str, model: str) -> dict[str, Any]:
        url = client_secrets_url(provider.url or "")
        body = {
            "session": {"type": "realtime", "model": model},
            "expires_after": {"anchor": "created_at", "seconds": SECRET_LIFETIME_S},
        }
        try:
            response = await self._client.post(url, json=body, headers={"Authorization": f"Bearer {key}"})
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise LinkError(f"provider {provider.name}: no client secret from {url}: {reason}") from error
        if response.is_error:
            message = f"provider {provider.name}: {url} answered {response.status_code}: {_why(response)}"
            raise LinkError(message, fatal=_is_final(response))
        value = _object(response).get("value")
        if not isinstance(value, str) or not value:
            raise LinkError(f"provider {provider.name}: the answer of {url} holds no client secret")
        return {"value": value, "expires_at": _object(response).get("expires_at")}


def client_secrets_url(realtime_url: str) -> str:
    """`wss://host/v1/realtime?model=x` → `https://host/v1/realtime/client_secrets`."""
    parts = urlsplit(realtime_url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    path = (parts.path.rstrip("/") or "/v1/realtime") + "/client_secrets"
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _is_final(response: httpx.Response) -> bool:
    error = _object(response).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return response.status_code in FINAL_STATUSES or code == "insufficient_quota"


def _why(response: httpx.Response) -> str:
    """The server's own sentence, without what looks like a key: OpenAI repeats a part of a wrong one."""
    error = _object(response).get("error")
    words = str(error.get("message") if isinstance(error, dict) else error or response.reason_phrase)
    return " ".join("***" if "sk-" in word or "*" in word else word for word in words[:300].split())
