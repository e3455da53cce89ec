"""Calls that the bridge places, over the API (control_api.py).

    POST   /api/v1/calls                        {"number", "agent" | "route", "variables"} → 202 {"job_id", "state", …}
    GET    /api/v1/outbound                     jobs, newest first: ?state=queued&campaign=NAME&limit=200
    GET    /api/v1/outbound/{id}                one; a beginning will do
    DELETE /api/v1/outbound/{id}                do not call, or end the call
    POST   /api/v1/campaigns?name=NAME          text/csv, header with `number`: &agent= | &route=, &skip_bad=1 → 202
    GET    /api/v1/campaigns                    all, newest first
    GET    /api/v1/campaigns/{name}             one with its calls
    POST   /api/v1/campaigns/{name}/pause       resume, cancel

A wish is judged by the dialplan's `outbound` rules before the answer: 422 with the rule's reason when it will not be
dialled. 400: not understood; 503: nobody takes it up. Asking takes the right `dial`; numbers and variables are shown
to who has the right `personal`.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from bridge.control_api import CSV, ApiError, ApiRoute, Call, Handler, Terms, delete, get, post
from bridge.control_api_calls import BASE as CALLS
from bridge.control_api_docs import (
    AT,
    FLAG,
    INTEGER,
    TEXT,
    Doc,
    along,
    by_name,
    exactly,
    list_of,
    maybe,
    one_of,
    string,
    thing,
)
from bridge.control_outbound_requests import (
    CAMPAIGN_CHANGES,
    load_campaign,
    new_campaign,
    request_call,
    shown,
)
from bridge.dialplan.plan import Plan
from bridge.outbound.job import FINAL, Job
from bridge.outbound.rules import rules_of
from bridge.outbound.sheet import Sheet, read
from bridge.outbound.wish import WishError
from bridge.records.public import masked
from bridge.store.outboundstore import Campaign, OutboundStore

log = structlog.get_logger(__name__)

OUTBOUND, CAMPAIGNS = "/api/v1/outbound", "/api/v1/campaigns"
MAX_CSV_BYTES = 8 * 1024 * 1024
MAX_JOBS = 1000
USUAL_JOBS = 200
MAX_AT_ONCE = 16
CSV_DEADLINE_S = 120.0
MAX_TOLD = 50
_ID = re.compile(r"[0-9a-f]{1,12}")
_STATES = frozenset({"asked", "queued", "dialling", "ringing", "answered", "human", "machine", *FINAL})
JOB = thing(
    {
        "job_id": TEXT,
        "state": one_of(*sorted(_STATES)),
        "reason": TEXT,
        "number": maybe(TEXT),
        "heard": TEXT,
        "attempts": INTEGER,
        "call_id": TEXT,
        "due_at": AT,
        "run": TEXT,
        "campaign": TEXT,
        "asked_by": TEXT,
        "via": TEXT,
        "asked_at": AT,
        "variables": by_name(TEXT),
    }
)
BAD = list_of(thing({"line": INTEGER, "why": TEXT}))
DOCS = {
    "ask": Doc(
        "Have the bridge call somebody.",
        JOB,
        exactly({"number": string(100, 1)}, agent=string(64), route=string(100), variables=by_name(TEXT)),
        refuses=(422,),
        details="Judged by the dialplan's `outbound` rules before the answer; 422 has their reason. Give an agent or a "
        "route. A request that got no answer may have been taken: look at the jobs before asking again.",
    ),
    "jobs": Doc(
        "Calls that were asked for, the newest first.",
        thing({"jobs": list_of(JOB)}),
        query={
            "state": one_of(*sorted(_STATES)),
            "campaign": TEXT,
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_JOBS, "default": USUAL_JOBS},
        },
        refuses=(400,),
    ),
    "job": Doc("One of them; a beginning of the id will do.", JOB, refuses=(400, 404, 409)),
    "cancel": Doc(
        "Do not call, or end the call.",
        thing({"job_id": TEXT, "state": TEXT, "cancel": FLAG}),
        refuses=(400, 404, 409),
    ),
    "load": Doc(
        "Call everybody in a CSV file; its header has `number`.",
        thing({"campaign": TEXT, "calls": INTEGER, "left_out": INTEGER, "bad": BAD}),
        query={
            "name": {**string(64, 1), "x-required": True},
            "agent": TEXT,
            "route": TEXT,
            "skip_bad": one_of("0", "1", "true", "false"),
        },
        refuses=(409, 422),
        details="At most 100,000 lines. Bad lines refuse the whole file unless skip_bad.",
    ),
    "campaigns": Doc("All campaigns, the newest first.", thing({"campaigns": list_of(Campaign)})),
    "campaign": Doc(
        "One campaign with its calls.", along(Campaign, jobs=list_of(JOB), complete=FLAG), refuses=(404,)
    ),
    "pause": Doc("Place no new calls of a campaign.", thing({"name": TEXT, "state": TEXT}), refuses=(409,)),
    "resume": Doc("Go on with a campaign.", thing({"name": TEXT, "state": TEXT}), refuses=(409,)),
    "cancel_campaign": Doc("End a campaign.", thing({"name": TEXT, "state": TEXT}), refuses=(409,)),
}


@dataclass(frozen=True, slots=True)
class OutboundApiDeps:
    """`key`: of the seal. `plan`: the one in force."""

    store: OutboundStore
    key: bytes
    plan: Callable[[], Plan | None]


class OutboundApi:
    """The handlers."""

    def __init__(self, deps: OutboundApiDeps) -> None:
        self._deps = deps
        self._store = deps.store
        self._asking = 0
        self._loading = asyncio.Lock()

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        csv = Terms(max_body=MAX_CSV_BYTES, content=CSV, status=202, deadline_s=CSV_DEADLINE_S)
        changes = [
            post(
                f"{CAMPAIGNS}/{{name}}/{word}",
                "dial",
                self._changing(word),
                DOCS["cancel_campaign" if word == "cancel" else word],
            )
            for word in CAMPAIGN_CHANGES
        ]
        return [
            post(CALLS, "dial", self._ask, DOCS["ask"], Terms(status=202)),
            get(OUTBOUND, "look", self._jobs, DOCS["jobs"]),
            get(f"{OUTBOUND}/{{id}}", "look", self._job, DOCS["job"]),
            delete(f"{OUTBOUND}/{{id}}", "dial", self._cancel, DOCS["cancel"]),
            post(CAMPAIGNS, "dial", self._load, DOCS["load"], csv),
            get(CAMPAIGNS, "look", self._campaigns, DOCS["campaigns"]),
            get(f"{CAMPAIGNS}/{{name}}", "look", self._campaign, DOCS["campaign"]),
            *changes,
        ]

    # ---- calls -----------------------------------------------------------------------------------------------

    async def _ask(self, call: Call) -> Mapping[str, Any]:
        if self._asking >= MAX_AT_ONCE:
            raise ApiError(429, f"{MAX_AT_ONCE} wishes are being judged already: try again soon")
        self._asking += 1
        try:
            with _understood():
                job = await request_call(
                    self._store, self._deps.key, call.user.name, call.how.lower(), call.body
                )
        finally:
            self._asking -= 1
        log.info("outbound.asked", job_id=job["job_id"], by=call.user.name, how=call.how, state=job["state"])
        if job["state"] in {"refused", "cancelled"}:
            raise ApiError(422, job["reason"] or job["state"], job_id=job["job_id"], state=job["state"])
        return job

    async def _jobs(self, call: Call) -> Mapping[str, Any]:
        state, campaign = call.query.get("state"), call.query.get("campaign")
        if state is not None and state not in _STATES:
            raise ApiError(400, f"there is no such state; there are: {', '.join(sorted(_STATES))}")
        found = await self._store.jobs((state,) if state else (), campaign, _limit(call))
        return {"jobs": _visible(call, found)}

    async def _job(self, call: Call) -> Mapping[str, Any]:
        return _visible(call, [await self._find(call)])[0]

    async def _cancel(self, call: Call) -> Mapping[str, Any]:
        job = await self._find(call)
        if job.state in FINAL:
            raise ApiError(409, f"it is over: {job.state} {job.reason}".rstrip())
        await self._store.cancel(job.job_id)
        log.info("outbound.cancel", job_id=job.job_id, call_id=job.call_id, by=call.user.name, how=call.how)
        return {"job_id": job.job_id, "state": job.state, "cancel": True}

    async def _find(self, call: Call) -> Job:
        prefix = call.path["id"].lower()
        if not _ID.fullmatch(prefix):
            raise ApiError(400, "this is no id of a job: at most 12 of the characters 0-9, a-f")
        found = await self._store.find(prefix)
        if len(found) != 1:
            raise ApiError(409 if found else 404, f"{len(found) or 'no'} jobs begin with {prefix}")
        return found[0]

    # ---- campaigns -------------------------------------------------------------------------------------------

    async def _load(self, call: Call) -> Mapping[str, Any]:
        query = call.query
        with _understood():
            name, agent, route = (query.get(key, "") for key in ("name", "agent", "route"))
            new = new_campaign(name, agent, route, call.user.name)
        async with self._loading:  # one sheet in memory, and one thread that judges its numbers
            sheet = await asyncio.to_thread(self._read, call.raw)
            bad = [{"line": number, "why": why} for number, why in sheet.bad[:MAX_TOLD]]
            if not sheet.rows or (sheet.bad and query.get("skip_bad") not in {"1", "true"}):
                sentence = f"nothing is loaded: {len(sheet.bad)} bad, {len(sheet.rows)} good lines"
                raise ApiError(422, sentence, bad=bad)
            if any(one.name == new.name for one in await self._store.campaigns()):
                raise ApiError(409, f"there is a campaign {new.name} already")
            await load_campaign(self._store, self._deps.key, new, sheet.rows)
        facts = {"campaign": new.name, "calls": len(sheet.rows), "left_out": len(sheet.bad)}
        log.info("campaign.loaded", by=call.user.name, how=call.how, **facts)
        return {**facts, "bad": bad}

    def _read(self, content: bytes) -> Sheet:
        return read(content, rules_of(self._deps.plan()))

    async def _campaigns(self, _call: Call) -> Mapping[str, Any]:
        return {"campaigns": [asdict(one) for one in await self._store.campaigns()]}

    async def _campaign(self, call: Call) -> Mapping[str, Any]:
        name = call.path["name"]
        found = next((one for one in await self._store.campaigns() if one.name == name), None)
        if found is None:
            raise ApiError(404, f"there is no campaign {name[:64]!r}")
        jobs = await self._store.jobs(campaign=name, limit=MAX_JOBS)
        return {**asdict(found), "jobs": _visible(call, jobs), "complete": len(jobs) < MAX_JOBS}

    def _changing(self, word: str) -> Handler:
        before, state = CAMPAIGN_CHANGES[word]

        async def change(call: Call) -> Mapping[str, Any]:
            name = call.path["name"]
            if not await self._store.set_campaign(name, before, state):
                raise ApiError(409, f"there is no campaign {name[:64]!r} that is {' or '.join(before)}")
            log.info("campaign.changed", campaign=name, state=state, by=call.user.name, how=call.how)
            return {"name": name, "state": state}

        return change


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except WishError as error:
        raise ApiError(400, str(error)) from None


def _limit(call: Call) -> int:
    given = call.query.get("limit", str(USUAL_JOBS))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:6]) <= MAX_JOBS and len(given) < 6):
        raise ApiError(400, f"limit must be 1 to {MAX_JOBS}")
    return int(given)


def _visible(call: Call, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Jobs for programs; who may not see personal data gets neither number nor variables."""
    plain = [shown(job) for job in jobs]
    if call.may("personal"):
        return plain
    return [{**one, "number": masked(one["number"]), "variables": {}, "reason": ""} for one in plain]
