"""A function tool that a step of the dialplan asks for. It goes through the same gate as a model's.

What the gate asks the caller is spoken by the bridge's own voice and answered by key. On the worker's loop.
"""

import asyncio
import contextlib
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from bridge.call.context import CallContext, NotDoneError
from bridge.call.phrases import confirm
from bridge.call.toolcalls import CALLER_GONE
from bridge.call.tooldesk import ASK_AGAIN_S, ASK_FOR_S, CONFIRM_TRIES, Missed, ToolDesk
from bridge.dialplan.steps import ToolStep
from bridge.errors import LinkError

log = structlog.get_logger(__name__)

CONFIRM_S = 20.0
CONFIRM_TIMES = 2
MAX_AWAY_S = 120.0
"""Control may be restarted in between; it knows the call by its id."""
AGENT = "dialplan"
MAX_PARTS = 20
MAX_NAME = 32
_NOT_A_NAME = re.compile(r"[^a-z0-9_]")

News = Mapping[str, Any]


async def tool(context: CallContext, step: ToolStep, desk: ToolDesk) -> None:
    """Have it run; its output becomes a variable. Raises NotDoneError: it was not executed, and why."""
    function_call_id = f"step-{uuid.uuid4().hex[:12]}"
    async with contextlib.AsyncExitStack() as stack:
        if context.caller.answered:
            await stack.enter_async_context(context.caller.music(await context.music(step.music)))
        news, callers = stack.enter_context(desk.news_of(function_call_id)), desk.callers
        first = await _ask(context, step, function_call_id, desk)
        output = await _settled(context, function_call_id, first, news, lambda: desk.callers == callers)
    if step.into:
        context.set(_variables(step.into, output))


async def _ask(context: CallContext, step: ToolStep, function_call_id: str, desk: ToolDesk) -> News:
    """Put it to the gate; asked again while control is away, which knows it by its id."""
    arguments = json.dumps(_filled(context, json.loads(step.arguments)))
    shown = await desk.shown_of(step.name, arguments)
    context.journal.note("function_call", name=step.name, arguments=shown, call_id=function_call_id)
    question = {
        "call_id": context.call_id,
        "function_call_id": function_call_id,
        "tool": step.name,
        "arguments": arguments,
        "agent": AGENT,
        **desk.facts,
    }
    until_s = time.monotonic() + ASK_FOR_S
    while True:
        try:
            return await context.deps.request(
                "tool.call", question, context.deps.config.deadlines.link_request_s
            )
        except LinkError as error:
            log.warning("tool.not_asked", tool=step.name, reason=str(error))
            if error.fatal or time.monotonic() >= until_s:
                raise NotDoneError(f"{step.name}: {error}") from None
            await asyncio.sleep(ASK_AGAIN_S)


async def _settled(
    context: CallContext,
    function_call_id: str,
    first: News,
    queue: "asyncio.Queue[News]",
    same_caller: Callable[[], bool],
) -> Mapping[str, Any]:
    """The output, when it was done. Raises NotDoneError with the gate's words."""
    news, asked = first, ""
    while not news.get("output"):
        if news.get("state") == "confirming" and news.get("request_id") != asked:
            asked = str(news.get("request_id"))
            await _confirm(context, news, same_caller)
        news = await _next(context, function_call_id, queue)
    output = json.loads(str(news["output"]))
    context.journal.note("function_output", call_id=function_call_id, output=str(news["output"]))
    if news.get("state") != "succeeded":
        raise NotDoneError(str(output.get("reason") or output.get("message") or news.get("state"))[:300])
    return dict(output)


async def _next(context: CallContext, function_call_id: str, queue: "asyncio.Queue[News]") -> News:
    """Control's next word; asked for when none comes. Raises NotDoneError: control is away, or knows nothing of it."""
    missed, away_since_s = Missed(), time.monotonic()
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ASK_AGAIN_S):
                return await queue.get()
        try:
            question = {"call_id": context.call_id}
            answer = await context.deps.request(
                "tool.state", question, context.deps.config.deadlines.link_request_s
            )
        except LinkError as error:
            if time.monotonic() - away_since_s >= MAX_AWAY_S:
                raise NotDoneError(f"nobody knows what became of it: {error}") from None
            continue
        away_since_s = time.monotonic()
        known = answer.get("calls", {})
        if function_call_id in known:
            return dict(known[function_call_id])
        if missed.update([function_call_id], known):
            raise NotDoneError("nobody knows what became of it")


async def _confirm(context: CallContext, news: News, same_caller: Callable[[], bool]) -> None:
    """Ask the caller; only the key says yes, and only that of the caller for whom it is."""
    key, language = str(news.get("key") or "1"), context.language
    pcm = await context.speech(f"{news.get('question') or ''} {confirm(key, language)}", language)
    pressed = ""
    if pcm:
        await context.caller.answer()
        with context.caller.keys() as keys:
            for _ in range(CONFIRM_TIMES):
                # A yes that came before the question was heard to its end is none.
                await context.caller.play(pcm)
                while not keys.empty():
                    keys.get_nowait()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CONFIRM_S / CONFIRM_TIMES):
                        pressed = await keys.get()
                if pressed:
                    break
    yes = pressed == key and same_caller()
    how = f"key {pressed}" if pressed else "no key was pressed"
    how = how if same_caller() else CALLER_GONE
    words = {"request_id": news.get("request_id"), "yes": yes, "how": how}
    context.journal.note("tool.confirmation", **words)
    deadline_s = context.deps.config.deadlines.link_request_s
    for _ in range(CONFIRM_TRIES):
        try:
            await context.deps.request("tool.confirm", {"call_id": context.call_id, **words}, deadline_s)
        except LinkError as error:
            log.warning("tool.not_confirmed", call_id=context.call_id, reason=str(error))
            await asyncio.sleep(ASK_AGAIN_S)
        else:
            return


def _filled(context: CallContext, value: Any) -> Any:
    """The arguments with the templates in their texts filled in. A text that is one variable alone stays a text."""
    if isinstance(value, str):
        return context.render(value)
    if isinstance(value, dict):
        return {key: _filled(context, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(context, one) for one in value]
    return value


def _variables(into: str, output: Mapping[str, Any]) -> dict[str, str]:
    """A tool's output as variables: the whole under `into` (its only value, else JSON), each part as `into_part`."""
    values = {key: value for key, value in output.items() if key != "status"}
    if len(values) == 1:
        (only,) = values.values()
        values = only if isinstance(only, dict) else {"": only}
    whole = next(iter(values.values())) if len(values) == 1 else values
    parts = {
        f"{into}_{_NOT_A_NAME.sub('_', str(key).lower())}"[:MAX_NAME]: _text(one)
        for key, one in values.items()
        if key
    }
    return {into: _text(whole), **dict(list(parts.items())[:MAX_PARTS])}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
