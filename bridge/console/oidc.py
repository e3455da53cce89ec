"""The provider that signs people in: OpenID Connect, code flow with PKCE. Tokens are read by joserfc and authlib.

    way()     ─► discovery ─► the address that the browser is sent to: state, nonce, code challenge
    claims()  ─► token endpoint: code, verifier, client ─► ID token: signature (JWKS), iss, aud, azp, exp, nonce

Nothing the provider sends is believed before that: answers have a deadline and a bound, redirects are not followed, and
every endpoint is https where the issuer is. Discovery and keys are kept for an hour; a key that is not among them makes
them be asked for again, once a minute at most (OpenID Connect Core, section 10.1.1). Runs on control's loop.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bridge.console.people import NAME
from bridge.settings_console import Oidc
from bridge.store.userstore import User

WELL_KNOWN = "/.well-known/openid-configuration"
MAX_BYTES = 256 * 1024
KEEP_S, AGAIN_S, LEEWAY_S = 3600.0, 60.0, 60
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that only the provider can make: none of a shared secret, and never "none"."""
MAX_VALUES = 500


class OidcError(Exception):
    """It did not work. `word`: which of the page's words says so (`oidc.WORD`); the message is for the log."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


@dataclass(frozen=True, slots=True)
class Flow:
    """What one sign-in has to know again when the browser comes back. `back`: the redirect URI."""

    state: str
    nonce: str
    verifier: str
    back: str


@dataclass(frozen=True, slots=True)
class _Found:
    """What discovery says, as far as it is used."""

    authorize: str
    token: str
    keys: str
    algorithms: tuple[str, ...]
    basic: bool


class Provider:
    """`secret`: the client's, read anew each time; "": it has none. `clock`: unix seconds."""

    def __init__(
        self, settings: Oidc, secret: Callable[[], str], clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self._secret = secret
        self._clock = clock
        self._found: tuple[float, _Found] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._asking = asyncio.Lock()

    async def way(self, flow: Flow) -> str:
        """Where the browser is sent to. OidcError."""
        found = await self._discover()
        words = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": flow.back,
            "scope": " ".join(self.settings.scopes),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": create_s256_code_challenge(flow.verifier),
            "code_challenge_method": "S256",
        }
        return f"{found.authorize}{'&' if '?' in found.authorize else '?'}{urlencode(words)}"

    async def claims(self, code: str, flow: Flow) -> Mapping[str, Any]:
        """What the provider says of who came back with this code. OidcError."""
        found = await self._discover()
        answer = await self._token(found, code, flow)
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str):
            raise OidcError("not_right", "there is no id_token in the answer")
        return await self._read(found, token, access if isinstance(access, str) else "", flow.nonce)

    # ---- what it says of itself ------------------------------------------------------------------------------

    async def _discover(self) -> _Found:
        async with self._asking:
            if self._found is None or self._clock() - self._found[0] > KEEP_S:
                address = self.settings.issuer.rstrip("/") + WELL_KNOWN
                self._found = self._clock(), self._described(await self._ask("GET", address))
            return self._found[1]

    def _described(self, said: Mapping[str, Any]) -> _Found:
        if said.get("issuer") != self.settings.issuer:
            raise OidcError(
                "away", f"it calls itself {str(said.get('issuer'))[:200]!r}, not as in console.oidc.issuer"
            )
        ends = [said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        authorize, token, keys = (self._endpoint(one) for one in ends)
        algorithms = _names(said.get("id_token_signing_alg_values_supported")) or ("RS256",)
        methods = _names(said.get("token_endpoint_auth_methods_supported")) or ("client_secret_basic",)
        usable = tuple(name for name in algorithms if name in ALGORITHMS)
        return _Found(authorize, token, keys, usable, "client_secret_basic" in methods)

    def _endpoint(self, address: Any) -> str:
        """OidcError: it is none, or goes over a network in the clear."""
        try:
            parts, own = urlsplit(str(address)), urlsplit(self.settings.issuer)
        except ValueError:
            raise OidcError("away", "an endpoint is no address") from None
        near = parts.scheme == "http" and own.scheme == "http" and parts.hostname == own.hostname
        if not parts.hostname or not (parts.scheme == "https" or near):
            raise OidcError("away", f"the endpoint {str(address)[:200]!r} is no https address")
        return str(address)

    async def _key_set(self, found: _Found, *, newer_than: float = 0.0) -> KeySet:
        async with self._asking:
            old = self._keys is None or self._clock() - self._keys[0] > KEEP_S or self._keys[0] < newer_than
            if self._keys is None or old:
                said = await self._ask("GET", found.keys)
                try:
                    self._keys = self._clock(), KeySet.import_key_set({"keys": _signing(said.get("keys"))})
                except (JoseError, ValueError, TypeError, KeyError) as error:
                    raise OidcError("away", f"its keys cannot be read: {error}") from None
            return self._keys[1]

    # ---- tokens ----------------------------------------------------------------------------------------------

    async def _token(self, found: _Found, code: str, flow: Flow) -> Mapping[str, Any]:
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": flow.back,
            "code_verifier": flow.verifier,
            "client_id": self.settings.client_id,
        }
        secret = self._secret() if self.settings.client_secret_env else ""
        basic = None
        if secret and found.basic:  # each half is encoded as in a form (RFC 6749, section 2.3.1)
            basic = quote(self.settings.client_id, safe=""), quote(secret, safe="")
        elif secret:
            body["client_secret"] = secret
        return await self._ask("POST", found.token, body, basic)

    async def _read(self, found: _Found, token: str, access: str, nonce: str) -> Mapping[str, Any]:
        try:
            read = jwt.decode(token, await self._key_set(found), algorithms=list(found.algorithms))
        except (JoseError, ValueError, TypeError, KeyError):
            read = await self._read_with_new_keys(found, token)
        settings = self.settings
        wanted = {
            "iss": {"essential": True, "value": settings.issuer},
            "aud": {"essential": True, "value": settings.client_id},
        }
        params = {"nonce": nonce, "client_id": settings.client_id, "access_token": access}
        claims = CodeIDToken(read.claims, read.header, wanted, params)
        try:
            claims.validate(now=int(self._clock()), leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, TypeError, KeyError) as error:
            raise OidcError("not_right", f"the ID token is not for us, or not now: {error}") from None
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise OidcError("not_right", "the ID token is of nobody")
        return dict(claims)

    async def _read_with_new_keys(self, found: _Found, token: str) -> jwt.Token:
        keys = await self._key_set(found, newer_than=self._clock() - AGAIN_S)
        try:
            return jwt.decode(token, keys, algorithms=list(found.algorithms))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise OidcError("not_right", f"the ID token's signature: {error}") from None

    # ---- HTTP ------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        method: str,
        address: str,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """A JSON object. OidcError: none came, in time, of a bounded size, with success."""
        where = f"{method} {address[:200]}"
        try:
            async with (
                asyncio.timeout(self.settings.deadline_s),
                httpx.AsyncClient(timeout=self.settings.deadline_s, follow_redirects=False) as client,
                client.stream(
                    method, address, data=form, auth=basic, headers={"accept": "application/json"}
                ) as answer,
            ):
                raw = bytearray()
                async for chunk in answer.aiter_bytes():
                    raw += chunk
                    if len(raw) > MAX_BYTES:
                        raise OidcError("away", f"{where}: longer than {MAX_BYTES} bytes")
        except (httpx.HTTPError, TimeoutError, httpx.InvalidURL) as error:
            raise OidcError("away", f"{where}: {type(error).__name__} {error}") from None
        try:
            said = json.loads(raw)
        except (ValueError, RecursionError):
            said = None
        if answer.status_code != httpx.codes.OK or not isinstance(said, dict):
            why = str(said.get("error", ""))[:100] if isinstance(said, dict) else "no JSON object"
            raise OidcError("away", f"{where}: {answer.status_code} {why}")
        return said


def told(settings: Oidc, claims: Mapping[str, Any]) -> User:
    """The user that claims are of, with the roles and groups that the settings give them. OidcError: no usable name."""
    name = claims.get(settings.name_claim)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise OidcError("bad_name", f"the claim {settings.name_claim} is no sign-in name")
    values = _values(claims, settings.roles_claim)
    roles = {role for value in values for role in settings.roles.get(value, ())}
    groups = {group for value in values for group in settings.groups.get(value, ())}
    subject = f"{settings.issuer} {claims['sub']}"
    return User(name, frozenset(roles), frozenset(groups), subject=subject)


def _values(claims: Mapping[str, Any], path: str) -> Sequence[str]:
    """The strings of a claim; its name may itself have dots, or lead inside."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    return [one for one in found[:MAX_VALUES] if isinstance(one, str)] if isinstance(found, list) else []


def _names(said: Any) -> tuple[str, ...]:
    return tuple(one for one in said if isinstance(one, str)) if isinstance(said, list) else ()


def _signing(keys: Any) -> list[Any]:
    """Those that may be for signatures; a key of a kind that nobody here knows is no reason to refuse the others."""
    known = {"RSA", "EC", "OKP"}
    listed = keys if isinstance(keys, list) else []
    return [
        one for one in listed if isinstance(one, dict) and one.get("kty") in known and one.get("use") != "enc"
    ]
