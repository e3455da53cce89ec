"""Every route of the API, over the parts of a running control. Composition: no rules of its own.

Who adds an endpoint adds its class here; what it says of itself (control_api_docs.Doc) is then in the description too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.control_api import ApiRoute
from bridge.control_api_calls import CallsApi, CallsDeps
from bridge.control_api_dialplan import DialplanApi
from bridge.control_api_nodes import NodesApi
from bridge.control_api_outbound import OutboundApi, OutboundApiDeps
from bridge.control_commands import Commands
from bridge.control_dialplan import PlanDesk
from bridge.control_node import NodeOffice
from bridge.control_openapi import openapi_route
from bridge.control_plan import around
from bridge.control_versions import PlanVersions
from bridge.settings import Settings
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the routes work with. `boots`: worker processes connected here; `key` seals wishes and decisions."""

    settings: Settings
    store: Store
    plans: PlanDesk
    versions: PlanVersions
    commands: Commands
    boots: Callable[[], Sequence[str]]
    nodes: NodeOffice
    key: bytes


def api_routes(parts: ApiParts) -> list[ApiRoute]:
    """All of them, and the one that describes them."""
    settings, store, nodes = parts.settings, parts.store, parts.nodes
    calls = CallsDeps(store, parts.commands, parts.boots, nodes.queues, nodes)
    outbound = OutboundApiDeps(OutboundStore(store), parts.key, lambda: parts.plans.plan)
    apis = (
        DialplanApi(parts.plans, parts.versions, around(settings), settings.environment),
        CallsApi(calls),
        OutboundApi(outbound),
        NodesApi(nodes.desk, nodes.store, settings.node.lost_after_s),
    )
    routes = [route for api in apis for route in api.routes()]
    return [*routes, openapi_route(routes)]
