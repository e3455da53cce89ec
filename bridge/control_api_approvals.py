"""Function calls that a person decides, over the API (control_api.py): the way of the console and the command line.

    GET  /api/v1/approvals                    ?state=open|pending|…&tool=NAME&call=ID&limit=100, the newest first
    GET  /api/v1/approvals/{id}               one; a beginning will do
    POST /api/v1/approvals/{id}/approve       {"binding", "reason", "arguments"}: as it was seen, or in this form
    POST /api/v1/approvals/{id}/deny          {"binding", "reason"}
    POST /api/v1/approvals/{id}/ask           {"question"}: the agent asks the caller this first; it decides nothing
    POST /api/v1/approvals/{id}/reconcile     {"outcome": succeeded | failed, "note"}: what became of an unknown one

`binding` names the form that was seen: when somebody changed it meanwhile, the decision does not count (409). A
decision goes by bridge/verdicts.py to the gate, which looks role, group and second factor up itself: a token proves no
second factor, so what needs one is refused here (403) and decided in the console.
"""

import re
from collections.abc import Mapping
from typing import Any

import structlog

from bridge.approval.questions import ASKED, ASKING, INTERRUPTED, MAX_CHARS, MAX_QUESTIONS, NOT_ASKED
from bridge.approval.request import CallerFacts
from bridge.control_api import ApiError, ApiRoute, Call, Handler, Terms, get, post
from bridge.control_api_docs import (
    AT,
    FLAG,
    INTEGER,
    TEXT,
    Doc,
    exactly,
    list_of,
    maybe,
    one_of,
    string,
    thing,
)
from bridge.control_api_webhooks import number_of
from bridge.store.gaterows import StoredRequest
from bridge.store.gatestore import GateStore
from bridge.store.queuestore import QueueStore, Wanted
from bridge.store.tables import OPEN_STATES
from bridge.verdicts import ANSWER_S, TAKEN, Verdict, leave

log = structlog.get_logger(__name__)

BASE = "/api/v1/approvals"
MAX_LISTED, USUAL = 500, 100
MAX_WORDS = 300
DECISION_BYTES = 64 * 1024
FINAL = ("succeeded", "failed", "denied", "expired", "cancelled")
STATES = (*OPEN_STATES, *FINAL)
_ID = re.compile(r"[0-9a-f]{4,64}")
_NOT_YOURS = frozenset(
    {"not_an_approver", "wrong_group", "own_request", "duplicate_approver", "step_up", "unknown_user"}
)
_NOT_FIT = frozenset(
    {"bad_arguments", "other_rule", "not_editable", "no_such_tool", "no_question", "too_long"}
)
QUESTION = thing(
    {
        "number": INTEGER,
        "by": TEXT,
        "at": AT,
        "state": one_of(ASKING, ASKED, INTERRUPTED, NOT_ASKED),
        "text": TEXT,
        "why": TEXT,
    }
)
APPROVAL = thing(
    {
        "request_id": TEXT,
        "call_id": TEXT,
        "tool": TEXT,
        "state": one_of(*STATES),
        "risk": maybe(TEXT),
        "rule": maybe(TEXT),
        "group": maybe(TEXT),
        "escalate_to": maybe(TEXT),
        "escalated": FLAG,
        "approvers": maybe(INTEGER),
        "approved_by": list_of(TEXT),
        "edited_by": TEXT,
        "binding": TEXT,
        "asked_at": AT,
        "updated_at": AT,
        "due_at": maybe(AT),
        "agent": maybe(TEXT),
        "arguments": thing({}),
        "caller": maybe(CallerFacts),
        "why": TEXT,
        "reason": TEXT,
        "questions": list_of(QUESTION),
    }
)
_WORDS = maybe(string(MAX_WORDS))
DECIDED = thing({"request_id": TEXT, "verdict": TEXT, "approval": APPROVAL})
_REFUSES = (403, 404, 409, 422)
DOCS = {
    "list": Doc(
        "Function calls that were asked for, the newest first.",
        thing({"approvals": list_of(APPROVAL)}),
        query={
            "state": one_of("open", *STATES),
            "tool": string(64),
            "call": string(100),
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": USUAL},
        },
        refuses=(400,),
        details="`open`: whatever is not over. Who may not see personal data gets no arguments, caller and reasons.",
    ),
    "one": Doc("One of them; a beginning of the id will do.", APPROVAL, refuses=(400, 404, 409)),
    "approve": Doc(
        "Let it be done, as it was seen or in another form.",
        DECIDED,
        exactly({"binding": string(64, 1)}, reason=_WORDS, arguments=maybe({"type": "object"})),
        refuses=_REFUSES,
        details="`arguments`: all of them; they must fit the function and fall under the same rule.",
    ),
    "deny": Doc(
        "Do not let it be done.",
        DECIDED,
        exactly({"binding": string(64, 1)}, reason=_WORDS),
        refuses=_REFUSES,
    ),
    "ask": Doc(
        "Have the agent ask the caller something first. It decides nothing, and no clock stops.",
        DECIDED,
        exactly({"question": string(MAX_CHARS, 1)}),
        refuses=_REFUSES,
        details=f"It is said as it stands, as soon as the agent can; `questions` of the request says what became of "
        f"it. One at a time, {MAX_QUESTIONS} a request; for who may decide about it. 409 `one_at_a_time`, `too_many`.",
    ),
    "reconcile": Doc(
        "Say what became of a request whose outcome is unknown.",
        DECIDED,
        exactly({"outcome": one_of("succeeded", "failed"), "note": string(MAX_WORDS, 1)}),
        refuses=_REFUSES,
    ),
}


class ApprovalsApi:
    """The handlers. `key` seals decisions; `within_s`: how long control may take to judge one."""

    def __init__(self, gates: GateStore, queue: QueueStore, key: bytes, within_s: float = ANSWER_S) -> None:
        self._gates = gates
        self._queue = queue
        self._key = key
        self._within_s = within_s

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        terms = Terms(max_body=DECISION_BYTES)
        return [
            get(BASE, "look", self._list, DOCS["list"]),
            get(f"{BASE}/{{id}}", "look", self._one, DOCS["one"]),
            post(f"{BASE}/{{id}}/approve", "decide", self._deciding("approve"), DOCS["approve"], terms),
            post(f"{BASE}/{{id}}/deny", "decide", self._deciding("deny"), DOCS["deny"], terms),
            post(f"{BASE}/{{id}}/ask", "decide", self._ask, DOCS["ask"], terms),
            post(f"{BASE}/{{id}}/reconcile", "reconcile", self._reconcile, DOCS["reconcile"], terms),
        ]

    async def _list(self, call: Call) -> Mapping[str, Any]:
        state = call.query.get("state", "")
        if state and state != "open" and state not in STATES:
            raise ApiError(400, f"there is no such state; there are: open, {', '.join(STATES)}")
        states = OPEN_STATES if state == "open" else (state,) if state else ()
        wanted = Wanted(states, call.query.get("tool", ""), call.query.get("call", ""))
        rows = await self._queue.listed(wanted, number_of(call, "limit", USUAL, MAX_LISTED))
        return {"approvals": [shown(row, personal=call.may("personal")) for row in rows]}

    async def _one(self, call: Call) -> Mapping[str, Any]:
        return shown(await self._find(call), personal=call.may("personal"))

    def _deciding(self, verdict: str) -> Handler:
        async def decide(call: Call) -> Mapping[str, Any]:
            arguments = _taken(
                call.body, {"binding", "reason", *(["arguments"] if verdict == "approve" else [])}
            )
            if arguments is not None and not isinstance(arguments, Mapping):
                raise ApiError(400, "arguments must be an object with all of them")
            binding = _text(call.body, "binding", 64, required=True)
            reason = _text(call.body, "reason", MAX_WORDS)
            return await self._leave(call, verdict, binding, reason, arguments)

        return decide

    async def _ask(self, call: Call) -> Mapping[str, Any]:
        _taken(call.body, {"question"})
        question = _text(call.body, "question", MAX_CHARS, required=True)
        return await self._leave(call, "ask", "", question, None)

    async def _reconcile(self, call: Call) -> Mapping[str, Any]:
        _taken(call.body, {"outcome", "note"})
        outcome = _text(call.body, "outcome", 20, required=True)
        if outcome not in {"succeeded", "failed"}:
            raise ApiError(400, "outcome must be succeeded or failed")
        return await self._leave(call, outcome, "", _text(call.body, "note", MAX_WORDS, required=True), None)

    async def _leave(
        self, call: Call, verdict: str, binding: str, words: str, arguments: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        row = await self._find(call)
        decision = Verdict(
            verdict=verdict,
            by=call.user.name,
            via="api",
            binding=binding or str(row.gate.get("binding", "")),
            reason=words,
            arguments=arguments,
            roles=sorted(call.user.roles),
        )
        answer = await leave(self._gates, self._key, row.request_id, decision, self._within_s)
        taken = answer.startswith(TAKEN)
        facts = {"request_id": row.request_id, "verdict": verdict, "by": call.user.name, "taken": taken}
        log.info("api.decided", **facts)
        if not taken:
            code, _, sentence = answer.partition(": ")[2].partition(": ")
            status = 403 if code in _NOT_YOURS else 422 if code in _NOT_FIT else 409
            raise ApiError(status, sentence or answer, code=code)
        now = (await self._queue.requests([row.request_id]))[0]
        approval = shown(now, personal=call.may("personal"))
        return {"request_id": row.request_id, "verdict": verdict, "approval": approval}

    async def _find(self, call: Call) -> StoredRequest:
        prefix = call.path["id"].lower()
        if not _ID.fullmatch(prefix):
            raise ApiError(
                400, "this is no id of a request, nor its beginning: 4 to 64 of the characters 0-9, a-f"
            )
        found = await self._gates.find(prefix)
        exact = [row for row in found if row.request_id == prefix]
        if len(exact or found) != 1:
            count = len(exact or found)
            raise ApiError(409 if count else 404, f"{count or 'no'} requests begin with {prefix}")
        return (exact or found)[0]


def shown(row: StoredRequest, *, personal: bool) -> dict[str, Any]:
    """A request for programs. One whose gate cannot be read, or was forgotten, has only what its row says."""
    gate = row.gate
    request, ruling = _object(gate.get("request")), _object(gate.get("ruling"))
    ask = _object(ruling.get("ask"))
    found = {
        "request_id": row.request_id,
        "call_id": row.call_id,
        "tool": row.tool,
        "state": row.state,
        "risk": request.get("risk"),
        "rule": ruling.get("rule"),
        "group": ask.get("group"),
        "escalate_to": ask.get("escalate_to"),
        "escalated": bool(gate.get("escalated")),
        "approvers": ask.get("approvers"),
        "approved_by": list(gate.get("approved_by") or ()),
        "edited_by": str(gate.get("edited_by") or ""),
        "binding": str(gate.get("binding") or ""),
        "asked_at": row.created_at,
        "updated_at": row.updated_at,
        "due_at": gate.get("due_at"),
        "agent": request.get("agent"),
    }
    caller = request.get("caller")
    return found | {
        "arguments": dict(_object(gate.get("arguments"))) if personal else {},
        "caller": caller if personal and isinstance(caller, Mapping) else None,
        "why": str(ruling.get("why") or "") if personal else "",
        "reason": str(gate.get("reason") or "") if personal else "",
        "questions": [_asked(one, personal=personal) for one in gate.get("questions") or ()],
    }


def _asked(question: Mapping[str, Any], *, personal: bool) -> dict[str, Any]:
    """Who asked when, and what came of it, is for everybody who may look; what was said is not."""
    words = {name: str(question.get(name) or "") if personal else "" for name in ("text", "why")}
    return {name: question[name] for name in ("number", "by", "at", "state")} | words


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _taken(body: Mapping[str, Any], known: set[str]) -> Any:
    """`arguments` of a body that has no other key than these."""
    unknown = next((key for key in body if key not in known), None)
    if unknown is not None:
        raise ApiError(400, f"unknown key {unknown[:40]!r}: there are {', '.join(sorted(known))}")
    return body.get("arguments")


def _text(body: Mapping[str, Any], name: str, most: int, *, required: bool = False) -> str:
    value = body.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or len(value) > most or (required and not value):
        raise ApiError(400, f"{name} must be a text of at most {most} characters")
    return value
