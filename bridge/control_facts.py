"""What the policy looks at when a function is called: the request, the clock, and what was asked before."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bridge.approval.canonical import binding
from bridge.approval.policy import Facts, Policy
from bridge.approval.request import CallerFacts, ToolRequest
from bridge.approval.tally import Past, counts
from bridge.errors import ToolArgumentsError
from bridge.localday import midnight
from bridge.store.gatestore import GateStore
from bridge.toolbox.run import validate
from bridge.toolbox.spec import ToolSpec


async def facts_of(store: GateStore, request: ToolRequest, now: float) -> Facts:
    """The facts of a request at unix second `now`. Raises StoreError."""
    local = time.localtime(now)
    day = midnight(now)
    mine = Past(
        request.tool,
        request.call_id,
        request.caller.number,
        "requested",
        request.arguments,
        request.requested_at,
    )
    before, cut = await store.past(mine, day, request.request_id)
    whole = {scope: found for scope, found in counts(before, mine, day).items() if scope not in cut}
    caller = request.caller
    return Facts(
        tool=request.tool,
        arguments=request.arguments,
        risk=request.risk,
        caller=asdict(caller),
        agent=request.agent,
        hour=local.tm_hour,
        weekday=local.tm_wday + 1,
        call={"id": request.call_id, "called": request.called},
        counts=whole,
    )


def request_of(
    spec: ToolSpec, policy: Policy, arguments: Mapping[str, Any], data: Mapping[str, Any], now: float
) -> ToolRequest:
    """A worker's `tool.call` as a request, its arguments checked already."""
    call_id, verified_by = str(data["call_id"]), str(data.get("verified_by", ""))
    return ToolRequest(
        request_id=uuid.uuid4().hex[:16],
        call_id=call_id,
        function_call_id=str(data["function_call_id"]),
        tool=spec.name,
        definition_hash=spec.definition_hash,
        arguments=arguments,
        risk=spec.options.risk,
        idempotent=spec.options.idempotent,
        binding=binding(spec.name, spec.definition_hash, arguments, call_id, policy.version),
        policy_version=policy.version,
        requested_at=now,
        agent=str(data.get("agent", "")),
        caller=CallerFacts(
            number=str(data.get("caller", "")),
            verified=bool(verified_by),
            verified_by=verified_by,
            verstat=str(data.get("verstat", "")),
        ),
        called=str(data.get("called", "")),
    )


def shown(spec: ToolSpec, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as a log may have them."""
    return {name: "…" if name in spec.options.redact else value for name, value in arguments.items()}


def same_call(known: ToolRequest, spec: ToolSpec | None, data: Mapping[str, Any]) -> bool:
    """Whether a worker's `tool.call` is this request once more: its answer was lost on the way."""
    try:
        given = validate(spec, str(data.get("arguments", ""))) if spec else known.arguments
    except ToolArgumentsError:
        given = {}
    return known.tool == data["tool"] and dict(known.arguments) == dict(given)
