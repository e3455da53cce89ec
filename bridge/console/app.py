"""The console: control's web pages for people. Routes for control's HTTP door (control_api.application), and one task.

    /console/            overview            /console/approvals       what waits for a person, live
    /console/phone       a call by the browser    /console/seats/…    listening and talking (audio.py)
    /console/sign-in     who is it?          /console/approvals/{id}  one request, open or not
    /console/link/…      a password, once    /console/events          what is new, for pages that are open
    /console/account     what is one's own   /console/users           who may do what
                                             /console/approvals/decided, …/statistics   what was decided, and how
    /console/history     calls that were     /console/history/{id}    one call: picture, recording, words, SIP
    /console/health      how the installation is
    /console/dialplan    which is in force, what the files say, what would happen to a call
    /console/calls       live calls          /console/calls/{id}      one of them, and what can be done with it
    /console/api         the API described   /console/webhooks        how webhooks fare
    /console/audit       who did what

Nothing here decides: roles are MAY's, decisions the gate's. Runs on control's loop.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bridge.approval.request import MAY
from bridge.console.apipage import ApiPage
from bridge.console.approvals import Approvals, ApprovalsDeps, needs_factor
from bridge.console.audio import Audio, AudioDeps
from bridge.console.auditpage import AuditPage
from bridge.console.callpage import CallPage, CallPageDeps
from bridge.console.calls import Calls, CallsDeps, LiveParts, no_seat
from bridge.console.callwatch import CallWatch
from bridge.console.decided import Decided
from bridge.console.deeds import Deeds
from bridge.console.dialplan import DialplanPages
from bridge.console.feed import Describe, Feed
from bridge.console.figures import Figures
from bridge.console.health import Health, HealthPages, Watch
from bridge.console.healthfacts import Chain
from bridge.console.history import History
from bridge.console.identity import Identity, IdentityDeps
from bridge.console.keeping import Keeping
from bridge.console.lists import Files, ListLimits
from bridge.console.livecalls import LiveCalls
from bridge.console.overview import Overview, Pace
from bridge.console.plans import Plans
from bridge.console.recordings import Far, Recordings
from bridge.console.render import Renderer
from bridge.console.seats import SeatLimits, Seats
from bridge.console.stream import Hub, Stream, Streams
from bridge.console.waveforms import Waveforms
from bridge.console.web import HEADERS, ROOT, Place, Web
from bridge.console.webhooks import WebhookPages, Webhooks
from bridge.settings_console import Console as ConsoleSettings
from bridge.store.auditstore import AuditStore
from bridge.store.gatestore import GateStore
from bridge.store.historystore import HistoryStore
from bridge.store.keepstore import KeepStore
from bridge.store.livestore import LiveStore
from bridge.store.paststore import PastStore
from bridge.store.queuestore import QueueStore
from bridge.store.sessionstore import SessionStore
from bridge.store.sharestore import ShareStore
from bridge.store.store import Store

log = structlog.get_logger(__name__)

_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class ConsoleDeps:
    """What the console works with. `describe`: what a function is; `decision_key` seals decisions.

    `recordings`: the folder of this node's; `far`: those of others.
    `lists`: how long lists and their files are.
    `api`: the OpenAPI description. `live`: for the pages of live calls.
    `gates`: the store that signs the audit. `environ`: secrets.
    """

    store: Store
    settings: ConsoleSettings
    decision_key: bytes
    describe: Describe
    api: Mapping[str, Any] = field(default_factory=dict)
    streams: Streams = field(default_factory=Streams)
    audio: AudioDeps | None = None
    lists: ListLimits = field(default_factory=ListLimits)
    recordings: Path | None = None
    far: Far | None = None
    plans: Plans | None = None
    webhooks: Webhooks | None = None
    health: Health | None = None
    pace: Callable[[], Pace] | None = None
    live: LiveParts = field(default_factory=LiveParts)
    gates: GateStore | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


class Console:
    """Its routes, and what runs while control does."""

    def __init__(self, deps: ConsoleDeps) -> None:
        store, settings = deps.store, deps.settings
        self._deps = deps
        self._renderer = Renderer(ROOT, {"needs_factor": lambda it: needs_factor(settings.step_up, it)})
        sessions = SessionStore(store, settings.session_idle_s, settings.session_s)
        self._feed = Feed(QueueStore(store), deps.describe)
        self._calls = LiveCalls(LiveStore(store), self._feed, deps.live.boots)
        self._course = CallWatch(LiveStore(store), deps.live.ask)
        place = Place(settings.names, settings.url or "", settings.proxies)
        limits = deps.audio.limits if deps.audio else SeatLimits()
        self.seats = Seats(sessions, limits, lambda user, right: bool(MAY[right] & user.roles))
        self._web = Web(sessions, self._renderer, place, lambda: self._feed.snapshot)
        who = IdentityDeps(store, settings, deps.decision_key, deps.gates, deps.environ)
        self._identity = Identity(self._web, who)
        self._watch = Watch(deps.health) if deps.health else None
        self._web.notices = self._watch.shown if self._watch else None

    def routes(self) -> list[BaseRoute]:
        """For control's HTTP door."""
        gates = GateStore(self._deps.store)
        hub = Hub(self._web, self._deps.streams)
        audio = Audio(self._web, self.seats, self._deps.audio) if self._deps.audio else None
        parts = CallsDeps(self._web, self._feed, hub, self._calls, self._course, self._deps.live)
        past = PastStore(self._deps.store)
        decided = Decided(self._web, past, Figures(past))
        approvals = Approvals(
            self._web, self._feed, ApprovalsDeps(gates, past, self._deps.decision_key, self._identity.again)
        )
        return [
            Route("/", _to_start, methods=["GET"]),
            Route(ROOT, _to_start, methods=["GET"]),
            Route(f"{ROOT}/static/{{version}}/{{name}}", self._file, methods=["GET"]),
            *Overview(self._web, self._feed, self._deps.store, self._deps.pace).routes(),
            *self._identity.routes(),
            *decided.routes(),
            *approvals.routes(),
            *(audio.routes() if audio else ()),
            *self._history(),
            *(DialplanPages(self._web, self._deps.plans).routes() if self._deps.plans else ()),
            *(HealthPages(self._web, self._watch).routes() if self._watch else ()),
            *ApiPage(self._web, self._deps.api).routes(),
            *WebhookPages(self._web, self._deps.webhooks).routes(),
            *Calls(parts, audio.panel if audio else no_seat).routes(),
            *Stream(self._web, self._feed, hub).routes(),
        ]

    def _history(self) -> list[BaseRoute]:
        """Calls that were: the list before the pages of one. And the audit of what was done with them."""
        store, deeds = self._deps.store, Deeds(self._deps.gates)
        deps = CallPageDeps(
            store=HistoryStore(store),
            shares=ShareStore(store),
            recordings=Recordings(Waveforms(self._deps.recordings), store.node, self._deps.far),
            keeping=Keeping(KeepStore(store), deeds),
            audit=AuditStore(store),
            deeds=deeds,
        )
        limits = self._deps.lists
        files = Files(limits)
        every = History(self._web, deps.store, deeds, limits, files)
        audit = AuditPage(self._web, deps.audit, deeds, limits, files, self._chain)
        return [*every.routes(), *CallPage(self._web, deps).routes(), *audit.routes()]

    def _chain(self) -> Chain:
        return self._watch.chain if self._watch else Chain()

    async def run(self, port: int) -> None:
        """Keep open pages up to date, until cancelled; then they are let go of, and ask again by themselves.

        `port`: of control's HTTP door.
        """
        try:
            await self._identity.first_link(port)
            async with asyncio.TaskGroup() as tasks:
                for part in (self._feed.run(), self._calls.run(), self._course.run(), self.seats.run()):
                    tasks.create_task(part)
                tasks.create_task(asyncio.to_thread(self._renderer.warm))
                if self._watch:
                    tasks.create_task(self._watch.run())
        finally:
            self._feed.close()
            self._calls.bell.ring()
            self._course.close()

    def stored(self, call_ids: Iterable[str]) -> None:
        """Here were stored events of these calls."""
        self._calls.poke()
        self._course.poke(frozenset(call_ids))

    def glimpsed(self, call_id: str, data: Mapping[str, Any]) -> None:
        """A worker tells what is on its way in a call that somebody looks at (callwatch.py)."""
        self._course.glimpsed(call_id, data)

    async def _file(self, request: Request) -> Response:
        """A file of the pages. Its version is its content's, so a browser never asks twice."""
        found = self._renderer.files.get(request.path_params["name"])
        if found is None:
            return Response(status_code=404, headers=HEADERS)
        headers = {**HEADERS, "cache-control": _FOR_EVER, "content-type": found[0]}
        return Response(found[1], headers=headers)


async def _to_start(_request: Request) -> Response:
    return RedirectResponse(f"{ROOT}/", 303, headers=HEADERS)
