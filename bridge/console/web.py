"""Who asks a page, what they may do, and what every answer of the console carries.

    request ─► our host? ─► (POST) our page, its form's secret? ─► session ─► role ─► handler ─► headers

A form's secret (CSRF) is a hash of the cookie that came with the page, so that only a page of ours knows it: of the
session's, or before sign-in of one that is nothing else. Every request has a deadline and a bound on its form.
The cookie is SameSite=Strict, which a link in a mail does not carry: such a visit gets a page that asks again.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.approval.request import MAY
from bridge.console.render import Renderer, visible
from bridge.console.snapshot import Snapshot
from bridge.console.texts import text
from bridge.errors import BridgeError
from bridge.forwarded import Network, client_of
from bridge.site import foreign, names, stranger
from bridge.store.sessionstore import Began, SessionStore
from bridge.store.userstore import User

log = structlog.get_logger(__name__)

ROOT = "/console"
DEADLINE_S = 30.0
FORM_DEADLINE_S = 10.0
MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 200
MAX_NEXT_CHARS = 2000
FORM_S = 3600
"""How long the cookie of a form lives that is filled in before sign-in."""
CSRF = "csrf"
PUBLIC = "public"
"""In the place of a right: none is needed."""
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer browsers send forms with Origin: null (Fetch, section 3.2)
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
MICROPHONE: Mapping[str, str] = {"permissions-policy": "camera=(), geolocation=(), microphone=(self)"}
"""For the pages on which people talk."""
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Page:
    """A page in the list on top of every page. `name`: of its words (`nav.NAME`) and of `here`; `may`: who sees it."""

    name: str
    path: str
    may: str = "look"


PAGES = (
    Page("start", "/"),
    Page("approvals", "/approvals"),
    Page("calls", "/calls"),
    Page("history", "/history"),
    Page("phone", "/phone", "dial"),
    Page("dialplan", "/dialplan"),
    Page("health", "/health"),
    Page("users", "/users", "administer"),
    Page("audit", "/audit", "audit"),
    Page("webhooks", "/webhooks", "audit"),
    Page("api", "/api"),
)


class PageError(Exception):
    """A page that says what is wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. `secret`: of its cookie; "": it had none. `user`: None on the pages before sign-in."""

    request: Request
    secret: str
    user: User | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    """Where it comes from: the client, where console.trusted_proxies says who stands between; else who connected."""

    @property
    def csrf(self) -> str:
        """What the forms of this visitor's pages carry."""
        return csrf_of(self.secret)

    @property
    def who(self) -> User:
        """Who is signed in."""
        if self.user is None:
            raise PageError(401, text("sign_in"))
        return self.user

    @property
    def by_script(self) -> bool:
        """Whether a piece of a page is wanted (htmx), not a page."""
        return "hx-request" in self.request.headers

    def may(self, right: str) -> bool:
        """Whether this user has a right (MAY)."""
        return self.user is not None and bool(MAY[right] & self.user.roles)


Handler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the console is reached: names of Host, and the address that people use ("": by Host).

    `proxies`: those that are believed whom they heard.
    """

    hosts: tuple[str, ...] = ()
    url: str = ""
    proxies: tuple[Network, ...] = ()

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self.url.startswith("https:")


class Web:
    """Makes routes of handlers. `now`: what there is at this moment, for what is on top of every page."""

    def __init__(
        self,
        sessions: SessionStore,
        renderer: Renderer,
        place: Place,
        now: Callable[[], Snapshot] = Snapshot,
    ) -> None:
        self.sessions = sessions
        self._now = now
        self._renderer = renderer
        self._place = place
        self.notices: Callable[[], Sequence[Any]] | None = None
        """What needs a person (banners.py), for the top of every page; None: nobody looks for it."""
        self._hosts = names(place.hosts)
        prefix = "__Host-" if place.secure else ""
        self._session_cookie, self._form_cookie = f"{prefix}sipbridge", f"{prefix}sipbridge-form"
        self._flow_cookie = f"{prefix}sipbridge-away"

    # ---- routes ----------------------------------------------------------------------------------------------

    def get(self, path: str, handler: Handler, may: str = "look", *, microphone: bool = False) -> Route:
        """A page for who has signed in and may. `microphone`: it may ask for the browser's."""
        return Route(f"{ROOT}{path}", self._endpoint(handler, may, microphone=microphone), methods=["GET"])

    def post(self, path: str, handler: Handler, may: str, deadline_s: float = DEADLINE_S) -> Route:
        """A form of a page of ours, by who has signed in and may."""
        return Route(f"{ROOT}{path}", self._endpoint(handler, may, deadline_s), methods=["POST"])

    def open(self, path: str, handler: Handler) -> Route:
        """A page with a form for anybody, and what becomes of it."""
        return Route(f"{ROOT}{path}", self._endpoint(handler, None), methods=["GET", "POST"])

    def public(self, path: str, handler: Handler) -> Route:
        """A page for anybody, who is nobody: it has no form and gives no cookie."""
        return Route(f"{ROOT}{path}", self._endpoint(handler, PUBLIC), methods=["GET"])

    def base(self, visit: Visit) -> str:
        """Where this visitor reaches the console, for a link that is sent on."""
        return self._place.url or f"{visit.request.url.scheme}://{visit.request.headers.get('host', '')}"

    def _endpoint(
        self, handler: Handler, may: str | None, deadline_s: float = DEADLINE_S, *, microphone: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        own = {**HEADERS, "cache-control": "no-store", **(MICROPHONE if microphone else {})}

        async def endpoint(request: Request) -> Response:
            try:
                async with asyncio.timeout(deadline_s):
                    answer = await self._answer(request, handler, may)
            except PageError as error:
                answer = self._error(error.status, str(error))
            except BridgeError as error:
                answer = self._error(503, str(error))
            except TimeoutError:
                answer = self._error(504, text("error.late"))
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception:
                log.exception("console.crashed", path=request.url.path)
                answer = self._error(500, text("error.inside"))
            answer.headers.update(own)
            return answer

        return endpoint

    async def _answer(self, request: Request, handler: Handler, may: str | None) -> Response:
        posted = request.method == "POST"
        why = (
            foreign(request.headers, self._hosts, self._place.url)
            if posted
            else stranger(request.headers, self._hosts)
        )
        if why:
            raise PageError(403, why)
        form = await _form(request) if posted else {}
        if may == PUBLIC:
            return await handler(self._visit(request, ""))
        if may is None:
            return await self._before(request, handler, form)
        secret = request.cookies.get(self._session_cookie, "")
        user = await self.sessions.user(secret, time.time()) if secret else None
        if user is None:
            return self._sign_in_first(request)
        if posted and not _same(form, secret):
            raise PageError(403, text("error.form"))
        visit = self._visit(request, secret, user, form)
        if not visit.may(may):
            roles = ", ".join(sorted(user.roles)) or text("error.no_role")
            wanted = " / ".join(sorted(MAY[may]))
            raise PageError(403, text("error.may_not", name=user.name, roles=roles, wanted=wanted))
        return await handler(visit)

    def _visit(
        self, request: Request, secret: str, user: User | None = None, form: Mapping[str, str] | None = None
    ) -> Visit:
        peer, said = request.client.host if request.client else "", request.headers.getlist("x-forwarded-for")
        return Visit(request, secret, user, form or {}, client_of(peer, said, self._place.proxies))

    async def _before(self, request: Request, handler: Handler, form: Mapping[str, str]) -> Response:
        """Before sign-in the forms have a cookie of their own; it is no session, and never becomes one."""
        secret = request.cookies.get(self._form_cookie, "")
        if request.method == "POST" and not (secret and _same(form, secret)):
            raise PageError(403, text("sign_in.stale"))
        fresh = secret or secrets.token_urlsafe(32)
        answer = await handler(self._visit(request, fresh, None, form))
        if not secret:
            self._give(answer, self._form_cookie, fresh, FORM_S)
        return answer

    def _sign_in_first(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
            return self.page("moment.html", None, {"again": own_path(_asked_for(request))})
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"hx-redirect": f"{ROOT}/sign-in"})
        here = quote(_asked_for(request)) if request.method == "GET" else ""
        return RedirectResponse(f"{ROOT}/sign-in?next={here}" if here else f"{ROOT}/sign-in", 303)

    # ---- answers ---------------------------------------------------------------------------------------------

    def page(
        self, template: str, visit: Visit | None, values: Mapping[str, Any], status: int = 200
    ) -> HTMLResponse:
        """A page, or a piece of one."""
        return HTMLResponse(self.piece(template, visit, values), status)

    def piece(self, template: str, visit: Visit | None, values: Mapping[str, Any]) -> str:
        """The HTML of a template; it knows the visitor, what they may, the secret of their forms, and the counts."""
        around = {
            "user": visit.user if visit else None,
            "csrf": visit.csrf if visit else "",
            "may": visit.may if visit else _may_not,
            "pages": PAGES,
            "here": "",
            "now": self._now(),
            "banners": self.notices() if visit and self.notices else (),
            "watched": self.notices is not None,
        }
        return self._renderer.page(template, {**around, **values})

    def _error(self, status: int, message: str) -> Response:
        return self.page("error.html", None, {"status": status, "message": message}, status)

    async def signed_in(
        self, visit: Visit, user: User, to: str, by: str, answer: Response | None = None
    ) -> Response:
        """A new session, whatever the browser brought; the one it brought is over. `by`: how it began.

        `answer`: instead of the way to `to`.
        """
        if brought := visit.request.cookies.get(self._session_cookie):
            await self.sessions.end(brought)
        answer = answer or RedirectResponse(to, 303)
        began = Began(by, visit.address, visible(visit.request.headers.get("user-agent", ""))[:200])
        secret = await self.sessions.begin(user.name, time.time(), began)
        self._give(answer, self._session_cookie, secret, None)
        self._take(answer, self._form_cookie)
        return answer

    async def signed_out(self, visit: Visit) -> Response:
        """The session is over, here and in the store."""
        await self.sessions.end(visit.secret)
        answer = RedirectResponse(f"{ROOT}/sign-in", 303)
        self._take(answer, self._session_cookie)
        return answer

    def flow_of(self, visit: Visit) -> str:
        """What this browser has while somebody else signs it in; it is no session."""
        return visit.request.cookies.get(self._flow_cookie, "")

    def give_flow(self, answer: Response, value: str, seconds: int) -> None:
        """The browser sends it along when it comes back from another site, which it never does with the session."""
        secure = self._place.secure
        answer.set_cookie(
            self._flow_cookie, value, seconds, httponly=True, samesite="lax", secure=secure, path="/"
        )

    def take_flow(self, answer: Response) -> None:
        """It is not needed any more."""
        self._take(answer, self._flow_cookie)

    def _give(self, answer: Response, cookie: str, value: str, seconds: int | None) -> None:
        secure = self._place.secure
        answer.set_cookie(cookie, value, seconds, httponly=True, samesite="strict", secure=secure, path="/")

    def _take(self, answer: Response, cookie: str) -> None:
        secure = self._place.secure
        answer.delete_cookie(cookie, httponly=True, samesite="strict", secure=secure, path="/")


def _asked_for(request: Request) -> str:
    """The path and the query of a request, as they came: what somebody searched for is there after sign-in."""
    path, query = request.url.path, request.url.query
    return f"{path}?{query}" if query and len(path) + len(query) < MAX_NEXT_CHARS else path


def _may_not(_right: str) -> bool:
    return False


def csrf_of(secret: str) -> str:
    """What a form carries to show that its page was made for who has this cookie."""
    return hashlib.sha256(f"form {secret}".encode("utf-8", "replace")).hexdigest()


def own_path(path: str) -> str:
    """Where to go after sign-in: a page of ours, or the first one."""
    parts = urlsplit(path)
    ours = path.startswith(f"{ROOT}/") and not (parts.scheme or parts.netloc or "\\" in path)
    return path if ours and path.isascii() and path.isprintable() and " " not in path else f"{ROOT}/"


def _same(form: Mapping[str, str], secret: str) -> bool:
    return hmac.compare_digest(form.get(CSRF, "").encode("utf-8", "replace"), csrf_of(secret).encode())


async def _form(request: Request) -> dict[str, str]:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = bytearray()
    async with asyncio.timeout(FORM_DEADLINE_S):
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_FORM_BYTES:
                raise PageError(413, text("error.too_long"))
    if given != _FORM:
        raise PageError(415, text("error.form"))
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise PageError(400, text("error.form")) from None
    return dict(pairs)
