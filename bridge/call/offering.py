"""What an agent may call, as control offers it, and what of a call's arguments the record may have.

On the worker's loop.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from bridge.call.journal import Journal
from bridge.errors import LinkError

log = structlog.get_logger(__name__)

HIDDEN = "…"
Request = Callable[[str, Mapping[str, Any], float], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Offer:
    """What an agent may call. `hidden`: by function, the arguments that its tool says to hide."""

    agent: str
    functions: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()
    hidden: Mapping[str, Any] = field(default_factory=dict)


async def offered(
    request: Request, journal: Journal, deadline_s: float, agent: str, names: tuple[str, ...]
) -> tuple[Offer, tuple[Mapping[str, Any], ...]]:
    """The offer, and the definitions for the model. None while control is away: it must not call any then."""
    if not names:
        return Offer(agent), ()
    try:
        answer = await request("tool.offer", {"names": list(names)}, deadline_s)
    except LinkError as error:
        journal.note("error", where="tools", code="no_tools", message=str(error))
        log.warning("tools.none", reason=str(error))
        return Offer(agent), ()
    tools = tuple(answer.get("tools", ()))
    functions = frozenset(str(one["name"]) for one in tools if one.get("type") == "function")
    servers = frozenset(str(one["server_label"]) for one in tools if one.get("type") == "mcp")
    return Offer(agent, functions, servers, answer.get("hidden", {})), tools


def without(arguments: str, hidden: Sequence[str]) -> str:
    """A call's arguments but for those to hide."""
    if not hidden:
        return arguments
    try:
        given = json.loads(arguments)
    except ValueError:
        return HIDDEN
    if not isinstance(given, dict):
        return HIDDEN
    return json.dumps({key: HIDDEN if key in hidden else value for key, value in given.items()})
