"""Run a tool: arguments in, a result or one clear sentence out, within its time and size.

A shell: plain functions run on a small pool of threads, async ones on the loop. A thread that does not come back in
time cannot be stopped; its tool counts as unknown, not as failed, and so does one that raises anything but ToolError
(which says: not done). Used by control.
"""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog

from bridge.approval.canonical import canonical
from bridge.errors import ToolArgumentsError, ToolError, ToolLostError
from bridge.toolbox.spec import ToolContext, ToolSpec

log = structlog.get_logger(__name__)

MAX_ARGUMENTS_CHARS = 16_000
MAX_ERROR_CHARS = 500
MAX_DEPTH = 32
THREADS = 8


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`ok`: it was done, `output` is what the model gets. `unknown`: nobody can tell whether it was done."""

    ok: bool
    output: Mapping[str, Any]
    unknown: bool = False


def validate(spec: ToolSpec, text: str) -> dict[str, Any]:
    """The arguments a model wrote, as JSON values that fit the schema.

    Raises ToolArgumentsError in words the model can mend its call by.
    """
    if len(text) > MAX_ARGUMENTS_CHARS:
        raise ToolArgumentsError(f"the arguments are longer than {MAX_ARGUMENTS_CHARS} characters")
    try:
        given = json.loads(text or "{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ToolArgumentsError(f"the arguments are not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise ToolArgumentsError("the arguments must be a JSON object")
    checked = spec.check(given)
    canonical(checked)  # what has no exact form could not be bound to an approval
    return checked


class ToolRunner:
    """Owns the threads. `close` waits for none of them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tool")

    def close(self) -> None:
        """No more tools."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, spec: ToolSpec, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run it. Never raises but CancelledError; the log has the traceback of a tool that did."""
        try:
            async with asyncio.timeout(spec.options.timeout_s):
                if spec.blocking:
                    loop = asyncio.get_running_loop()
                    value = await loop.run_in_executor(self._threads, spec.invoke, arguments, context)
                else:
                    value = await spec.invoke(arguments, context)
        except TimeoutError:
            facts = {"tool": spec.name, "call_id": context.call_id, "timeout_s": spec.options.timeout_s}
            log.warning("tool.timeout", **facts)
            return _lost(spec, "it took too long")
        except ToolLostError as error:
            log.warning("tool.lost", tool=spec.name, call_id=context.call_id, pii_reason=str(error)[:200])
            return _lost(spec, str(error))
        except ToolError as error:
            log.info("tool.declined", tool=spec.name, call_id=context.call_id, pii_reason=str(error)[:200])
            return ToolResult(ok=False, output={"error": str(error)[:MAX_ERROR_CHARS]})
        except Exception:
            log.exception("tool.failed", tool=spec.name, call_id=context.call_id)
            return _lost(spec, "the system behind it reported an error")
        return _sized(spec, value)


def _lost(spec: ToolSpec, words: str) -> ToolResult:
    """Only a tool that reads can have failed without anybody wondering what it did before."""
    return ToolResult(ok=False, output={"error": words}, unknown=spec.options.risk != "read")


def _sized(spec: ToolSpec, value: Any) -> ToolResult:
    output = value if isinstance(value, Mapping) else {"result": value}
    try:
        size = len(json.dumps(output, allow_nan=False).encode()) if _depth(output) <= MAX_DEPTH else -1
    except (TypeError, ValueError, RecursionError):
        size = -1
    if size < 0:
        return ToolResult(ok=True, output={"result": "done, but its result cannot be shown"})
    if size > spec.options.max_result_bytes:
        words = f"done, but its result is too long ({size} bytes)"
        return ToolResult(ok=True, output={"result": words})
    return ToolResult(ok=True, output=dict(output))


def _depth(value: Any) -> int:
    """How deep a value is nested; without recursion, since it may be any depth."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        inner = [list(one.values()) if isinstance(one, Mapping) else one for one in level]
        level = [part for one in inner if isinstance(one, list | tuple) for part in one]
        depth += bool(level)
    return depth


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
