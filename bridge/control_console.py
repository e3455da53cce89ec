"""The console put together with what control has: the pages ask through the protocols of bridge/console.

Made by control once all of its parts are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.console.app import Console, ConsoleDeps
from bridge.console.calls import Elsewhere, LiveParts
from bridge.console.deeds import Deeds
from bridge.console.overview import Pace
from bridge.control_apis import Outside
from bridge.control_dialplan import PlanDesk
from bridge.control_edge import EdgeKeeper, NoEdge
from bridge.control_hands import Hands, Order
from bridge.control_healthlook import HealthLook, HealthParts
from bridge.control_node import NodeOffice
from bridge.control_pages import Facts as ControlFacts
from bridge.control_plan import around
from bridge.control_planwindow import PlanWindow
from bridge.control_seats import SeatDesk
from bridge.control_toolbox import ToolSource
from bridge.control_versions import PlanVersions
from bridge.link.server import LinkServer
from bridge.settings import Settings
from bridge.store.gatestore import GateStore
from bridge.store.store import Store


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What control gives it. `key` seals decisions; `gates` signs the audit; `environ` has the secrets."""

    settings: Settings
    store: Store
    link: LinkServer
    key: bytes
    source: ToolSource
    plans: PlanDesk
    versions: PlanVersions
    nodes: NodeOffice
    gates: GateStore
    environ: Mapping[str, str]
    outside: Outside
    facts: ControlFacts
    edge: EdgeKeeper | NoEdge
    hands: Hands
    seats: SeatDesk
    config: Path | None = None


def open_console(parts: ConsoleParts) -> Console:
    """Its routes go to control's HTTP door, its `run` into control's tasks."""
    settings = parts.settings
    plans, nodes = parts.plans, parts.nodes
    window = PlanWindow(plans, parts.versions, around(settings), settings.environment, nodes)
    health = HealthParts(
        settings=settings,
        store=parts.store,
        link=parts.link,
        source=parts.source,
        plans=plans,
        window=window,
        nodes=nodes,
        edge=parts.edge,
        deeds=Deeds(parts.gates),
        config=parts.config,
    )
    parts.outside.plans = window
    parts.outside.health = look = HealthLook(health)
    parts.outside.teller = look.teller

    async def act(call_id: str, kind: str, body: Mapping[str, Any], by: str) -> Mapping[str, Any]:
        return await parts.hands.do(Order(call_id, kind, body, by, "console"))

    glimpses = parts.nodes.glimpses

    def elsewhere(node: str) -> Elsewhere:
        return Elsewhere(nodes.roads(node).console, nodes.deaf(node))

    live = LiveParts(act, lambda: parts.plans.plan, parts.hands.connected, glimpses.ask, elsewhere)
    console = Console(
        ConsoleDeps(
            store=parts.store,
            settings=settings.console,
            decision_key=parts.key,
            describe=parts.source.described,
            gates=parts.gates,
            environ=parts.environ,
            audio=parts.seats.audio(),
            api=parts.outside.document,
            recordings=Path(str(settings.recording.folder)),
            far=nodes.recordings,
            plans=window,
            health=look,
            pace=lambda: pace(parts.facts),
            webhooks=parts.outside.webhooks,
            live=live,
        )
    )
    glimpses.page = console.glimpsed
    parts.seats.seats = console.seats
    return console


def pace(facts: ControlFacts) -> Pace:
    """How quick calls have been since control's start."""
    seen = facts.counts.quantile
    return Pace(
        facts.started_at,
        seen("greeting_seconds", 0.5),
        seen("greeting_seconds", 0.95),
        seen("response_seconds", 0.5),
        seen("response_seconds", 0.95),
    )
