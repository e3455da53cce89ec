"""The console put together with what control has: the pages ask through the protocols of bridge/console.

Made by control once all of its parts are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.console.app import Console, ConsoleDeps
from bridge.console.calls import LiveParts
from bridge.control_dialplan import PlanDesk
from bridge.control_edge import EdgeKeeper, NoEdge
from bridge.control_glimpses import Glimpses
from bridge.control_hands import Hands, Order
from bridge.control_node import NodeOffice
from bridge.control_plan import around
from bridge.control_planwindow import PlanWindow
from bridge.control_toolbox import ToolSource
from bridge.control_versions import PlanVersions
from bridge.link.server import LinkServer
from bridge.settings import Settings
from bridge.store.store import Store


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What control gives it. `key` seals decisions; `api` is filled when the API's routes are known."""

    settings: Settings
    store: Store
    link: LinkServer
    key: bytes
    source: ToolSource
    plans: PlanDesk
    versions: PlanVersions
    nodes: NodeOffice
    api: Mapping[str, Any]
    edge: EdgeKeeper | NoEdge
    hands: Hands
    glimpses: Glimpses


def open_console(parts: ConsoleParts) -> Console:
    """Its routes go to control's HTTP door, its `run` into control's tasks."""
    settings = parts.settings

    async def act(call_id: str, kind: str, body: Mapping[str, Any], by: str) -> Mapping[str, Any]:
        return await parts.hands.do(Order(call_id, kind, body, by, "console"))

    live = LiveParts(act, lambda: parts.plans.plan, parts.hands.connected, parts.glimpses.ask)
    console = Console(
        ConsoleDeps(
            store=parts.store,
            settings=settings.console,
            decision_key=parts.key,
            describe=parts.source.described,
            api=parts.api,
            plans=PlanWindow(parts.plans, parts.versions, around(settings), settings.environment),
            live=live,
        )
    )
    parts.glimpses.page = console.glimpsed
    return console
