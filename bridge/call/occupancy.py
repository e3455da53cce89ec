"""Room on routes with `capacity`: which of this worker's calls are on which, and control's word for all workers.

    facts ──Plan.route──► a route with room for N? ──"room.take"──► control: granted, or what is live on every route
                  ▲                                                     │ refused: the route is full
                  └─────────────────────────────────────────────────────┘

Control counts, so two calls that come to two workers at once cannot both have the last place. While it is away, or
silent for half a second, a worker goes by its own calls: a call too many is better than a caller turned away.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from bridge.dialplan.plan import CallFacts, Plan, Route
from bridge.errors import LinkError

log = structlog.get_logger(__name__)

Request = Callable[[str, Mapping[str, Any], float], Awaitable[Mapping[str, Any]]]
ASK_S = 0.5


class Occupancy:
    """One a worker. Lives on its loop."""

    def __init__(self) -> None:
        self._held: dict[str, str] = {}

    @property
    def held(self) -> Mapping[str, str]:
        """The route of each call that takes up room, by call id."""
        return dict(self._held)

    async def route(self, plan: Plan, facts: CallFacts, who: tuple[str, int], request: Request) -> Route:
        """The first route that fits and has room, which is taken until `leave`.

        `who`: the call's id and the worker's index. Raises DialplanError (SIP 404) when none does.
        """
        call_id, worker = who
        live: Mapping[str, int] = Counter(self._held.values())
        full: dict[str, int] = {}
        while True:
            route = plan.route(replace(facts, live={**live, **full}))
            most = route.max_calls
            if most is None:
                return route
            self._held[call_id] = route.name
            asked = {"call_id": call_id, "worker": worker, "route": route.name, "max_calls": most}
            try:
                answer = await request("room.take", asked, ASK_S)
            except LinkError as error:
                log.warning("room.uncounted", call_id=call_id, route=route.name, reason=str(error))
                return route
            if answer.get("granted"):
                return route
            self.leave(call_id)
            full[route.name] = most
            live = {str(name): int(calls) for name, calls in dict(answer.get("live", {})).items()}

    def leave(self, call_id: str) -> None:
        """The call is over, or went elsewhere."""
        self._held.pop(call_id, None)
