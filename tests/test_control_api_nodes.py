from contextlib import asynccontextmanager

from bridge.control_api_nodes import NodesApi
from bridge.control_nodes import NodeDesk, NodeParts
from bridge.settings_node import Node
from bridge.store.nodestore import Card, NodeStore, Pulse
from tests.fakes.api import running_api

A = Card("a", "m1", "10.0.0.1", "1.0", "key")


@asynccontextmanager
async def nodes(folder, *, shared=True):
    """An API of node a, which has seen node b."""
    made = []

    def routes(store):
        them = NodeStore(store)
        desk = NodeDesk(
            them, A, Node(name="a"), NodeParts(lambda: Pulse("p1", (), {"calls": 3})), shared=shared
        )
        made.extend([them, desk])
        return NodesApi(desk, them, 5.0).routes()

    async with running_api(folder, routes) as api:
        them, desk = made
        if shared:
            epoch = await them.join(A, 5.0)
            await them.join(Card("b", "m2", "10.0.0.2", "1.0", "key"), 5.0)
            desk._epoch = epoch
            await desk._turn()
        yield api, desk


async def test_every_node_is_listed_for_who_may_look(tmp_path):
    async with nodes(tmp_path) as (api, _):
        status, data = await api.ask("GET", "/api/v1/nodes", role="viewer")
        assert (status, data["me"]) == (200, "a")
        assert [(one["name"], one["state"], one["calls"]) for one in data["nodes"]] == [
            ("a", "live", 3),
            ("b", "live", 0),
        ]
        assert (await api.ask("GET", "/api/v1/nodes", role=None))[0] == 401


async def test_only_an_admin_takes_a_node_out_of_service(tmp_path):
    async with nodes(tmp_path) as (api, desk):
        assert (await api.ask("POST", "/api/v1/nodes/b/drain"))[0] == 403
        assert (await api.ask("POST", "/api/v1/nodes/b/drain", role="admin"))[1] == {
            "node": "b",
            "state": "draining",
        }
        await desk._turn()
        assert {row.name: row.state for row in desk.rows()} == {"a": "live", "b": "draining"}
        assert (await api.ask("POST", "/api/v1/nodes/b/undrain", role="admin"))[1]["state"] == "live"
        assert (await api.ask("POST", "/api/v1/nodes/x/drain", role="admin"))[0] == 404


async def test_a_node_that_lives_is_not_forgotten(tmp_path):
    async with nodes(tmp_path) as (api, desk):
        status, data = await api.ask("DELETE", "/api/v1/nodes/b", role="admin")
        assert (status, data["error"][:13]) == (503, "node b lives ")
        assert (await api.ask("DELETE", "/api/v1/nodes/a", role="admin"))[0] == 409
        (b,) = desk.others()
        await desk._store.leave("b", b.epoch)
        assert (await api.ask("DELETE", "/api/v1/nodes/b", role="admin"))[0] == 200
        await desk._turn()
        assert [row.name for row in desk.rows()] == ["a"]
        assert (await api.ask("POST", "/api/v1/nodes/b/drain", role="admin"))[0] == 404


async def test_with_sqlite_there_is_one_node_and_nothing_to_drain(tmp_path):
    async with nodes(tmp_path, shared=False) as (api, _):
        assert [one["name"] for one in (await api.ask("GET", "/api/v1/nodes"))[1]["nodes"]] == ["a"]
        status, data = await api.ask("POST", "/api/v1/nodes/a/drain", role="admin")
        assert (status, "SQLite" in data["error"]) == (409, True)
