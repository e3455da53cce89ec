"""What a dialplan would do, and how two of them differ, over the API (control_api.py): as on the console's pages.

    POST /api/v1/dialplan/explain    {"to", "from", "at", "trunk", "headers", "loads", "which"}
    GET  /api/v1/dialplan/compare    ?old=running&new=disk

A plan is `running` (in force), `disk` (the files as they are now), or a kept version, a beginning will do. Nothing
comes into force. 409: that plan is none, with its problems.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bridge.console.dialplan import MAX_CHANGES, difference
from bridge.console.plans import DISK, RUNNING, Look, Plans
from bridge.control_api import ApiError, ApiRoute, Call, get, post
from bridge.control_api_docs import FLAG, INTEGER, TEXT, Doc, exactly, list_of, maybe, string, thing
from bridge.dialplan.plan import Plan
from bridge.dialplan.question import Question, answer
from bridge.dialplan.words import outline
from bridge.errors import BridgeError

BASE = "/api/v1/dialplan"
MAX_TEXT, MAX_LINES, MAX_ROUTES = 2000, 50, 500
_TEXTS = ("to", "from", "at", "trunk", "which")
_LISTS = ("headers", "loads")
_SOME = string(MAX_TEXT)
_SEVERAL = {"type": "array", "maxItems": MAX_LINES, "items": _SOME}
VERDICT = thing({"route": TEXT, "file": TEXT, "line": INTEGER, "fits": FLAG, "why": TEXT})
WHICH = thing({"which": TEXT, "version": TEXT})
CHANGE = thing({"sign": TEXT, "what": TEXT, "lines": list_of(TEXT)})
DIFF = thing({"name": TEXT, "lines": list_of(TEXT), "cut": FLAG})
DOCS = {
    "explain": Doc(
        "What would happen to a call.",
        thing(
            {
                "which": TEXT,
                "version": TEXT,
                "route": maybe(TEXT),
                "seen": list_of(TEXT),
                "verdicts": list_of(VERDICT),
                "left_out": INTEGER,
                "steps": list_of(TEXT),
            }
        ),
        exactly(
            {"to": string(MAX_TEXT, 1)},
            **dict.fromkeys(_TEXTS[1:], _SOME),
            **dict.fromkeys(_LISTS, _SEVERAL),
        ),
        refuses=(404, 409, 422),
        details="`at`: 2026-12-24T20:00 in the plan's time zone, now if left out; `headers`: `Name: value`; `loads`: "
        "`ROUTE=3`, calls that are on it; `which`: running (if left out), disk, or a version. `route` null: no route "
        "fits, the call gets 404. `verdicts`: the routes up to the one that takes it; `left_out`: how many before.",
    ),
    "compare": Doc(
        "How two plans differ, in words and in lines.",
        thing(
            {"old": WHICH, "new": WHICH, "changes": list_of(CHANGE), "more": INTEGER, "files": list_of(DIFF)}
        ),
        query={"old": {"type": "string", "default": RUNNING}, "new": {"type": "string", "default": DISK}},
        refuses=(404, 409),
        details=f"`sign`: + added, - removed, ~ changed, > moved. `more`: changes besides the first {MAX_CHANGES}. "
        "Lines of files are those of a unified diff; secrets in them are masked.",
    ),
}


class PlansApi:
    """The handlers. `plans`: None until control was put together."""

    def __init__(self, plans: Callable[[], Plans | None]) -> None:
        self._plans = plans

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        return [
            post(f"{BASE}/explain", "look", self._explain, DOCS["explain"]),
            get(f"{BASE}/compare", "look", self._compare, DOCS["compare"]),
        ]

    async def _explain(self, call: Call) -> Mapping[str, Any]:
        question, which = asked(call.body)
        look = await self._look(which)
        plan = _plan(look)
        try:
            told = await asyncio.to_thread(_told, plan, question)
        except ValueError as error:
            raise ApiError(422, str(error)) from None
        return {**_named(look), **told}

    async def _compare(self, call: Call) -> Mapping[str, Any]:
        old = await self._look(call.query.get("old", RUNNING))
        new = await self._look(call.query.get("new", DISK))
        _plan(old), _plan(new)
        found = await difference(old, new)
        return {
            "old": _named(old),
            "new": _named(new),
            "changes": [asdict(one) for one in found["differences"]],
            "more": found["more"],
            "files": [asdict(one) for one in found["files"]],
        }

    async def _look(self, which: str) -> Look:
        plans = self._plans()
        if plans is None:
            raise ApiError(503, "control has just been started: try again")
        try:
            return await plans.look(which[:64])
        except BridgeError as error:
            raise ApiError(404, str(error)) from None


def asked(body: Mapping[str, Any]) -> tuple[Question, str]:
    """The question of a body, and of which plan. ApiError 400: what is wrong with it."""
    unknown = next((key for key in body if key not in {*_TEXTS, *_LISTS}), None)
    if unknown is not None:
        raise ApiError(400, f"unknown key {unknown[:40]!r}: there are {', '.join((*_TEXTS, *_LISTS))}")
    texts = {name: body.get(name, "") for name in _TEXTS}
    wrong = next((name for name, value in texts.items() if not _fits(value)), None)
    if wrong is not None:
        raise ApiError(400, f"{wrong} must be a text of at most {MAX_TEXT} characters")
    if not texts["to"]:
        raise ApiError(400, 'who is called is missing: {"to": "100"}')
    lists = {name: body.get(name, []) for name in _LISTS}
    for name, value in lists.items():
        if not isinstance(value, list) or len(value) > MAX_LINES or not all(map(_fits, value)):
            raise ApiError(400, f"{name} must be a list of at most {MAX_LINES} texts")
    question = Question(
        to=texts["to"],
        from_number=texts["from"],
        headers=lists["headers"],
        at=texts["at"],
        trunk=texts["trunk"],
        loads=lists["loads"],
    )
    return question, texts["which"] or RUNNING


def _fits(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _plan(look: Look) -> Plan:
    if look.plan is None:
        problems: Sequence[str] = [str(one) for one in look.problems]
        raise ApiError(409, f"{look.which} is no plan now", problems=problems)
    return look.plan


def _named(look: Look) -> dict[str, str]:
    return {"which": look.which, "version": look.version}


def _told(plan: Plan, question: Question) -> dict[str, Any]:
    found = answer(plan, question)
    shown, taken = found.verdicts[-MAX_ROUTES:], found.taken
    return {
        "route": taken.route.name if taken else None,
        "seen": list(found.seen),
        "verdicts": [
            {
                "route": one.route.name,
                "file": one.route.file,
                "line": one.route.line,
                "fits": one.misfit is None,
                "why": one.why,
            }
            for one in shown
        ],
        "left_out": len(found.verdicts) - len(shown),
        "steps": list(outline(taken.route.steps)) if taken else [],
    }
