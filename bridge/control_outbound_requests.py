"""How wishes for outbound calls get to control, and the first ruling back: the CLI's way and the HTTP API's.

    body ─► Wish ─► sealed row `asked` ─► control (control_outbound.py) ─► queued | refused

`request_call` is what POST /api/v1/calls does (control_api_outbound.py), `load_campaign` what a CSV file does. The
seal keeps whoever can merely write the database from having the bridge dial.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bridge.approval.signing import seal, sealed
from bridge.errors import StoreError
from bridge.outbound.job import Job, Wish
from bridge.outbound.sheet import Row
from bridge.outbound.wish import WishError, wish_of
from bridge.store.outboundstore import OutboundStore

RULING_S = 5.0
LOOK_S = 0.05
CAMPAIGN_CHANGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "pause": (("running",), "paused"),
    "resume": (("paused",), "running"),
    "cancel": (("running", "paused"), "cancelled"),
}
"""What may be done with a campaign: the states it may be in before, and the one after."""
_CAMPAIGN = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """A campaign that somebody loads. `run`: "", "agent:NAME", "route:NAME"."""

    name: str
    run: str
    asked_by: str


def new_campaign(name: str, agent: str, route: str, asked_by: str) -> NewCampaign:
    """Raises WishError: the name is none, or agent and route at once."""
    if not _CAMPAIGN.fullmatch(name):
        raise WishError("a campaign's name: letters, digits, - and _ only, 64 at most")
    if agent and route:
        raise WishError("agent or route, not both")
    run = f"agent:{agent}" if agent else f"route:{route}" if route else ""
    return NewCampaign(name, run[:200], asked_by[:64])


async def load_campaign(store: OutboundStore, key: bytes, new: NewCampaign, rows: Sequence[Row]) -> None:
    """Keep one call a row; they begin at once. Raises StoreError: there is one of this name."""
    now = time.time()

    def jobs() -> list[Job]:
        wishes = (
            Wish(row.number, new.run, row.variables, new.name, new.asked_by, "campaign", now) for row in rows
        )
        return [sealed_job(key, wish) for wish in wishes]

    await store.add(await asyncio.to_thread(jobs), new.name, new.asked_by)


def sealed_job(key: bytes, wish: Wish) -> Job:
    """A new job."""
    job_id = uuid.uuid4().hex[:12]
    return Job(job_id, wish, seal(key, f"outbound {job_id}", asdict(wish)))


def is_sealed(key: bytes, job: Job) -> bool:
    """Whether the wish is what somebody with the key has asked for."""
    return sealed(key, f"outbound {job.job_id}", {**asdict(job.wish), "seal": job.seal})


async def request_call(
    store: OutboundStore, key: bytes, asked_by: str, via: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Ask for a call: {"number", "agent" | "route", "variables"}. `asked_by`: a user's name; `via`: api, cli, console.

    The answer is the job as control has ruled: `state` queued or refused with `reason`. Raises WishError (400: the
    body), StoreError (503: the bridge does not answer).
    """
    job = sealed_job(key, wish_of(body, asked_by, via, time.time()))
    await store.add([job])
    return shown(await ruled(store, job.job_id))


async def ruled(store: OutboundStore, job_id: str, within_s: float = RULING_S) -> Job:
    """The job, as soon as control has ruled. Raises StoreError: nobody does; the wish is taken back then."""
    until = time.monotonic() + within_s
    while True:
        found: Sequence[Job] = await store.find(job_id)
        if found and found[0].state != "asked":
            return found[0]
        if time.monotonic() > until:
            await store.cancel(job_id)
            raise StoreError("the bridge did not take the call up: it is not running, or its store is busy")
        await asyncio.sleep(LOOK_S)


def shown(job: Job) -> dict[str, Any]:
    """A job for programs."""
    wish = asdict(job.wish)
    return {
        "job_id": job.job_id,
        "state": job.state,
        "reason": job.reason,
        "number": job.number or job.wish.number,
        "heard": job.heard,
        "attempts": job.attempts,
        "call_id": job.call_id,
        "due_at": job.due_at,
        **{name: wish[name] for name in ("run", "campaign", "asked_by", "via", "asked_at", "variables")},
    }
