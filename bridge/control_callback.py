"""A caller's wish to be called back, put to the outbound rules like anybody's wish for a call.

Nothing here dials: the wish becomes a sealed job, which control judges (control_outbound.py) and calls when it is due
and allowed. A wish of a caller that may be called only at other hours waits for them, as a campaign's would, but no
longer than a day. Callers are strangers, so there is a bound on what they can have us dial: MAX_PER_CALL wishes of one
call, one that is open for a number, and a part of the plan's calls a day (`too_many`).
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace

from bridge.control_outbound_requests import ruled, sealed_job
from bridge.control_waiting import CallBack, CallBackWish
from bridge.outbound.job import FINAL, Job
from bridge.outbound.wish import WishError, wish_of
from bridge.store.outboundstore import OutboundStore

VIA = "callback"
MAX_PER_CALL = 3
MAX_CALLS = 1000
"""Calls whose wishes are counted; the oldest is forgotten first."""
KEEP_S = 86_400.0
SHARE = 0.5
"""Of outbound.per_day."""


def call_back(store: OutboundStore, key: bytes, now: Callable[[], float] = time.time) -> CallBack:
    """What WaitingRoom asks. `key`: of the seal. It raises StoreError: nobody has judged the wish in time."""
    wishes: OrderedDict[str, int] = OrderedDict()

    async def ask(wish: CallBackWish) -> str:
        asked_before = wishes.pop(wish.call_id, 0)
        wishes[wish.call_id] = asked_before + 1
        if len(wishes) > MAX_CALLS:
            wishes.popitem(last=False)
        if asked_before >= MAX_PER_CALL:
            return f"this call has asked {asked_before} times already"
        body = {"number": wish.number, "variables": {"callback_of": wish.call_id}}
        try:
            asked = wish_of(body, "caller", VIA, now() + wish.after_s)
        except WishError as error:
            return str(error)
        job = replace(sealed_job(key, asked), due_at=asked.asked_at)
        await store.add([job])
        ruling = await ruled(store, job.job_id)
        return ruling.reason if ruling.state == "refused" else ""

    return ask


def too_many(job: Job, number: str, others: Iterable[Job], per_day: int, now: float) -> str:
    """Why this caller is not called back at `number`; "" when they may be. `others`: wishes of callers that count."""
    recent = [one for one in others if one.job_id != job.job_id and now - one.wish.asked_at < KEEP_S]
    if any(one.number == number and one.state not in FINAL for one in recent):
        return "this number is to be called back already"
    most = max(1, int(per_day * SHARE))
    return f"callers who want to be called back a day: {most} is the limit" if len(recent) >= most else ""


def expired(job: Job, now: float) -> bool:
    """Whether nobody waits for this call any more."""
    return job.wish.via == VIA and now - job.wish.asked_at > KEEP_S
