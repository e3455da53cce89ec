"""The admin API of control, JSON over HTTP: who asks, what they may do, and how an answer looks.

    TCP console port   Authorization: Bearer TOKEN (sipbridge users token)      one of the store's users
    state_dir/api.sock the account at the other end, or a token                 as in the command line (cli/identity.py)

Routes are starlette's, made by `get`, `post`, `delete` (control_api_dialplan.py shows how) and joined by `application`.
Each brings the words that describe it (control_api_docs.py, control_openapi.py). A handler gets a Call and returns a
dict, or a Response of its own, or raises ApiError. Every request has a deadline and a bound on its body, every token
only so many requests a second; a page of another site gets nothing (no CORS; Host, Sec-Fetch-Site and Origin are looked
at; a body must be application/json, or text/csv where a route says so).
Errors: {"error": sentence, …} with a 4xx or 5xx status. /healthz and its kin need nobody. Runs on control's loop.
"""

import asyncio
import json
import pwd
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bridge.approval.request import MAY
from bridge.control_api_docs import Doc
from bridge.control_api_rate import Buckets
from bridge.control_door import ACCOUNT
from bridge.control_health import Page, Pages
from bridge.errors import BridgeError
from bridge.site import foreign, names
from bridge.store.userstore import User, UserStore, token_id_of

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 64 * 1024
DEADLINE_S = 30.0
BODY_DEADLINE_S = 10.0
JSON = "application/json"
CSV = "text/csv"
API = "/api/"
_HEADERS = {401: {"www-authenticate": "Bearer"}, 429: {"retry-after": "1"}}


class ApiError(Exception):
    """An answer that is none: HTTP status, a sentence, and what else the body says."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.more = more


@dataclass(frozen=True, slots=True)
class Call:
    """One request that may be done. `how`: API, or CLI when it came by the Unix socket. `raw`: a body of text/csv."""

    user: User
    how: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    raw: bytes = b""
    token: str = ""
    """Id of the token that came; "": an account of this machine asks."""
    last_event_id: str = ""
    """Of a client of server-sent events that comes again."""

    def may(self, right: str) -> bool:
        """Whether this user has a right besides the route's own."""
        return bool(MAY[right] & self.user.roles)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a route answers. `max_body` in bytes, of `content`; `status`: of success; `deadline_s`: of the handler."""

    max_body: int = MAX_BODY_BYTES
    content: str = JSON
    status: int = 200
    deadline_s: float = DEADLINE_S


Handler = Callable[[Call], Awaitable[Mapping[str, Any] | Response]]


class ApiRoute(Route):
    """A route that says what it takes (`may`), how it answers (`terms`), and what it is (`doc`)."""

    def __init__(  # what a route is made of
        self, method: str, path: str, may: str, handler: Handler, doc: Doc, terms: Terms
    ) -> None:
        super().__init__(path, _endpoint(may, handler, terms), methods=[method])
        self.method, self.may, self.doc, self.terms = method, may, doc, terms


class Door:
    """Knows who asks. `owner`: uid of the account that owns the state folder; it and root can always administer."""

    def __init__(self, users: UserStore, owner: int) -> None:
        self._users = users
        self._owner = owner

    async def who(self, request: Request) -> User:
        """The user. ApiError 401: nobody we know."""
        if request.headers.get("authorization", "").partition(" ")[2]:
            user = await self._users.by_token(_bearer(request), time.time())
            if user is None:
                raise ApiError(401, "the token is not valid, or has expired")
            return user
        uid = account(request)
        if uid is None:
            raise ApiError(401, "an API token is needed: Authorization: Bearer TOKEN (sipbridge users token)")
        return await self._account(uid)

    async def _account(self, uid: int) -> User:
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = f"uid {uid}"
        user = await self._users.user(name)
        if uid in {0, self._owner}:
            known = user or User(name, frozenset(), frozenset())
            return User(known.name, known.roles | {"admin"}, known.groups, known.numbers)
        if user is None:
            raise ApiError(
                401, f"{name} is no user of the bridge: an admin adds one by sipbridge users add {name}"
            )
        return user


def get(path: str, may: str, handler: Handler, doc: Doc) -> ApiRoute:
    """A route that reads. `may`: a key of MAY (bridge/approval/request.py)."""
    return ApiRoute("GET", path, may, handler, doc, Terms())


def post(  # a route, and its words
    path: str,
    may: str,
    handler: Handler,
    doc: Doc,
    terms: Terms = Terms(),  # frozen
) -> ApiRoute:
    """A route that does something; its body is a JSON object (CSV if `terms` say so), or nothing."""
    return ApiRoute("POST", path, may, handler, doc, terms)


def delete(path: str, may: str, handler: Handler, doc: Doc) -> ApiRoute:
    """A route that ends something; it has no body."""
    return ApiRoute("DELETE", path, may, handler, doc, Terms())


def application(
    pages: Pages,
    routes: Sequence[BaseRoute],
    door: Door,
    hosts: Sequence[str] = (),
    rate: Buckets | None = None,
) -> Starlette:
    """The ASGI application of both doors. `hosts`: names by which the TCP door is called, besides its addresses.

    `rate`: how often a token may ask.
    """
    there = "there is " + " and ".join(pages) + "\n"

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if request.url.path.startswith(API):
            sentence = {404: "there is no such thing here", 405: "not with this method"}.get(
                status, str(error)
            )
            return JSONResponse({"error": sentence}, status, _headers_of(error))
        return PlainTextResponse({404: there, 405: "only GET\n"}.get(status, "no\n"), status)

    app = Starlette(
        routes=[*(_page(path, page) for path, page in pages.items()), *routes],
        exception_handlers={HTTPException: refused},
    )
    app.router.redirect_slashes = False
    app.state.door = door
    app.state.hosts = names(hosts)
    app.state.rate = rate or Buckets()
    return app


def _headers_of(error: Exception) -> Mapping[str, str] | None:
    return error.headers if isinstance(error, HTTPException) else None  # Allow, with 405


def _page(path: str, page: Callable[[str], Page]) -> Route:
    async def endpoint(request: Request) -> Response:
        made = page(request.headers.get("accept", ""))
        kind = made.content_type
        kind = kind if "charset=" in kind else f"{kind}; charset=utf-8"
        return Response(made.text, made.status, headers={"content-type": kind})

    return Route(path, endpoint, methods=["GET"])


def _endpoint(may: str, handler: Handler, terms: Terms) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(terms.deadline_s):
                answer = await _answer(request, may, handler, terms)
            return answer if isinstance(answer, Response) else JSONResponse(dict(answer), terms.status)
        except ApiError as error:
            return JSONResponse({"error": str(error), **error.more}, error.status, _HEADERS.get(error.status))
        except BridgeError as error:
            return JSONResponse({"error": str(error)}, 503)
        except TimeoutError:
            return JSONResponse({"error": f"not done within {terms.deadline_s:g} s"}, 504)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            log.exception("api.crashed", path=request.url.path)
            return JSONResponse({"error": "internal error of control"}, 500)

    return endpoint


async def _answer(request: Request, may: str, handler: Handler, terms: Terms) -> Mapping[str, Any] | Response:
    _own_site(request)
    door: Door = request.app.state.door
    user = await door.who(request)
    _not_too_often(request)
    if not MAY[may] & user.roles:
        roles, wanted = ", ".join(sorted(user.roles)) or "no role", " or ".join(sorted(MAY[may]))
        raise ApiError(403, f"{user.name} ({roles}) may not: this takes {wanted} (sipbridge users)")
    raw = await _body(request, terms) if request.method == "POST" else b""
    body = _object(raw) if terms.content == JSON else {}
    how = "API" if account(request) is None else "CLI"
    came = request.headers.get("last-event-id", "")
    token = token_id_of(_bearer(request))
    return await handler(Call(user, how, request.path_params, request.query_params, body, raw, token, came))


def _bearer(request: Request) -> str:
    """The token of a request; "" when it has none, or says who it is in another way."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def account(request: Request) -> int | None:
    """The uid of who asks over the Unix socket; None over TCP."""
    uid: int | None = request.scope.get("state", {}).get(ACCOUNT)
    return uid


def _own_site(request: Request) -> None:
    """A browser that sends what another site's page made it send is refused, whatever it carries."""
    hosts = None if account(request) is not None else request.app.state.hosts
    if why := foreign(request.headers, hosts):
        raise ApiError(403, why)


def _not_too_often(request: Request) -> None:
    """Looked at once we know who it is, so that strangers fill no table; this machine's own account may do more."""
    if account(request) is not None:
        return
    rate: Buckets = request.app.state.rate
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    wait_s = rate.take("_".join(token.split("_", 2)[:2]), time.monotonic())  # its name, not its secret
    if wait_s > 0:
        sentence = f"more than {rate.per_s:g} requests a second: try again in {wait_s:.1f} s"
        raise ApiError(429, sentence, retry_after_s=round(wait_s, 3))


async def _body(request: Request, terms: Terms) -> bytes:
    raw = bytearray()
    async with asyncio.timeout(BODY_DEADLINE_S):
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > terms.max_body:
                raise ApiError(413, f"the body is longer than {terms.max_body} bytes")
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and given != terms.content:
        raise ApiError(415, f"the body must be {terms.content}: Content-Type: {terms.content}")
    return bytes(raw)


def _object(raw: bytes) -> Mapping[str, Any]:
    if not raw:
        return {}
    try:
        body = json.loads(raw)
        if b"\\u" in raw:  # a lone surrogate is legal JSON and no text: nothing could store or repeat it
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be a JSON object")
    return body


def owner(folder: Path) -> int:
    """The uid a folder belongs to."""
    return folder.stat().st_uid
