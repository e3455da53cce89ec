"""The nodes over the API (control_api.py): who is there, and taking one out of service.

    GET    /api/v1/nodes               every node: state, version, plan, workers, calls, problems, targets
    POST   /api/v1/nodes/{name}/drain  no new calls, no leases; its calls go on     .../undrain  the other way
    POST   /api/v1/nodes/reload        every other node reads its dialplan, tools and policy again
    DELETE /api/v1/nodes/{name}        forget one that is not there any more

Every node answers for all of them, as they were seen at the last heartbeat.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from bridge.control_api import ApiError, ApiRoute, Call, Handler, delete, get, post
from bridge.control_api_docs import AT, INTEGER, NUMBER, TEXT, Doc, list_of, one_of, thing
from bridge.control_nodes import NodeDesk, shown
from bridge.store.nodestore import DRAINING, LIVE, RELOAD, NodeStore

log = structlog.get_logger(__name__)

BASE = "/api/v1/nodes"
NODE = thing(
    {
        "name": TEXT,
        "state": one_of("live", "draining", "lost", "left"),
        "address": TEXT,
        "version": TEXT,
        "plan": TEXT,
        "epoch": INTEGER,
        "started_at": AT,
        "seen_s": NUMBER,
        "workers": INTEGER,
        "calls": INTEGER,
        "problems": list_of(TEXT),
        "targets": list_of(thing({})),
    }
)
CHANGED = thing({"node": TEXT, "state": one_of("live", "draining", "forgotten")})
DOCS = {
    "list": Doc(
        "Every node, as it was seen at the last heartbeat.", thing({"me": TEXT, "nodes": list_of(NODE)})
    ),
    "reload": Doc(
        "Have every other node read its dialplan, tools and policy again.",
        thing({"asked": list_of(TEXT)}),
        details="Each reads its own files.",
    ),
    "drain": Doc(
        "Take a node out of service: no new calls, no leases; its calls go on.", CHANGED, refuses=(404, 409)
    ),
    "undrain": Doc("Give a node calls again.", CHANGED, refuses=(404, 409)),
    "forget": Doc("Remove a node that is not there any more.", CHANGED, refuses=(404, 409)),
}


class NodesApi:
    """Routes over `desk` and its store. `lost_after_s`: a node seen since cannot be forgotten."""

    def __init__(self, desk: NodeDesk, store: NodeStore, lost_after_s: float) -> None:
        self._desk = desk
        self._store = store
        self._lost_after_s = lost_after_s

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        return [
            get(BASE, "look", self._list, DOCS["list"]),
            post(f"{BASE}/reload", "dialplan", self._reload, DOCS["reload"]),
            post(f"{BASE}/{{name}}/drain", "administer", self._set(LIVE, DRAINING), DOCS["drain"]),
            post(f"{BASE}/{{name}}/undrain", "administer", self._set(DRAINING, LIVE), DOCS["undrain"]),
            delete(f"{BASE}/{{name}}", "administer", self._forget, DOCS["forget"]),
        ]

    async def _list(self, _call: Call) -> Mapping[str, Any]:
        if self._desk.shared:
            self._desk.poke()
        return {"me": self._desk.name, "nodes": [shown(row) for row in self._desk.rows()]}

    async def _reload(self, call: Call) -> Mapping[str, Any]:
        """Each reads its own files: whether they are the same is for who copies them there; the list shows it."""
        await self._store.tell(RELOAD, by=call.user.name[:64])
        return {"asked": [row.name for row in self._desk.others()]}

    def _set(self, before: str, state: str) -> Handler:
        async def act(call: Call) -> Mapping[str, Any]:
            name = self._known(call)
            found = await self._store.set_state(name, (before, state), state)
            if not found:
                raise ApiError(409, f"node {name} is not {before}: it cannot be made {state}")
            self._desk.poke()
            log.warning("node.state", node=name, state=state, by=call.user.name)
            return {"node": name, "state": state}

        return act

    async def _forget(self, call: Call) -> Mapping[str, Any]:
        name = self._known(call)
        if name == self._desk.name:
            raise ApiError(409, f"node {name} is the one you ask: it lives")
        if not await self._store.forget(name, self._lost_after_s):
            raise ApiError(404, f"there is no node {name}")
        self._desk.poke()
        log.warning("node.forgotten", node=name, by=call.user.name)
        return {"node": name, "state": "forgotten"}

    def _known(self, call: Call) -> str:
        if not self._desk.shared:
            raise ApiError(
                409, "the store is SQLite: there is one node, which cannot be drained or forgotten by itself"
            )
        name = call.path["name"]
        if name not in {row.name for row in self._desk.rows()}:
            raise ApiError(404, f"there is no node {name[:64]!r}")
        return name
