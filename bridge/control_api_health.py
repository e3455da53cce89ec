"""How the installation is, over the API (control_api.py), and what MCP servers want to change.

    GET  /api/v1/health        workers, trunks, edge, MCP servers, providers, disks, store: as on /console/health
    POST /api/v1/mcp/accept    {"server", "tool", "hash"}: the definition of this hash, and no other
    POST /api/v1/mcp/forget    {"server", "tool"}: what was accepted counts no more

/healthz, /readyz and /metrics need nobody and say less.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import structlog

from bridge.console.health import Health, Watch
from bridge.console.healthfacts import Facts
from bridge.control_api import ApiError, ApiRoute, Call, get, post
from bridge.control_api_docs import TEXT, Doc, exactly, string, thing
from bridge.errors import BridgeError

log = structlog.get_logger(__name__)

HEALTH, MCP = "/api/v1/health", "/api/v1/mcp"
MAX_CHARS = 200
_WORD = string(MAX_CHARS, 1)
_DONE = thing({"server": TEXT, "tool": TEXT})
DOCS = {
    "health": Doc(
        "How the installation is: workers, trunks, edge, MCP servers and their pending definitions, providers, disks.",
        Facts,
        details="At most a moment old. What is broken is a fact here, and no error.",
    ),
    "accept": Doc(
        "Accept a definition of an MCP server: exactly the one of this hash.",
        _DONE,
        exactly({"server": _WORD, "tool": _WORD, "hash": _WORD}),
        refuses=(409,),
    ),
    "forget": Doc(
        "Take back what was accepted of an MCP server.",
        _DONE,
        exactly({"server": _WORD, "tool": _WORD}),
        refuses=(409,),
    ),
}


class HealthApi:
    """The handlers. `health`: what control knows; None before the console was put together."""

    def __init__(self, health: Callable[[], Health | None]) -> None:
        self._health = health
        self._watch: Watch | None = None

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        return [
            get(HEALTH, "look", self._look, DOCS["health"]),
            post(f"{MCP}/accept", "accept_tools", self._accept, DOCS["accept"]),
            post(f"{MCP}/forget", "accept_tools", self._forget, DOCS["forget"]),
        ]

    async def _look(self, _call: Call) -> Mapping[str, Any]:
        self._watch = self._watch or Watch(self._there())
        return asdict(await self._watch.facts())

    async def _accept(self, call: Call) -> Mapping[str, Any]:
        server, tool, shown = _words(call, "server", "tool", "hash")
        await _done(self._there().accept(server, tool, shown, call.user.name))
        return {"server": server, "tool": tool}

    async def _forget(self, call: Call) -> Mapping[str, Any]:
        server, tool = _words(call, "server", "tool")
        await _done(self._there().forget(server, tool, call.user.name))
        return {"server": server, "tool": tool}

    def _there(self) -> Health:
        found = self._health()
        if found is None:
            raise ApiError(503, "control has just been started: try again")
        return found


async def _done(work: Awaitable[None]) -> None:
    try:
        await work
    except BridgeError as error:
        raise ApiError(409, str(error)) from None


def _words(call: Call, *names: str) -> list[str]:
    """These keys of a body, all of them and no other. ApiError 400."""
    unknown = next((key for key in call.body if key not in names), None)
    if unknown is not None:
        raise ApiError(400, f"unknown key {unknown[:40]!r}: there are {', '.join(names)}")
    values = [call.body.get(name) for name in names]
    if not all(isinstance(value, str) and 1 <= len(value) <= MAX_CHARS for value in values):
        raise ApiError(400, f"{', '.join(names)} must be texts of at most {MAX_CHARS} characters")
    return [str(value) for value in values]
