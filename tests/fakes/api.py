"""Control's API on both doors, with a store, users of every role, and a worker that answers commands as a test says."""

import asyncio
from contextlib import asynccontextmanager

import httpx

from bridge.approval.request import ROLES
from bridge.control_api import Door, application, owner
from bridge.control_api_calls import CallsApi, CallsDeps
from bridge.control_commands import Commands
from bridge.control_door import serve, serve_unix
from bridge.control_hands import Hands, HandsDeps
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore

NOBODY = "sbt_1_nobody"


class Worker:
    """`answers`: by kind, or {"ok": true}; None: never. `asked`: every command, `boots`: who is connected."""

    def __init__(self):
        self.answers, self.asked, self.boots = {}, [], ["b1"]
        self.commands = Commands(self._tell)

    def _tell(self, command):
        self.asked.append((command.call_id, command.kind, command.data))
        answer = self.answers.get(command.kind, {"ok": True})
        if answer is not None:
            words = {"call_id": command.call_id, "command_id": command.command_id, **answer}
            asyncio.get_running_loop().call_soon(self.commands.done, words)


class Api:
    """Clients of both doors. `tokens`: by role."""

    def __init__(self, folder, store, port, worker):
        self.folder, self.store, self.port, self.worker = folder, store, port, worker
        self.tokens = {}

    async def ask(self, method, path, body=None, role="operator", **options):
        """Status and JSON, over TCP as a user of that role; role "": over the Unix socket; None: nobody."""
        headers = {**options.pop("headers", {})}
        if role != "":
            headers |= {"authorization": f"Bearer {self.tokens.get(role, NOBODY)}"} if role else {}
            base, transport = f"http://127.0.0.1:{self.port}", None
        else:
            base, transport = "http://c", httpx.AsyncHTTPTransport(uds=str(self.folder / "api.sock"))
        if body is not None:
            options["json"] = body
        async with httpx.AsyncClient(base_url=base, transport=transport, timeout=20) as client:
            answer = await client.request(method, path, headers=headers, **options)
        return answer.status_code, answer.json()


@asynccontextmanager
async def running_api(folder, more=None):
    """`more(store)`: further routes."""
    worker = Worker()
    async with Store(f"sqlite:///{folder}/sipbridge.db") as store:
        users = UserStore(store)
        queues = {"queues": [], "parked": []}
        hands = Hands(HandsDeps(store, worker.commands, lambda: worker.boots))
        calls = CallsApi(CallsDeps(store, hands, lambda: queues))
        routes = [*calls.routes(), *(more(store) if more else ())]
        app = application({}, routes, Door(users, owner(folder)))
        async with serve(app, "127.0.0.1", 0) as port, serve_unix(app, folder / "api.sock"):
            api = Api(folder, store, port, worker)
            for role in ROLES:
                await users.put(User(f"a-{role}", frozenset({role}), frozenset()))
                api.tokens[role] = await users.give_token(f"a-{role}", "test", None)
            yield api
