"""A small OpenID Connect provider on a real socket: discovery, JWKS, code flow with PKCE and client authentication.

It signs whoever asks in at once, as `claims` say. What it does wrong is chosen by `lie`. Keys and signatures: joserfc.
"""

import base64
import contextlib
import hashlib
import hmac
import html
import json
import secrets
import time
from urllib.parse import parse_qsl, unquote, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.control_door import serve

CLIENT, SECRET = "bridge", "s3cret/with+signs"


class Provider:
    """`claims`: of who signs in; `token`: claims of the ID token instead; `form`: ask before the way back."""

    def __init__(self):
        self.issuer = ""
        self.claims = {"sub": "17", "preferred_username": "carl", "groups": ["staff"]}
        self.token, self.form, self.lie = {}, False, ""
        self.key, self.alg = self.new_key(), "ES256"
        self.codes, self.asked, self.discovered, self.keys_asked = {}, [], 0, 0

    def new_key(self):
        return ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig"}, private=True)

    def routes(self):
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/keys", self._keys),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
        ]

    async def _discovery(self, _request):
        self.discovered += 1
        if self.lie == "away":
            return Response(status_code=503)
        if self.lie == "endless":
            return Response(b" " * 300_000)
        if self.lie == "elsewhere":
            return RedirectResponse(f"{self.issuer}/other")
        said = {
            "issuer": "https://evil.example" if self.lie == "other issuer" else self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": "http://192.0.2.1/token" if self.lie == "clear" else f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["ES256", "RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }
        return JSONResponse(said)

    async def _keys(self, _request):
        self.keys_asked += 1
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def _authorize(self, request):
        query = dict(request.query_params)
        self.asked.append(query)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {"code": code, "state": query["state"], "iss": self.issuer}
        if self.lie == "no":
            back = {"error": "access_denied", "state": query["state"]}
        if self.lie == "mixed up":
            back["iss"] = "https://evil.example"
        to = f"{query['redirect_uri']}?{urlencode(back)}"
        if self.form:
            head = '<title>Provider</title><link rel="icon" href="data:,">'
            return HTMLResponse(f'{head}<a id="go" href="{html.escape(to)}">Sign in as carl</a>')
        return RedirectResponse(to, 302)

    async def _token(self, request):
        form = dict(parse_qsl((await request.body()).decode()))
        query = self.codes.pop(form.get("code"), None)
        made = base64.b64decode(request.headers.get("authorization", "")[6:] or b"Og==").decode()
        client, _, secret = made.partition(":")
        if (unquote(client), unquote(secret)) != (CLIENT, SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            query is None
            or query["redirect_uri"] != form["redirect_uri"]
            or challenge != query["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": self._signed(query)})

    def _signed(self, query):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": query["client_id"], "iat": now, "exp": now + 60}
        claims |= {"nonce": query["nonce"], **self.claims, **self.token}
        claims = {name: value for name, value in claims.items() if value is not None}
        key, alg = self.key, self.alg
        if self.lie == "other key":
            key = ECKey.generate_key("P-256", {"kid": self.key.kid}, private=True)
        if self.lie == "shared secret":  # the public key as if it were a secret
            head, body = (_b64(json.dumps(part)) for part in ({"alg": "HS256", "kid": self.key.kid}, claims))
            made = hmac.new(self.key.as_pem(private=False), f"{head}.{body}".encode(), "sha256").digest()
            return f"{head}.{body}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"
        if self.lie == "unsigned":
            head, body = (_b64(part) for part in ('{"alg":"none"}', json.dumps(claims)))
            return f"{head}.{body}."
        return jwt.encode({"alg": alg, "kid": self.key.kid}, claims, key, algorithms=[alg])

    def rsa(self):
        self.key, self.alg = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)}, private=True), "RS256"


def _b64(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@contextlib.asynccontextmanager
async def running():
    provider = Provider()
    async with serve(Starlette(routes=provider.routes()), "127.0.0.1", 0) as port:
        provider.issuer = f"http://127.0.0.1:{port}"
        yield provider
