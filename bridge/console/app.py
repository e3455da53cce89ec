"""The console: control's web pages for people. Routes for control's HTTP door (control_api.application), and one task.

    /console/            overview            /console/approvals       what waits for a person, live
    /console/sign-in     who is it?          /console/approvals/{id}  one request, open or not
    /console/link/…      a password, once    /console/events          what is new, for pages that are open
    /console/account     what is one's own   /console/users           who may do what
    /console/oidc        signed in elsewhere
                                             /console/approvals/decided, …/statistics   what was decided, and how
    /console/history     calls that were     /console/history/{id}    one call: picture, recording, words, SIP
    /console/health      how the installation is
    /console/dialplan    which is in force, what the files say, what would happen to a call
    /console/api         the API described

Nothing here decides: roles are MAY's, decisions the gate's. Runs on control's loop.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bridge.console.account import Account, AccountDeps
from bridge.console.again import Again
from bridge.console.apipage import ApiPage
from bridge.console.approvals import Approvals, ApprovalsDeps, needs_factor
from bridge.console.decided import Decided
from bridge.console.deeds import Deeds
from bridge.console.dialplan import DialplanPages
from bridge.console.factors import Factors
from bridge.console.feed import Describe, Feed
from bridge.console.health import Health, HealthPages, Watch
from bridge.console.history import History, HistoryLimits
from bridge.console.lockout import FORGET_S
from bridge.console.overview import Overview, Pace
from bridge.console.people import People, PeopleDeps
from bridge.console.plans import Plans
from bridge.console.render import Renderer
from bridge.console.signin import SignIn, SignInDeps
from bridge.console.stream import Stream, Streams
from bridge.console.web import HEADERS, ROOT, Place, Web
from bridge.errors import StoreError
from bridge.settings_console import Console as ConsoleSettings
from bridge.store.gatestore import GateStore
from bridge.store.historystore import HistoryStore
from bridge.store.paststore import PastStore
from bridge.store.peoplestore import PeopleStore
from bridge.store.queuestore import QueueStore
from bridge.store.sessionstore import FIRST, LinkStore, SessionStore, link_of
from bridge.store.stepstore import StepStore
from bridge.store.store import Store
from bridge.store.trystore import TryStore
from bridge.store.userstore import UserStore

log = structlog.get_logger(__name__)

LINK_S = 3600.0
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class ConsoleDeps:
    """What the console works with. `describe`: what a function is; `decision_key` seals decisions.

    `api`: the OpenAPI description; it may be filled after this was made. `gates`: the store that signs the audit; None:
    what people do to users is only in the log. `environ`: secrets.
    """

    store: Store
    settings: ConsoleSettings
    decision_key: bytes
    describe: Describe
    api: Mapping[str, Any] = field(default_factory=dict)
    streams: Streams = field(default_factory=Streams)
    history: HistoryLimits = field(default_factory=HistoryLimits)
    plans: Plans | None = None
    health: Health | None = None
    pace: Callable[[], Pace] | None = None
    gates: GateStore | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


class Console:
    """Its routes, and what runs while control does."""

    def __init__(self, deps: ConsoleDeps) -> None:
        store, settings = deps.store, deps.settings
        self._deps = deps
        self._users, self._links = UserStore(store), LinkStore(store)
        self._tries, self._factors = TryStore(store, FORGET_S), Factors(store, deps.decision_key)
        self._renderer = Renderer(ROOT, {"needs_factor": lambda it: needs_factor(settings.step_up, it)})
        sessions = SessionStore(store, settings.session_idle_s, settings.session_s)
        self._feed = Feed(QueueStore(store), deps.describe)
        place = Place(settings.names, settings.url or "")
        self._web = Web(sessions, self._renderer, place, lambda: self._feed.snapshot)
        self._watch = Watch(deps.health) if deps.health else None
        self._web.notices = self._watch.shown if self._watch else None

    def routes(self) -> list[BaseRoute]:
        """For control's HTTP door."""
        gates = GateStore(self._deps.store)
        settings, again = self._deps.settings, self._again()
        provider = settings.oidc.label if settings.oidc else ""
        door = SignInDeps(self._users, self._links, self._tries, provider, settings.local_sign_in)
        past = PastStore(self._deps.store)
        decided = Decided(self._web, past)
        approvals = Approvals(
            self._web, self._feed, ApprovalsDeps(gates, past, self._deps.decision_key, again)
        )
        return [
            Route("/", _to_start, methods=["GET"]),
            Route(ROOT, _to_start, methods=["GET"]),
            Route(f"{ROOT}/static/{{version}}/{{name}}", self._file, methods=["GET"]),
            *Overview(self._web, self._feed, self._deps.store, self._deps.pace).routes(),
            *SignIn(self._web, door).routes(),
            *self._people(again),
            *self._elsewhere(),
            *decided.routes(),
            *approvals.routes(),
            *History(self._web, HistoryStore(self._deps.store), self._deps.history).routes(),
            *(DialplanPages(self._web, self._deps.plans).routes() if self._deps.plans else ()),
            *(HealthPages(self._web, self._watch).routes() if self._watch else ()),
            *ApiPage(self._web, self._deps.api).routes(),
            *Stream(self._web, self._feed, self._deps.streams).routes(),
        ]

    def _again(self) -> Again:
        settings, people = self._deps.settings, (self._users, self._tries)
        return Again(self._web, self._factors, people, settings.step_up, settings.url or "")

    def _people(self, again: Again) -> list[BaseRoute]:
        store, settings = self._deps.store, self._deps.settings
        deeds = Deeds(self._deps.gates)
        account = Account(self._web, AccountDeps(self._users, self._factors, again, deeds))
        deps = PeopleDeps(
            self._users, PeopleStore(store), self._links, self._factors, again, deeds,
            settings.url or "", settings.local_sign_in,
        )  # fmt: skip
        return [*account.routes(), *People(self._web, deps).routes()]

    def _elsewhere(self) -> list[BaseRoute]:
        """Signing in by a provider; only who has one loads what that takes."""
        settings, store = self._deps.settings, self._deps.store
        if settings.oidc is None:
            return []
        from bridge.console.oidc import Provider  # noqa: PLC0415
        from bridge.console.oidcpages import OidcDeps, OidcPages  # noqa: PLC0415

        name = settings.oidc.client_secret_env or ""
        provider = Provider(settings.oidc, lambda: self._deps.environ.get(name, ""))
        people, url = PeopleStore(store), settings.url or ""
        deps = OidcDeps(provider, people, StepStore(store), url, settings.local_sign_in)
        return OidcPages(self._web, deps).routes()

    async def run(self, port: int) -> None:
        """Keep open pages up to date, until cancelled; then they are let go of, and ask again by themselves.

        `port`: of control's HTTP door.
        """
        try:
            await self._first_link(port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._feed.run())
                if self._watch:
                    tasks.create_task(self._watch.run())
        finally:
            self._feed.close()

    async def _first_link(self, port: int) -> None:
        """While there is no user, the log has a link by which the first admin is made."""
        try:
            if not self._deps.settings.local_sign_in or await self._users.users():
                return
            link = link_of(self._deps.settings.base(port), await self._links.give(FIRST, time.time(), LINK_S))
        except StoreError as error:
            log.warning("console.no_first_link", reason=str(error))
            return
        log.warning("console.nobody_can_sign_in", first_admin=link, valid_min=int(LINK_S // 60))

    async def _file(self, request: Request) -> Response:
        """A file of the pages. Its version is its content's, so a browser never asks twice."""
        found = self._renderer.files.get(request.path_params["name"])
        if found is None:
            return Response(status_code=404, headers=HEADERS)
        headers = {**HEADERS, "cache-control": _FOR_EVER, "content-type": found[0]}
        return Response(found[1], headers=headers)


async def _to_start(_request: Request) -> Response:
    return RedirectResponse(f"{ROOT}/", 303, headers=HEADERS)
