"""What control shows and tells the outside: every route of the API, the stream of events, webhooks. Composition only.

Who adds an endpoint adds its class here; what it says of itself (control_api_docs.Doc) is then in the description too.
"""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.console.deeds import Deeds
from bridge.console.figures import Figures
from bridge.console.health import Health
from bridge.console.keeping import Keeping
from bridge.console.plans import Plans as PlanViews
from bridge.console.recordings import Recordings
from bridge.console.roster import Roster
from bridge.control_api import ApiRoute
from bridge.control_api_approvals import ApprovalsApi
from bridge.control_api_audit import AuditApi
from bridge.control_api_calls import CallsApi, CallsDeps
from bridge.control_api_dialplan import DialplanApi
from bridge.control_api_events import EventsApi
from bridge.control_api_health import HealthApi
from bridge.control_api_history import HistoryApi
from bridge.control_api_keeping import KeepingApi
from bridge.control_api_nodes import NodesApi
from bridge.control_api_outbound import OutboundApi, OutboundApiDeps
from bridge.control_api_plans import PlansApi
from bridge.control_api_shares import SharesApi
from bridge.control_api_statistics import StatisticsApi
from bridge.control_api_users import UsersApi
from bridge.control_api_webhooks import WebhooksApi
from bridge.control_dialplan import PlanDesk
from bridge.control_events import EventWatch
from bridge.control_hands import Hands
from bridge.control_healthtell import HealthTeller
from bridge.control_node import NodeOffice
from bridge.control_openapi import described, openapi_route
from bridge.control_plan import around
from bridge.control_versions import PlanVersions
from bridge.control_webhooks import WebhookDeps, WebhookDesk
from bridge.settings import Settings
from bridge.store.auditstore import AuditStore
from bridge.store.eventstore import EventStore
from bridge.store.gatestore import GateStore
from bridge.store.historystore import HistoryStore
from bridge.store.keepstore import KeepStore
from bridge.store.outboundstore import OutboundStore
from bridge.store.paststore import PastStore
from bridge.store.peoplestore import PeopleStore
from bridge.store.queuestore import QueueStore
from bridge.store.sharestore import ShareStore
from bridge.store.store import Store
from bridge.store.userstore import UserStore
from bridge.store.webhookstore import LEASE as WEBHOOKS
from bridge.store.webhookstore import WebhookStore


@dataclass(frozen=True, slots=True)
class Plans:
    """The dialplan: `desk` has the one in force."""

    desk: PlanDesk
    versions: PlanVersions


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the routes work with. `key` seals wishes and decisions; `environ` holds secrets.

    `gates`: the store that signs the audit.
    """

    settings: Settings
    store: Store
    plans: Plans
    hands: Hands
    nodes: NodeOffice
    key: bytes
    environ: Mapping[str, str]
    gates: GateStore | None = None


class Outside:
    """Made once the parts are there. `document`: the OpenAPI description of `routes`.

    `health`, `plans`: what the console knows of the installation and of dialplans, once it was put together. `teller`:
    says how this node is to others.
    """

    def __init__(self, parts: ApiParts) -> None:
        store, desk = parts.store, parts.nodes.desk
        self.health: Health | None = None
        self.plans: PlanViews | None = None
        self.teller: HealthTeller | None = None
        self.watch = EventWatch(EventStore(store), deadline_s=parts.settings.postgres.deadline_s)
        self.webhooks = WebhookDesk(
            WebhookDeps(
                store=WebhookStore(store),
                watch=self.watch,
                settings=parts.settings.webhooks,
                environ=parts.environ,
                holds=lambda: desk.holds(WEBHOOKS),
                token=lambda: desk.token(WEBHOOKS),
            )
        )
        self.routes = _routes(parts, self)
        self.document = described(self.routes)

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run."""
        telling = [self.teller.run()] if self.teller else []
        return [self.watch.run(), self.webhooks.run(), *telling]


def _routes(parts: ApiParts, outside: Outside) -> list[ApiRoute]:
    """All of them, and the one that describes them."""
    settings, store, nodes = parts.settings, parts.store, parts.nodes
    plans, deeds = parts.plans, Deeds(parts.gates)
    calls = CallsDeps(store, parts.hands, nodes.queues)
    outbound = OutboundApiDeps(OutboundStore(store), parts.key, lambda: plans.desk.plan)
    apis = (
        DialplanApi(plans.desk, plans.versions, around(settings), settings.environment),
        CallsApi(calls),
        OutboundApi(outbound),
        NodesApi(nodes.desk, nodes.store, settings.node.lost_after_s),
        WebhooksApi(outside.webhooks),
        StatisticsApi(Figures(PastStore(store))),
        ApprovalsApi(GateStore(store), QueueStore(store), parts.key),
        EventsApi(outside.watch, UserStore(store)),
        UsersApi(
            UserStore(store),
            Roster(UserStore(store), PeopleStore(store), deeds),
            step_up=settings.console.step_up.on,
        ),
        HealthApi(lambda: outside.health),
        HistoryApi(HistoryStore(store), Recordings(nodes.waveforms, store.node, nodes.recordings), deeds),
        SharesApi(HistoryStore(store), ShareStore(store), deeds, settings.console.url or ""),
        KeepingApi(Keeping(KeepStore(store), deeds)),
        AuditApi(AuditStore(store)),
        PlansApi(lambda: outside.plans),
    )
    routes = [route for api in apis for route in api.routes()]
    return [*routes, openapi_route(routes)]
