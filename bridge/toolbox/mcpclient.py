"""The MCP servers that agents' tools come from: connected, listed, watched, called. Uses the official SDK (`mcp`).

    settings.mcp ──► McpServers.run ─► one McpConnection each ─► tools/list ─► lock file ─► specs
                                            └── tools/call ◄── ToolRunner ◄── the gate

A server that cannot be reached is tried again, less and less often; its tools are away meanwhile. Its list is read
again when it says that it changed, and every LIST_EVERY_S. Before a tool that does more than read is run its definition
is looked at once more. A shell: one task a server, on control's loop.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import httpx2
import structlog
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Implementation,
    RequestParamsMeta,
)

from bridge.errors import ToolError, ToolLostError
from bridge.settings_tools import McpServer
from bridge.toolbox.mcplock import McpLock
from bridge.toolbox.mcptools import McpDefinition, faithful, printable, read, result, spec
from bridge.toolbox.spec import Options, ToolContext, ToolSpec

log = structlog.get_logger(__name__)

LIST_EVERY_S = 30.0
LOCK_EVERY_S = 1.0
RETRY_FIRST_S, RETRY_MOST_S = 1.0, 60.0
MAX_PAGES, MAX_TOOLS = 20, 500
MAX_HTTP_BYTES = 4_000_000
NOT_RUN = frozenset({INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR})
"""JSON-RPC errors that say that the tool was not started. After any other one nobody knows."""
KEY = "sipbridge/idempotency-key"


class McpConnection:
    """One server. `definitions` is what it offers now, of what the settings allow; empty while it is away."""

    def __init__(self, name: str, server: McpServer, environ: Mapping[str, str], log_folder: Path) -> None:
        self.name = name
        self.server = server
        self.definitions: dict[str, McpDefinition] = {}
        self.problem = "not connected yet"
        self.changed: Callable[[], None] = lambda: None
        self._environ = environ
        self._log_folder = log_folder
        self._client: Client | None = None
        self._relist = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                async with self.connected():
                    pause_s = RETRY_FIRST_S
                    await self._watch()
            except Exception as error:  # noqa: BLE001  # whatever the SDK raises is this server's trouble
                self._away(error)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_MOST_S)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Connected, and listed once. Raises what the SDK raises."""
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(self.server.timeout_s):
                transport = await self._transport(stack)
                client = Client(
                    transport,
                    read_timeout_seconds=self.server.timeout_s,
                    message_handler=self._message,
                    client_info=Implementation(name="sipbridge", version="1"),
                    cache=None,
                )
                self._client = await stack.enter_async_context(client)
                try:
                    await self._list()
                except BaseException:
                    self._client = None
                    raise
            self.problem = ""
            log.info("mcp.connected", server=self.name, tools=len(self.definitions))
            try:
                yield
            finally:
                self._client = None

    async def _transport(self, stack: contextlib.AsyncExitStack) -> Any:
        server = self.server
        if server.url is not None:
            return streamable_http_client(
                server.url, http_client=await stack.enter_async_context(self._http(server.url))
            )
        self._log_folder.mkdir(parents=True, exist_ok=True)
        errors = stack.enter_context((self._log_folder / f"mcp-{self.name}.log").open("a", encoding="utf-8"))
        assert server.command is not None  # one of the two is there: settings_tools.py
        parameters = StdioServerParameters(
            command=server.command[0],
            args=server.command[1:],
            env={theirs: self._environ[ours] for theirs, ours in server.env.items() if ours in self._environ},
            cwd=server.folder,
        )
        return stdio_client(parameters, errlog=errors)

    def _http(self, url: str) -> httpx2.AsyncClient:
        server, headers, auth = self.server, {}, None
        if server.token_env is not None:
            headers["Authorization"] = f"Bearer {self._environ.get(server.token_env, '')}"
        if server.oauth is not None:
            auth = ClientCredentialsOAuthProvider(
                url,
                _Tokens(),
                client_id=server.oauth.client_id,
                client_secret=self._environ.get(server.oauth.client_secret_env, ""),
                scope=server.oauth.scope,
                issuer=server.oauth.issuer,
            )
        return httpx2.AsyncClient(
            headers=headers,
            auth=auth,
            timeout=httpx2.Timeout(server.timeout_s, read=300),
            event_hooks={"response": [_refuse_huge]},
        )

    async def _watch(self) -> None:
        """Read the list again when it changed, and now and then: that also finds out that the server is gone."""
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen())
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LIST_EVERY_S):
                        await self._relist.wait()
                self._relist.clear()
                try:
                    await self._list()
                except BaseException:
                    listening.cancel()
                    raise

    async def _listen(self) -> None:
        """Servers since 2026-07-28 tell changes only to whom has asked for them."""
        client = self._client
        with contextlib.suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            if client is None:
                return
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._relist.set()

    async def _message(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._relist.set()

    async def _list(self) -> None:
        assert self._client is not None  # only called while connected
        found: dict[str, McpDefinition] = {}
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._client.list_tools(cursor=cursor)
            for tool in page.tools:
                self._add(found, tool)
            cursor = page.next_cursor
            if not cursor or len(found) >= MAX_TOOLS:
                break
        if found != self.definitions:
            self.definitions = found
            self.changed()

    def _add(self, found: dict[str, McpDefinition], tool: Any) -> None:
        if self.server.tools and tool.name not in self.server.tools:
            return
        try:
            definition = read(self.name, tool.name, tool.description or "", tool.input_schema)
            if self.server.run_by == "provider":
                faithful(definition, tool.description or "", tool.input_schema)
        except ToolError as error:
            log.warning("mcp.tool_refused", server=self.name, reason=str(error))
            return
        found[definition.tool] = definition

    def _away(self, error: BaseException) -> None:
        words = _words(error)
        if self.problem != words:
            log.warning("mcp.away", server=self.name, reason=words)
        self.problem = words
        if self.definitions:
            self.definitions = {}
            self.changed()

    async def call(
        self, definition: McpDefinition, arguments: Mapping[str, Any], context: ToolContext
    ) -> dict[str, Any]:
        """Run a tool. Raises ToolError: it was not run, or says that it failed; ToolLostError: nobody knows."""
        if self._client is None:
            raise ToolError("the system behind it cannot be reached")
        await self._unchanged(definition)
        client = self._client
        try:
            answer = await client.call_tool(
                definition.tool,
                dict(arguments),
                read_timeout_seconds=self.server.timeout_s,
                meta=cast("RequestParamsMeta", {KEY: context.idempotency_key}),
            )
        except MCPError as error:
            words = printable(error.message, 300)
            if error.code in NOT_RUN:
                raise ToolError(words) from error
            self._relist.set()  # finds out whether the server is still there
            raise ToolLostError(words) from error
        except Exception as error:
            self._relist.set()
            raise ToolLostError(f"the connection to it was lost: {_words(error)}") from error
        content = [part.model_dump(mode="json") for part in answer.content]
        value = result(content, answer.structured_content, self.server.max_result_bytes)
        if answer.is_error:
            raise ToolError(printable(str(value.get("result", value)), 500))
        return value

    async def _unchanged(self, definition: McpDefinition) -> None:
        if self.server.risk.get(definition.tool) != "read":
            try:
                await self._list()
            except Exception as error:
                raise ToolError(f"the system behind it cannot be reached: {_words(error)}") from error
        now = self.definitions.get(definition.tool)
        if now is None or now.hash != definition.hash:
            raise ToolError("the function has changed since; it was not run")


class McpServers:
    """All of them. `specs`: accepted tools by name, kept up to date in place; `pending`: what waits for an admin."""

    def __init__(
        self, servers: Mapping[str, McpServer], lock: Path, environ: Mapping[str, str], log_folder: Path
    ) -> None:
        self.connections = {
            name: McpConnection(name, server, environ, log_folder) for name, server in servers.items()
        }
        self.specs: dict[str, ToolSpec] = {}
        self.pending: dict[str, str] = {}
        self._lock = McpLock(lock)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            changed = asyncio.Event()
            for connection in self.connections.values():
                connection.changed = changed.set
                tasks.create_task(connection.run())
            while True:
                self.look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOCK_EVERY_S):
                        await changed.wait()
                changed.clear()

    def look(self) -> None:
        """Bring `specs` and `pending` up to date with the servers and the lock file."""
        try:
            self._lock.read()
        except ToolError as error:
            log.error("mcp.no_lock", reason=str(error))  # noqa: TRY400  # the sentence says it all
        specs: dict[str, ToolSpec] = {}
        pending: dict[str, str] = {}
        for connection in self.connections.values():
            for definition in connection.definitions.values():
                standing = self._lock.standing(definition)
                if standing == "accepted":
                    specs[definition.name] = self._spec(connection, definition)
                else:
                    pending[definition.name] = standing
        for name in sorted({*pending} - {*self.pending}):
            hint = "sipbridge tools accept"
            log.warning("mcp.tool_blocked", tool=name, standing=pending[name], hint=hint)
        self.pending = pending
        self.specs.clear()
        self.specs.update(specs)

    def waiting(self) -> list[tuple[McpDefinition, str, tuple[str, ...]]]:
        """What waits for an admin: definition, standing (new, changed), and what changed since it was accepted."""
        standing = [
            (one, self._lock.standing(one))
            for connection in self.connections.values()
            for one in connection.definitions.values()
        ]
        return [(one, how, tuple(self._lock.difference(one))) for one, how in standing if how != "accepted"]

    def accepted(self) -> list[tuple[str, str]]:
        """(server, tool) of what is in the lock file, of servers that are in the settings."""
        return sorted(key for key in self._lock.pins if key[0] in self.connections)

    def _spec(self, connection: McpConnection, definition: McpDefinition) -> ToolSpec:
        known = self.specs.get(definition.name)
        chosen = options(connection.server, definition)
        if connection.server.run_by == "provider":
            made = spec(definition, chosen, _released, "provider")
        else:
            made = spec(definition, chosen, connection.call)
        return known if known is not None and known.definition_hash == made.definition_hash else made


def options(server: McpServer, definition: McpDefinition) -> Options:
    """What ops say about a tool; the server's own annotations are not asked."""
    risk = server.risk.get(definition.tool, "write")
    return Options(
        description=definition.description,
        risk=risk,
        idempotent=risk == "read" or definition.tool in server.idempotent,
        timeout_s=server.timeout_s,
        max_result_bytes=server.max_result_bytes,
        while_running="One moment, please.",
    )


async def _released(
    definition: McpDefinition, arguments: Mapping[str, Any], context: ToolContext
) -> dict[str, Any]:
    """The Realtime provider runs it once its approval request is answered; here there is nothing to do."""
    del definition, arguments, context
    return {"released": "the provider of the model runs it now"}


class _Tokens:
    """Tokens of one server, in memory: they are asked for again after a restart."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


class _Limited(httpx2.AsyncByteStream):
    """An answer's body that ends in an error when it is too long."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._inner:
            seen += len(chunk)
            if seen > MAX_HTTP_BYTES:
                raise httpx2.ReadError(f"an answer of more than {MAX_HTTP_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _refuse_huge(response: httpx2.Response) -> None:
    """Of whole answers; events of a stream have a limit each (the SDK's)."""
    streams = response.headers.get("content-type", "").startswith("text/event-stream")
    if not streams and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Limited(response.stream)


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return printable(f"{type(error).__name__}: {error}".strip(": "), 200)
